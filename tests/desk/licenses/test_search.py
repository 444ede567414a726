"""One box: whatever support has in hand leads to the license, and what is pasted is judged."""

from __future__ import annotations

import pytest
from sqlmodel import Session, select

from licsrv.audit import Cause
from licsrv.desk.licenses import reading
from licsrv.licensing.changes import Purchase, add
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.tables import Device, License
from licsrv.platform.db import transaction
from tests.conftest import DEVICE, NOW, OTHER_DEVICE
from tests.sales import Desk

NAUGHTY = "'; DROP TABLE licenses;-- <script>alert(1)</script> %_\\ =1+1 \u202e本田 Ä 😀"


def add_license(desk: Desk, code: str, customer: str, order: str = "") -> None:
    with transaction(desk.house.runtime.database) as session:
        add(session, Purchase(code, MANUAL, customer=customer, order_id=order), cause=Cause("test"), now=NOW)


def codes(found: dict) -> list[str]:  # type: ignore[type-arg]
    return [hit["license"]["code"] for hit in found["hits"]]


async def test_a_license_is_found_by_everything_that_names_it(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    with Session(desk.house.runtime.database.read) as session:
        license = session.exec(select(License)).one()
        device = session.exec(select(Device)).one()

    expected = {
        code: "code", code.lower(): "code", code[:5]: "code", license.id: "id", license.order_id: "order",
        license.order_id.lower(): "order", device.id: "device_id", "cad-ws": "device_name", DEVICE: "fingerprint",
    }  # fmt: skip
    for text, how in expected.items():
        found = await desk.search(f"  {text} ")
        assert codes(found) == [code], text
        assert how in found["hits"][0]["found_by"]
        assert found["hits"][0]["license"]["says"]["en"].startswith("It may be used until")
        assert found["hits"][0]["license"]["says"]["zh"].startswith("可使用至")


async def test_a_customer_is_found_by_the_beginning_of_the_name_whatever_its_case(desk: Desk) -> None:
    add_license(desk, "A1", "Acme Works")
    add_license(desk, "A2", "ACME")
    add_license(desk, "A3", "The Acme")
    add_license(desk, "A4", "Acm%")

    assert codes(await desk.search("acme")) == ["A2", "A1"]
    assert codes(await desk.search("ACM%")) == ["A4"]
    assert codes(await desk.search("a_me")) == []


async def test_a_code_is_found_however_it_is_spelled(desk: Desk) -> None:
    add_license(desk, "PL-FIRST0", "Acme")

    for typed in ("pl first0", "PLFIRST0", "\ufeffＰＬ\u2014FIRST0\u200b", "pl-fir"):
        found = await desk.search(typed)
        assert [hit["found_by"] for hit in found["hits"]] == [["code"]], typed
    assert [hit["found_by"] for hit in (await desk.search("PL-FIRSTO"))["hits"]] == [["look_alike"]]


async def test_naughty_strings_come_back_exactly(desk: Desk) -> None:
    add_license(desk, "N1", NAUGHTY)

    found = await desk.search(NAUGHTY)

    assert [hit["license"]["customer"] for hit in found["hits"]] == [NAUGHTY]


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "'", "%", "\\", "x" * 5000, "eyJ", "..", "-----BEGIN LICENSE-----"])
async def test_whatever_is_typed_is_answered(desk: Desk, text: str) -> None:
    assert (await desk.search(text))["hits"] == []


async def test_a_fingerprint_explains_how_each_device_compares(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    mac, disk, _, cpu = DEVICE.split("|")

    found = await desk.search(f"{mac}|{disk}|BOARD-9|{cpu}")

    match = found["hits"][0]["device"]["match"]
    assert match["is_same_device"] is True
    assert match["parts"] == {"mac": "agrees", "disk": "agrees", "board": "differs", "cpu": "agrees"}
    assert (await desk.search(OTHER_DEVICE))["hits"] == []


async def test_a_raw_fingerprint_is_written_nowhere(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    await desk.search(DEVICE)

    printed = capsys.readouterr()
    assert "001B_444A" not in printed.out + printed.err


async def test_a_string_of_ours_is_judged(desk: Desk) -> None:
    code = desk.buy()
    text = await desk.string(code)

    found = await desk.search(f"Bearer {text[:90]}\n{text[90:]}")

    assert found["kind"] == "presented"
    assert codes(found) == [code]
    judged = found["judged"]
    assert (judged["kind"], judged["is_ours"], judged["is_on_record"], judged["counts"]) == (
        "license_string", True, True, True,
    )  # fmt: skip
    assert judged["claims"]["code"] == code
    assert "dev" not in judged["claims"]


async def test_a_lease_and_a_file_are_judged(desk: Desk) -> None:
    code = desk.buy()
    text = await desk.string(code)
    lease = (await desk.beat(text))["lease"]
    body = {"code": code, "device_info": DEVICE, "nonce": "n"}
    file = (await desk.visitor.http.post("/v1/licenses/file", json=body)).text

    judged_lease = (await desk.search(lease))["judged"]
    judged_file = (await desk.search(file.replace("\n", "\r\n")))["judged"]

    assert (judged_lease["kind"], judged_lease["counts"]) == ("lease", True)
    assert (judged_file["kind"], judged_file["is_on_record"], judged_file["counts"]) == ("license_file", True, True)


async def test_what_was_changed_or_is_not_ours_is_said_so(desk: Desk) -> None:
    text = await desk.string(desk.buy())
    head, payload, signature = text.split(".")
    flipped = signature[:-10] + ("A" if signature[-10] != "A" else "B") + signature[-9:]

    for broken in (f"{head}.{payload}.{flipped}", f"{head}.{payload[:-4]}.{signature}", "eyJhbGciOiJub25lIn0.e30.AAAA"):
        judged = (await desk.search(broken))["judged"]
        assert (judged["is_ours"], judged["counts"], judged["claims"]) == (False, False, {})
        assert "did not issue" in judged["says"]["en"]


async def test_why_a_string_does_not_count_is_said(desk: Desk) -> None:
    code = desk.buy()
    text = await desk.string(code)
    await desk.act(code, "revoke", reason="The payment was refunded.")

    revoked = (await desk.search(text))["judged"]
    await desk.act(code, "reinstate")
    device = (await desk.get(f"/licenses/{code}"))["devices"][0]["id"]
    await desk.act(code, "release_place", device_id=device)
    given_back = (await desk.search(text))["judged"]

    assert revoked["counts"] is False
    assert "The payment was refunded." in revoked["says"]["en"]
    assert given_back["counts"] is False
    assert "revocation list" in given_back["says"]["en"]


def test_reading_survives_deep_and_foreign_documents() -> None:
    deep = "eyJ" + "A" * 50 + "." + "W1tb" * 400 + ".AAAA"
    assert reading.read(deep) is not None
    assert reading.read("no license at all") is None
    assert reading.read("-----BEGIN LICENSE-----AAAA-----END LICENSE-----").kind == reading.UNKNOWN  # type: ignore[union-attr]
