"""A device asks for its license string: the whole way through, on both engines."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest
from sqlmodel import Session, select

from licsrv import audit
from licsrv.app import build_runtime, create_app
from licsrv.audit import Cause
from licsrv.emulator.emulator import Emulator
from licsrv.licensing import changes, store
from licsrv.licensing.changes import Purchase
from licsrv.licensing.devices import Activation, Terms, activate
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.tables import Device, IssuedLicense, License
from licsrv.platform.config import Settings
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, NOW, OTHER_DEVICE, StandingClock

CAUSE = Cause("test")


def ask(code: str, device: str = DEVICE, **more: Any) -> dict[str, Any]:
    return {"code": code, "device_info": device, "nonce": "n-1", **more}


def device(number: int) -> str:
    return f"02:00:00:00:{number // 256:02X}:{number % 256:02X}|DISK-{number}|BOARD-{number}|CPU"


def add_license(runtime: Runtime, code: str, **facts: Any) -> str:
    with transaction(runtime.database, (audit.seal,)) as session:
        return changes.add(session, Purchase(code, MANUAL, **facts), cause=CAUSE, now=runtime.clock.now()).id


async def test_a_received_code_becomes_a_license_string(
    client: httpx2.AsyncClient, emulator: Emulator, runtime: Runtime
) -> None:
    code = emulator.codes.buy(product_id="OFFI1", amount=2, days=365, received=True).code

    answer = await client.post("/v1/licenses/string", json=ask(code))

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"license_string", "license_id", "expires_at", "refresh_after", "weakly_bound"}
    assert body["weakly_bound"] is False
    with reading(runtime.database) as session:
        license = session.exec(select(License)).one()
        issued = session.exec(select(IssuedLicense)).one()
    assert (license.product_id, license.amount, license.source) == ("OFFI1", 2, "marketplace")
    assert license.activated_at == NOW
    assert issued.license_id == body["license_id"]
    assert body["expires_at"] == "2027-03-01T09:30:00Z"
    assert body["refresh_after"] == "2026-03-08T09:30:00Z"


async def test_nothing_stored_lets_anybody_try_out_device_facts(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1")
    string = (await client.post("/v1/licenses/string", json=ask("C-1"))).json()["license_string"]

    with reading(runtime.database) as session:
        row = session.exec(select(Device)).one()
        stored = json.loads(session.exec(select(IssuedLicense)).one().claims)

    raw = ("047C165EE35D", "04:7C:16:5E:E3:5D", "001B_444A_488B_5CEC", "BFEBFBFF00090672")
    assert not any(value in row.model_dump_json() for value in raw)
    assert "s" not in stored["dev"]
    assert "s" in json.loads(_payload(string))["dev"]


def _payload(string: str) -> bytes:
    import base64

    part = string.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def test_asking_again_costs_no_place_and_gives_the_same_string(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    first = (await client.post("/v1/licenses/string", json=ask("C-1"))).json()

    clock.advance(hours=1)
    again = (await client.post("/v1/licenses/string", json=ask("C-1", DEVICE.lower()))).json()

    assert again["license_string"] == first["license_string"]
    with reading(runtime.database) as session:
        assert session.exec(select(License)).one().places_taken == 1
        assert len(session.exec(select(IssuedLicense)).all()) == 1


async def test_asking_again_gives_the_same_string_after_our_clock_was_set_back(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    texts = []
    for minutes in (0, -20, 5, 5, 20):
        clock.advance(minutes=minutes)
        texts.append((await client.post("/v1/licenses/string", json=ask("C-1"))).json()["license_string"])

    begun, early, *later = texts

    assert early != begun, "what has not begun yet would be refused by the device"
    assert later == [early, early, begun]


async def test_a_known_device_with_a_new_disk_gets_a_string_that_fits_it(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    first = (await client.post("/v1/licenses/string", json=ask("C-1"))).json()["license_string"]

    again = await client.post("/v1/licenses/string", json=ask("C-1", DEVICE.replace("001B", "NEW-DISK")))

    assert again.status_code == 200
    assert again.json()["license_string"] != first
    with reading(runtime.database) as session:
        assert session.exec(select(License)).one().places_taken == 1


async def test_a_new_device_on_a_full_license_is_told_part_by_part(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    await client.post("/v1/licenses/string", json=ask("C-1"))

    same_board = await client.post("/v1/licenses/string", json=ask("C-1", "||BOARD-1|OTHER-CPU-2"))
    stranger = await client.post("/v1/licenses/string", json=ask("C-1", OTHER_DEVICE))

    for answer in (same_board, stranger):
        assert (answer.status_code, answer.json()["code"]) == (409, "DEVICE_LIMIT_REACHED")
        assert (answer.json()["places"], answer.json()["places_taken"]) == (1, 1)
    assert same_board.json()["parts"] == {
        "mac": "not given", "disk": "not given", "board": "agrees", "cpu": "differs"
    }  # fmt: skip
    assert stranger.json()["parts"] == {"mac": "differs", "disk": "differs", "board": "differs", "cpu": "agrees"}


async def test_a_place_given_back_can_be_taken_by_another_device(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1", device_limit=1)
    string = (await client.post("/v1/licenses/string", json=ask("C-1"))).json()["license_string"]
    bearer = {"Authorization": f"Bearer {string}"}

    wrong = await client.post("/v1/devices/release", headers=bearer, json={"device_info": device(3)})
    first = await client.post("/v1/devices/release", headers=bearer, json={"device_info": DEVICE})
    again = await client.post("/v1/devices/release", headers=bearer, json={"device_info": DEVICE})

    assert (wrong.status_code, wrong.json()["code"]) == (409, "DEVICE_MISMATCH")
    assert first.status_code == 200
    assert first.json() == again.json()
    assert first.json()["places_taken"] == 0
    assert (await client.post("/v1/licenses/string", json=ask("C-1", device(3)))).status_code == 200
    assert (await client.post("/v1/licenses/string", json=ask("C-1"))).status_code == 409


async def test_the_string_alone_gives_no_place_back(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1", device_limit=1)
    string = (await client.post("/v1/licenses/string", json=ask("C-1"))).json()["license_string"]
    bearer = {"Authorization": f"Bearer {string}"}

    bodies = [
        b"",
        b" ",
        b"{}",
        b'{"device_info": null}',
        b'{"device_info": ""}',
        b'{"device_info": "|||"}',
        b"[]",
        b"x",
    ]
    answers = [await client.post("/v1/devices/release", headers=bearer, content=body) for body in bodies]

    assert [answer.status_code for answer in answers] == [422] * 8
    assert (await client.post("/v1/licenses/string", json=ask("C-1", device(3)))).status_code == 409


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer x", "Basic eA==", "Bearer \xe9", "Bearer " + "x" * 5000]
)
async def test_a_bearer_we_did_not_issue_is_refused(client: httpx2.AsyncClient, authorization: str) -> None:
    headers = {"Authorization": authorization.encode("latin-1")}

    for path, body in (("/v1/devices/release", {}), ("/v1/heartbeats", {"nonce": "n", "device_info": DEVICE})):
        answer = await client.post(path, headers=headers, json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("limit", [1, 3])
async def test_the_limit_holds_when_32_devices_arrive_at_once(
    client: httpx2.AsyncClient, runtime: Runtime, limit: int
) -> None:
    add_license(runtime, "C-1", device_limit=limit)

    answers = await asyncio.gather(
        *(client.post("/v1/licenses/string", json=ask("C-1", device(number))) for number in range(32))
    )

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] * limit + [409] * (32 - limit)
    with reading(runtime.database) as session:
        assert len(session.exec(select(Device)).all()) == limit
        assert session.exec(select(License)).one().places_taken == limit
        assert audit.verify(session) is None


def test_the_limit_holds_under_32_threads_with_transactions_of_their_own(
    settings: Any, keys_dir: Any, clock: StandingClock
) -> None:
    """As 32 replicas would: nothing but the database stands between them."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    from licsrv.errors import DeviceLimitError
    from licsrv.licensing.key_folder import KeyFolder
    from licsrv.platform.db import open_database

    database = open_database(settings.database_url, writers=32)
    keyring = KeyFolder(keys_dir).read()
    with transaction(database, (audit.seal,)) as session:
        changes.add(session, Purchase("C-1", MANUAL, device_limit=1), cause=CAUSE, now=NOW)
    together = Barrier(32)

    def arrive(number: int) -> bool:
        request = Activation("C-1", device(number))
        together.wait()
        try:
            with transaction(database, (audit.seal,)) as session:
                terms = Terms("licsrv")
                activate(session, request, keyring=keyring, terms=terms, cause=CAUSE, now=NOW)
        except DeviceLimitError:
            return False
        return True

    with ThreadPoolExecutor(32) as pool:
        served = list(pool.map(arrive, range(32)))

    with reading(database) as session:
        assert (sum(served), len(session.exec(select(Device)).all())) == (1, 1)
        assert audit.verify(session) is None
    database.dispose()


async def test_one_device_that_asks_32_times_at_once_takes_one_place(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", device_limit=5)

    answers = await asyncio.gather(*(client.post("/v1/licenses/string", json=ask("C-1")) for _ in range(32)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["license_string"] for answer in answers}) == 1
    with reading(runtime.database) as session:
        assert session.exec(select(License)).one().places_taken == 1


async def test_places_are_counted_right_when_devices_come_and_go_at_once(
    settings: Settings, clock: StandingClock
) -> None:
    often = settings.model_copy(update={"moves_per_place": 100, "move_cool_down_hours": 0})
    runtime = build_runtime(often, clock=clock)
    transport = httpx2.ASGITransport(app=create_app(runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        await come_and_go_at_once(client, runtime)
    await runtime.close()


async def come_and_go_at_once(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1", device_limit=4)
    strings = [
        (await client.post("/v1/licenses/string", json=ask("C-1", device(number)))).json()["license_string"]
        for number in range(4)
    ]

    async def come_and_go(number: int) -> None:
        for _ in range(4):
            bearer = {"Authorization": f"Bearer {strings[number]}"}
            body = {"device_info": device(number)}
            assert (await client.post("/v1/devices/release", headers=bearer, json=body)).status_code == 200
            answer = await client.post("/v1/licenses/string", json=ask("C-1", device(number)))
            assert answer.status_code == 200

    await asyncio.gather(*(come_and_go(number) for number in range(4)), *(come_and_go(number) for number in range(4)))

    with reading(runtime.database) as session:
        held = [row for row in session.exec(select(Device)).all() if row.released_at is None]
        assert session.exec(select(License)).one().places_taken == len(held) == 4
        assert audit.verify(session) is None


BAD_BODIES = [
    b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"code": 1, "device_info": "a|b|c|d", "nonce": "n"}',
    b'{"code": "", "device_info": "a|b|c|d", "nonce": "n"}', b'{"code": "   ", "device_info": "a|b|c|d", "nonce": "n"}',
    b'{"code": "C-1", "device_info": "a|b|c", "nonce": "n"}', b'{"code": "C-1", "device_info": "|||", "nonce": "n"}',
    b'{"code": "C-1", "device_info": "a|b|c|d"}', b'{"code": "C-1", "device_info": "a|b|c|d", "nonce": ""}',
    b'{"code": "C-1", "device_info": "a|b|c|d", "nonce": "' + b"n" * 65 + b'"}',
    b'{"code": "' + b"C" * 65 + b'", "device_info": "a|b|c|d", "nonce": "n"}',
    b'{"code": "C\\u0000", "device_info": "a|b|c|d", "nonce": "n"}',
    b'{"code": "C\\ud800", "device_info": "a|b|c|d", "nonce": "n"}',
    b'{"code": "C-1", "device_info": "a|b\\u0000|c|d", "nonce": "n"}',
    b'{"code": "C-1", "device_info": "a|b|c|d", "nonce": "n", "client": 7}',
    b'{"code": "C-1", "device_info": "a|b|c|d", "nonce": "n", "client": {"name": "' + b"x" * 101 + b'"}}',
    b'{"code": "C-1", "device_info": "a|b|c|d", "nonce": "n", "client": {"name": "\\u0007"}}',
    b'{"code": "C-1", "device_info": "' + b"a" * 6000 + b'|b|c|d", "nonce": "n"}',
    b"[" * 50_000,
    b'{"code": NaN}',
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
@pytest.mark.parametrize("path", ["/v1/licenses/string", "/v1/heartbeats"])
async def test_a_body_that_does_not_fit_is_refused_and_changes_nothing(
    client: httpx2.AsyncClient, runtime: Runtime, path: str, body: bytes
) -> None:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer x"}

    answer = await client.post(path, content=body, headers=headers)

    expected = (422, "INVALID_REQUEST")
    if path == "/v1/heartbeats" and answer.status_code == 401:
        expected = (401, "UNAUTHENTICATED")  # a body that does fit there, and a bearer that does not
    assert (answer.status_code, answer.json()["code"]) == expected
    assert answer.headers["content-type"] == "application/problem+json"
    with reading(runtime.database) as session:
        assert session.exec(select(License)).all() == []


async def test_what_was_sent_is_not_repeated_in_a_refusal(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/licenses/string", json={"code": 5, "device_info": "SECRET-FACT", "nonce": "n"})

    assert "SECRET-FACT" not in answer.text


async def test_a_body_of_another_kind_or_size_is_refused(client: httpx2.AsyncClient) -> None:
    text = await client.post("/v1/licenses/string", content=b"{}", headers={"Content-Type": "text/plain"})
    large = await client.post(
        "/v1/licenses/string", content=b"x" * 70_000, headers={"Content-Type": "application/json"}
    )

    assert (text.status_code, text.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (large.status_code, large.json()["code"]) == (413, "BODY_TOO_LARGE")


async def test_a_license_that_ended_says_which_way(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    from datetime import timedelta

    add_license(runtime, "EXPIRED", expires_at=NOW + timedelta(seconds=1))
    for code in ("FROZEN", "REVOKED", "RELEASED"):
        add_license(runtime, code)
    cause = Cause("staff:ann", reason="Charged back.")

    def change(session: Session) -> None:
        frozen, revoked, released = (store.license_for_update(session, c) for c in ("FROZEN", "REVOKED", "RELEASED"))
        assert frozen
        assert revoked
        assert released
        changes.set_frozen(session, frozen, True, stated_at=NOW, cause=CAUSE, now=NOW)
        changes.revoke(session, revoked, cause=cause, now=NOW)
        changes.release(session, released, cause=CAUSE, now=NOW)

    await runtime.writer.run(change)
    clock.advance(seconds=1)

    for code in ("EXPIRED", "FROZEN", "REVOKED", "RELEASED"):
        answer = await client.post("/v1/licenses/string", json=ask(code))
        assert (answer.status_code, answer.json()["code"]) == (403, f"LICENSE_{code}")
        assert answer.json()["action"]
        if code == "REVOKED":
            assert answer.json()["detail"] == "Charged back."
