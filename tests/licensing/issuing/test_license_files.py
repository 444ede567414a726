"""A device asks for its license file: the whole way through, on both engines."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shutil
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from licsrv.app import build_runtime, create_app
from licsrv.audit import Cause
from licsrv.errors import InvalidRequestError
from licsrv.licensing import changes, devices, store
from licsrv.licensing.changes import Purchase
from licsrv.licensing.devices import Activation, LicenseForDevice, Terms
from licsrv.licensing.issuing import issuing
from licsrv.licensing.issuing.issuing import Delivery
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Algorithm, Purpose
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.tables import IssuedLicense, License, Product
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, NOW, OTHER_DEVICE, StandingClock, make_settings
from tests.licensing.reading import ReadFile, read_file

CAUSE = Cause("test")
TERMS = Terms("licsrv")


@pytest.fixture
async def runtime(database_url: str, keys_dir: Path, tmp_path: Path, clock: StandingClock) -> AsyncIterator[Runtime]:
    """A process without a marketplace, with a folder of keys of its own."""
    keys = tmp_path / "keys"
    shutil.copytree(keys_dir, keys)
    settings = make_settings(database_url, keys, MARKETPLACE_AK="", MARKETPLACE_SK="")
    runtime = build_runtime(settings, clock=clock)
    yield runtime
    await runtime.close()


@pytest.fixture
async def client(runtime: Runtime) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=create_app(runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        yield client


def add_license(runtime: Runtime, code: str, **facts: Any) -> str:
    with transaction(runtime.database) as session:
        return changes.add(session, Purchase(code, MANUAL, **facts), cause=CAUSE, now=NOW).id


def deliver(runtime: Runtime, code: str, now: datetime, **wish: Any) -> LicenseForDevice:
    with transaction(runtime.database) as session:
        request = Activation(code, DEVICE, form=None, **wish)
        keyring = runtime.keyring()
        return devices.activate(session, request, keyring=keyring, terms=TERMS, cause=CAUSE, now=now)


def add_product(runtime: Runtime, **facts: Any) -> None:
    with transaction(runtime.database) as session:
        session.add(Product(**{"product_id": "P1", "name": "CAD", "features": [], **facts}))


async def second_key(runtime: Runtime) -> str:
    folder = KeyFolder(runtime.settings.keys_dir)
    made = folder.make(Purpose.LICENSE, now=runtime.clock.now(), algorithm=Algorithm.ML_DSA_65)
    await runtime.keyring.refresh()
    return made.key_id


def body(code: str, device: str = DEVICE, **more: Any) -> dict[str, Any]:
    return {"code": code, "device_info": device, "nonce": "n-1", "client": {"name": "CAD-WS-07"}, **more}


async def get_file(client: httpx2.AsyncClient, code: str, device: str = DEVICE, **more: Any) -> httpx2.Response:
    answer = await client.post("/v1/licenses/file", json=body(code, device, **more))
    assert answer.status_code == 200, answer.text
    return answer


async def read(client: httpx2.AsyncClient, answer: httpx2.Response) -> ReadFile:
    jwks = (await client.get("/.well-known/jwks.json")).json()
    return read_file(answer.content, jwks)


async def test_a_device_downloads_its_file(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    license_id = add_license(runtime, "C-1", order_id="CS1", expires_at=NOW + timedelta(days=365))

    answer = await get_file(client, "C-1")

    found = await read(client, answer)
    assert found.claims["sub"] == license_id
    assert (found.claims["order"], "file" in found.claims) == ("CS1", False)
    assert "# Device / 设备: CAD-WS-07" in found.comments
    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == 'attachment; filename="license.lic"'
    assert answer.headers["content-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["content-length"] == str(len(answer.content))
    with reading(runtime.database) as session:
        issued = session.exec(select(IssuedLicense)).one()
        assert (issued.form, issued.id) == ("file", found.claims["jti"])
        assert issued.digest == hashlib.sha256(answer.content).hexdigest()
        assert '"s"' not in issued.claims
        assert session.exec(select(License)).one().places_taken == 1


async def test_the_file_is_called_what_the_device_asked_for(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1")

    answer = await get_file(client, "C-1", file_name="许可证 7.lic")

    assert (await read(client, answer)).claims["file"] == "许可证 7.lic"
    name = "%E8%AE%B8%E5%8F%AF%E8%AF%81%207.lic"
    assert answer.headers["content-disposition"] == f"attachment; filename=\"___ 7.lic\"; filename*=UTF-8''{name}"


async def test_asking_again_gives_the_same_file_and_costs_no_place(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    first = await get_file(client, "C-1", file_name="a.lic")
    string = (await client.post("/v1/licenses/string", json=body("C-1"))).json()["license_string"]

    clock.advance(hours=1)
    again = await get_file(client, "C-1", DEVICE.lower(), file_name="a.lic")

    assert again.content == first.content
    assert (await client.post("/v1/licenses/string", json=body("C-1"))).json()["license_string"] == string
    with reading(runtime.database) as session:
        assert session.exec(select(License)).one().places_taken == 1
        assert len(session.exec(select(IssuedLicense)).all()) == 2


async def test_one_device_that_asks_32_times_at_once_gets_one_file(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_product(runtime, second_signature=True)
    add_license(runtime, "C-1", product_id="P1", device_limit=5)
    await second_key(runtime)

    answers = await asyncio.gather(*(client.post("/v1/licenses/file", json=body("C-1")) for _ in range(32)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    with reading(runtime.database) as session:
        assert session.exec(select(License)).one().places_taken == 1


@pytest.mark.parametrize(
    "change",
    [{"file_name": "b.lic"}, {"client": {"name": "CAD-WS-08"}}, {"device_info": DEVICE.replace("BOARD-1", "BOARD-7")}],
    ids=["name", "device name", "device"],
)
async def test_a_file_that_would_say_something_else_is_a_new_one(
    client: httpx2.AsyncClient, runtime: Runtime, change: dict[str, Any]
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    first = await get_file(client, "C-1", file_name="a.lic")

    other = await client.post("/v1/licenses/file", json=body("C-1") | {"file_name": "a.lic"} | change)

    assert other.status_code == 200, other.text
    before, after = await read(client, first), await read(client, other)
    assert before.claims["jti"] != after.claims["jti"]


async def test_two_signatures_stay_the_same_when_the_file_is_asked_for_again(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_product(runtime, second_signature=True)
    add_license(runtime, "C-1", product_id="P1")
    key_id = await second_key(runtime)

    first, again = await get_file(client, "C-1"), await get_file(client, "C-1")

    assert first.content == again.content
    headers = (await read(client, first)).headers
    assert [header["alg"] for header in headers] == ["EdDSA", "ML-DSA-65"]
    assert headers[1]["kid"] == key_id


async def test_a_product_may_begin_and_end_to_ask_for_two_signatures(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_product(runtime)
    add_license(runtime, "C-1", product_id="P1")
    await second_key(runtime)
    counts = [len((await read(client, await get_file(client, "C-1"))).headers)]

    for wanted in (True, False):
        with transaction(runtime.database) as session:
            product = store.product(session, "P1")
            assert product
            product.second_signature = wanted
            session.add(product)
        counts.append(len((await read(client, await get_file(client, "C-1"))).headers))

    assert counts == [1, 2, 1]


async def test_a_newer_second_key_makes_a_new_file(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_product(runtime, second_signature=True)
    add_license(runtime, "C-1", product_id="P1")
    await second_key(runtime)
    await get_file(client, "C-1")
    clock.advance(seconds=1)

    newer = await second_key(runtime)

    assert (await read(client, await get_file(client, "C-1"))).headers[1]["kid"] == newer


async def test_without_the_second_key_nothing_is_issued_and_nothing_changes(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_product(runtime, second_signature=True)
    add_license(runtime, "C-1", product_id="P1")

    answer = await client.post("/v1/licenses/file", json=body("C-1"))
    string = await client.post("/v1/licenses/string", json=body("C-1", OTHER_DEVICE))

    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"]
    assert string.status_code == 200, "strings need no second signature"
    with reading(runtime.database) as session:
        assert session.exec(select(License)).one().places_taken == 1
        missing = issuing.missing_keys(session, runtime.keyring(), now=NOW)
    assert missing is not None
    assert "licsrv keys new license --algorithm ML-DSA-65" in missing
    await second_key(runtime)
    assert (await client.post("/v1/licenses/file", json=body("C-1", OTHER_DEVICE))).status_code == 200
    with reading(runtime.database) as session:
        assert issuing.missing_keys(session, runtime.keyring(), now=NOW) is None


async def test_the_end_of_maintenance_reaches_both_forms(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1")
    with transaction(runtime.database) as session:
        license = store.license_for_update(session, "C-1")
        assert license
        license.maintenance_until = NOW + timedelta(days=90)
        session.add(license)

    found = await read(client, await get_file(client, "C-1"))

    assert found.claims["maint"] == int((NOW + timedelta(days=90)).timestamp())


NAMES = ["", " ", "a/b.lic", "..", ".", "a\\b", "C:a", "a\x00b", "a\nb", "a\u202eb", "CON", "a.", "x" * 101, 7, ["a"]]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_a_name_that_is_none_is_refused(client: httpx2.AsyncClient, runtime: Runtime, name: object) -> None:
    add_license(runtime, "C-1")

    answer = await client.post("/v1/licenses/file", json=body("C-1") | {"file_name": name})

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == ["file_name"]
    with reading(runtime.database) as session:
        assert session.exec(select(IssuedLicense)).all() == []


BAD_BODIES = [
    b"", b"{", b"[]", b"null", b'{"code": "C-1"}', b'{"code": "C-1", "device_info": "|||", "nonce": "n"}',
    b'{"code": "C-1", "device_info": "a|b|c", "nonce": "n"}', b'{"code": "C\\ud800", "device_info": "a|b|c|d"}',
    b'{"code": "C-1", "device_info": "a|b|c|d", "nonce": "n", "file_name": "\\ud800"}', b"[" * 50_000, b"\xff",
]  # fmt: skip


@pytest.mark.parametrize("content", BAD_BODIES, ids=range(len(BAD_BODIES)))
async def test_a_body_that_does_not_fit_is_refused(client: httpx2.AsyncClient, content: bytes) -> None:
    answer = await client.post("/v1/licenses/file", content=content, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


async def test_the_refusals_are_those_of_strings(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "FULL", device_limit=1)
    add_license(runtime, "EXPIRED", expires_at=NOW + timedelta(seconds=1))
    await get_file(client, "FULL")
    clock.advance(seconds=1)

    codes = {}
    for code, device in (("FULL", OTHER_DEVICE), ("EXPIRED", DEVICE)):
        answer = await client.post("/v1/licenses/file", json=body(code, device))
        codes[code] = (answer.status_code, answer.json()["code"])

    assert codes == {"FULL": (409, "DEVICE_LIMIT_REACHED"), "EXPIRED": (403, "LICENSE_EXPIRED")}


async def test_a_product_may_be_too_large_for_a_string_but_not_for_a_file(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_product(runtime, features=["f" * 60] * 40)
    add_license(runtime, "C-1", product_id="P1")

    string = await client.post("/v1/licenses/string", json=body("C-1"))
    file = await get_file(client, "C-1")

    assert (string.status_code, string.json()["code"]) == (422, "INVALID_REQUEST")
    assert "license file" in string.json()["action"]
    assert len((await read(client, file)).claims["feat"]) == 40


@pytest.mark.parametrize(
    ("deliver_as", "features", "form"),
    [
        (Delivery.AUTO, 1, "string"), (Delivery.AUTO, 40, "file"), (Delivery.STRING, 1, "string"),
        (Delivery.STRING, 40, None), (Delivery.FILE, 1, "file"), (Delivery.FILE, 40, "file"),
    ],
)  # fmt: skip
async def test_the_product_decides_in_which_form_a_license_is_delivered(
    runtime: Runtime, deliver_as: Delivery, features: int, form: str | None
) -> None:
    add_product(runtime, features=["f" * 60] * features, deliver_as=str(deliver_as))
    add_license(runtime, "C-1", product_id="P1")

    if form is None:
        with pytest.raises(InvalidRequestError):
            deliver(runtime, "C-1", NOW)
        return
    first, again = deliver(runtime, "C-1", NOW), deliver(runtime, "C-1", NOW)

    assert first.form == form
    assert first.text == again.text
    with reading(runtime.database) as session:
        assert [row.form for row in session.exec(select(IssuedLicense))] == [form]


async def test_a_license_without_a_product_is_delivered_as_a_string(runtime: Runtime) -> None:
    add_license(runtime, "C-1")

    assert deliver(runtime, "C-1", NOW).form == "string"


@pytest.mark.parametrize("deliver_as", [Delivery.STRING, Delivery.FILE])
async def test_a_license_that_begins_later_is_not_taken_for_one_that_begins_now(
    client: httpx2.AsyncClient, runtime: Runtime, deliver_as: Delivery
) -> None:
    add_product(runtime, deliver_as=str(deliver_as))
    add_license(runtime, "C-1", product_id="P1")
    later, hour = NOW + timedelta(days=2), timedelta(hours=1)

    waiting = deliver(runtime, "C-1", NOW, starts_at=later).text

    assert deliver(runtime, "C-1", NOW + hour, starts_at=later).text == waiting
    at_once = deliver(runtime, "C-1", NOW + 2 * hour).text
    assert at_once != waiting
    assert deliver(runtime, "C-1", NOW + 3 * hour).text == at_once
    ends_sooner = deliver(runtime, "C-1", NOW + 4 * hour, ends_by=NOW + timedelta(days=1)).text
    assert ends_sooner != at_once
