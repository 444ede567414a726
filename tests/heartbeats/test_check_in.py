"""Devices check in and get signed leases; the client reads them with code of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import Session, select

from client_stub.trust import verification
from client_stub.trust.claims import License as ReadLicense
from client_stub.trust.keys import PinnedKeys
from licsrv import audit
from licsrv.audit import Cause
from licsrv.heartbeats.tables import CheckIn, LicenseDay
from licsrv.licensing import changes, store
from licsrv.licensing.changes import Purchase
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Purpose
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.tables import License
from licsrv.marketplace.origins import AUTHORIZATION_CODE
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, NOW, OTHER_DEVICE, StandingClock

CAUSE = Cause("test")


def add_license(runtime: Runtime, code: str, *, source: str = AUTHORIZATION_CODE.source, **facts: Any) -> str:
    with transaction(runtime.database, (audit.seal,)) as session:
        return changes.add(session, Purchase(code, source, **facts), cause=CAUSE, now=runtime.clock.now()).id


async def string_for(client: httpx2.AsyncClient, code: str, device: str = DEVICE) -> str:
    body = {"code": code, "device_info": device, "nonce": "n", "client": {"version": "3.2.1", "name": "CAD-WS-07"}}
    return str((await client.post("/v1/licenses/string", json=body)).json()["license_string"])


async def beat(
    client: httpx2.AsyncClient, string: str, *, device: str = DEVICE, nonce: str = "nonce-1"
) -> httpx2.Response:
    body = {"nonce": nonce, "device_info": device, "client": {"version": "3.2.1", "name": "CAD-WS-07"}}
    return await client.post("/v1/heartbeats", headers={"Authorization": f"Bearer {string}"}, json=body)


def pinned(runtime: Runtime) -> PinnedKeys:
    return PinnedKeys.from_jwks(runtime.keyring().jwks())


def read_license(runtime: Runtime, string: str) -> ReadLicense:
    now = runtime.clock.now()
    return verification.verify_license(string, pinned(runtime), device_info=DEVICE, now=now, issuer="licsrv")


def rows(runtime: Runtime, model: Any) -> list[Any]:
    with reading(runtime.database) as session:
        return list(session.exec(select(model)).all())


async def test_a_check_in_gives_a_lease_that_the_client_verifies(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1", expires_at=NOW + timedelta(days=365))
    string = await string_for(client, "C-1")

    answer = await beat(client, string)

    assert answer.status_code == 200
    body = answer.json()
    lease = verification.verify_lease(
        body["lease"], pinned(runtime), license=read_license(runtime, string), nonce="nonce-1", now=NOW
    )
    assert str(lease.status) == body["status"] == "ACTIVE"
    assert body["lease_until"] == "2026-03-08T09:30:00Z"
    assert body["next_heartbeat_at"] == "2026-03-02T09:30:00Z"
    assert body["server_time"] == "2026-03-01T09:30:00Z"
    assert body["expires_at"] == "2027-03-01T09:30:00Z"
    [row] = rows(runtime, CheckIn)
    assert (row.status, row.count, row.client_version) == ("ACTIVE", 1, "3.2.1")


async def test_a_lease_never_outlasts_the_license(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1", expires_at=NOW + timedelta(hours=2))
    string = await string_for(client, "C-1")

    body = (await beat(client, string)).json()

    assert body["lease_until"] == body["next_heartbeat_at"] == body["expires_at"] == "2026-03-01T11:30:00Z"


Change = Callable[[Session, License, datetime], None]
CHANGES: dict[str, Change] = {
    "FROZEN": lambda s, row, now: void(changes.set_frozen(s, row, True, stated_at=now, cause=CAUSE, now=now)),
    "REVOKED": lambda s, row, now: void(changes.revoke(s, row, cause=Cause("staff:a", reason="Why not."), now=now)),
    "RELEASED": lambda s, row, now: void(changes.release(s, row, cause=CAUSE, now=now)),
    "EXPIRED": lambda s, row, now: void(
        changes.change_expiry(s, row, now, stated_at=now, may_shorten=True, cause=CAUSE, now=now)
    ),
}


def void(_: object) -> None:
    return None


@pytest.mark.parametrize("status", sorted(CHANGES))
async def test_every_status_gets_a_signed_lease_that_says_so(
    client: httpx2.AsyncClient, runtime: Runtime, status: str
) -> None:
    add_license(runtime, "C-1")
    string = await string_for(client, "C-1")
    license = read_license(runtime, string)

    def change(session: Session) -> None:
        row = store.license_for_update(session, "C-1")
        assert row is not None
        CHANGES[status](session, row, NOW)

    await runtime.writer.run(change)
    answer = await beat(client, string)

    assert (answer.status_code, answer.json()["status"]) == (200, status)
    lease = verification.verify_lease(
        answer.json()["lease"], pinned(runtime), license=license, nonce="nonce-1", now=NOW
    )
    assert str(lease.status) == status
    assert lease.reason
    assert answer.json()["next_heartbeat_at"] == "2026-03-01T10:30:00Z", "a renewal reaches it within the hour"


async def test_a_device_whose_place_was_given_back_is_told_so(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1")
    string = await string_for(client, "C-1")
    await client.post(
        "/v1/devices/release", headers={"Authorization": f"Bearer {string}"}, json={"device_info": DEVICE}
    )

    body = (await beat(client, string)).json()

    assert body["status"] == "RELEASED"


async def test_another_device_with_the_string_is_refused_part_by_part(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1")
    string = await string_for(client, "C-1")

    answer = await beat(client, string, device=OTHER_DEVICE)

    assert (answer.status_code, answer.json()["code"]) == (409, "DEVICE_MISMATCH")
    assert answer.json()["parts"] == {"mac": "differs", "disk": "differs", "board": "differs", "cpu": "agrees"}
    assert rows(runtime, CheckIn) == []


async def test_the_same_device_in_other_words_is_the_same_device(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1")
    string = await string_for(client, "C-1")

    for words in (DEVICE.lower(), DEVICE.replace(":", "-"), DEVICE.replace("BOARD-1", "NEW-BOARD"), f" {DEVICE}"):
        assert (await beat(client, string, device=words)).status_code == 200
    malformed = await beat(client, string, device="a|b|c")

    assert (malformed.status_code, malformed.json()["code"]) == (422, "INVALID_REQUEST")
    assert [row.count for row in rows(runtime, CheckIn)] == [4]


async def test_a_string_signed_by_a_retired_key_counts_no_more(
    settings: Any, clock: StandingClock, tmp_path: Any
) -> None:
    from licsrv.app import build_runtime, create_app

    folder = KeyFolder(tmp_path / "own-keys")
    folder.ensure(now=NOW)
    old = folder.read().signer(Purpose.LICENSE).key_id
    runtime = build_runtime(settings.model_copy(update={"keys_dir": folder.path}), clock=clock)
    transport = httpx2.ASGITransport(app=create_app(runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        add_license(runtime, "C-1")
        string = await string_for(client, "C-1")
        assert (await beat(client, string)).status_code == 200

        folder.make(Purpose.LICENSE, now=NOW)
        folder.retire(old, now=NOW)
        await runtime.keyring.refresh()

        assert (await beat(client, string)).status_code == 401
        renewed = await string_for(client, "C-1")
        assert renewed != string
        assert (await beat(client, renewed)).status_code == 200
    await runtime.close()


async def test_many_devices_in_one_batch_get_their_own_answers(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1", device_limit=40)
    devices = [f"02:00:00:00:00:{number:02X}|D{number}|B{number}|C" for number in range(1, 31)]
    strings = [await string_for(client, "C-1", device) for device in devices]

    answers = await asyncio.gather(
        *(beat(client, s, device=d, nonce=f"n{i}") for i, (s, d) in enumerate(zip(strings, devices, strict=True))),
        *(beat(client, strings[0], device=devices[1]) for _ in range(3)),
        *(beat(client, "unknown") for _ in range(3)),
    )

    assert [a.status_code for a in answers] == [200] * 30 + [409] * 3 + [401] * 3
    assert len(rows(runtime, CheckIn)) == 30
    assert len(rows(runtime, LicenseDay)) == 1


async def test_the_first_use_of_a_day_is_told_once_and_each_device_once(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1", device_limit=2)
    first, second = await string_for(client, "C-1"), await string_for(client, "C-1", OTHER_DEVICE)

    for _ in range(3):
        await asyncio.gather(*(beat(client, first) for _ in range(8)), beat(client, second, device=OTHER_DEVICE))

    kinds = sorted(row.kind for row in rows(runtime, OutboxRow))
    assert kinds == ["query_license", "report_usage", "report_usage"]
    assert sorted(row.count for row in rows(runtime, CheckIn)) == [3, 24]

    clock.advance(hours=6, minutes=29, seconds=59)  # 15:59:59 UTC is 23:59:59 of the same day in Shanghai
    await beat(client, first)
    assert len(rows(runtime, OutboxRow)) == 3
    clock.advance(seconds=1)
    await beat(client, first)
    assert sorted(row.kind for row in rows(runtime, OutboxRow))[2:] == ["report_usage"] * 3
    assert len(rows(runtime, LicenseDay)) == 2


async def test_what_was_sold_elsewhere_is_not_told_to_the_marketplace(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", source=MANUAL)

    await beat(client, await string_for(client, "C-1"))

    assert rows(runtime, OutboxRow) == []
    assert len(rows(runtime, CheckIn)) == 1


async def test_a_device_that_may_not_work_is_asked_about_but_not_reported_as_used(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1", expires_at=NOW + timedelta(seconds=1))
    string = await string_for(client, "C-1")
    clock.advance(seconds=1)

    assert (await beat(client, string)).json()["status"] == "EXPIRED"

    assert [row.kind for row in rows(runtime, OutboxRow)] == ["query_license"]


async def test_a_clock_that_jumps_back_loses_nothing(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1")
    string = await string_for(client, "C-1")
    await beat(client, string)

    clock.advance(days=-2)

    assert (await beat(client, string)).status_code == 200
    assert len(rows(runtime, CheckIn)) == 2


def set_facts(runtime: Runtime, license_id: str, **facts: Any) -> None:
    with transaction(runtime.database) as session:
        license = store.license_by_id_for_update(session, license_id)
        assert license is not None
        for name, value in facts.items():
            setattr(license, name, value)
        session.add(license)


def usage_reports(runtime: Runtime) -> list[Any]:
    return [row.payload for row in rows(runtime, OutboxRow) if row.kind == "report_usage"]


STOPPED: dict[str, dict[str, Any]] = {
    "frozen": {"frozen_at": NOW},
    "revoked": {"revoked_at": NOW, "revoked_reason": "No."},
    "expired": {"expires_at": NOW},
    "not confirmed": {"activated_at": None, "provisional_until": NOW},
}
WORKING: dict[str, Any] = {
    "frozen_at": None, "revoked_at": None, "revoked_reason": None, "expires_at": None, "activated_at": NOW,
}  # fmt: skip


@pytest.mark.parametrize("stopped", STOPPED)
async def test_the_first_allowed_check_in_of_a_day_reports_the_use(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock, stopped: str
) -> None:
    license_id = add_license(runtime, "C-1")
    string = await string_for(client, "C-1")
    set_facts(runtime, license_id, **STOPPED[stopped])
    assert (await beat(client, string)).json()["status"] != "ACTIVE"
    assert usage_reports(runtime) == [], "a device that may not work does not use the license"

    set_facts(runtime, license_id, **WORKING)
    for _ in range(2):
        clock.advance(minutes=5)
        assert (await beat(client, string)).json()["status"] == "ACTIVE"

    [report] = usage_reports(runtime)
    assert (report["code"], report["day"]) == ("C-1", "2026-03-01")


async def test_a_use_is_reported_once_a_day_however_often_the_license_stops(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    license_id = add_license(runtime, "C-1")
    string = await string_for(client, "C-1")
    for day in (1, 2):
        for facts in (WORKING, STOPPED["frozen"], WORKING, STOPPED["revoked"], WORKING):
            set_facts(runtime, license_id, **(WORKING | facts))
            clock.advance(minutes=1)
            await beat(client, string)
        assert len(usage_reports(runtime)) == day
        clock.advance(days=1)


async def test_a_device_that_comes_back_on_its_place_reports_its_use(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1")
    string = await string_for(client, "C-1")
    headers = {"Authorization": f"Bearer {string}"}
    await client.post("/v1/devices/release", headers=headers, json={"nonce": "n", "device_info": DEVICE})
    assert (await beat(client, string)).json()["status"] == "RELEASED"

    clock.advance(minutes=5)
    again = await string_for(client, "C-1")
    assert (await beat(client, again)).json()["status"] == "ACTIVE"

    assert len(usage_reports(runtime)) == 1


async def test_the_use_of_a_license_added_by_hand_is_never_reported(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    license_id = add_license(runtime, "C-1", source=MANUAL)
    string = await string_for(client, "C-1")
    set_facts(runtime, license_id, **STOPPED["frozen"])
    await beat(client, string)
    set_facts(runtime, license_id, **WORKING)
    await beat(client, string)

    assert rows(runtime, OutboxRow) == []
