"""One place is one machine: what a license is signed for is what was registered, whatever else a device says."""

from __future__ import annotations

import httpx2
import pytest
from sqlmodel import select

from client_stub.trust import verification
from client_stub.trust.errors import DeviceMismatchError
from client_stub.trust.keys import PinnedKeys
from licsrv.licensing import fingerprints, store
from licsrv.licensing.fingerprints import MOST_BOUND, Part
from licsrv.licensing.tables import Device, License
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import NOW
from tests.licensing.test_activation import add_license, ask

MACHINES = [f"02:00:00:00:00:{n:02X}|DISK-{n}|BOARD-{n}|CPU" for n in range(12)]
CROWD = f"{','.join(m.split('|')[0] for m in MACHINES)}|{','.join(m.split('|')[1] for m in MACHINES)}||CPU"


async def fits(client: httpx2.AsyncClient, text: bytes, machine: str, form: str) -> bool:
    """Whether a program that verifies by itself would run on a machine."""
    keys = PinnedKeys.from_jwks((await client.get("/.well-known/jwks.json")).json())
    verify = verification.verify_license if form == "string" else verification.verify_license_file
    try:
        verify(text, keys, device_info=machine, now=NOW)  # type: ignore[operator]
    except DeviceMismatchError:
        return False
    return True


async def license_of(client: httpx2.AsyncClient, device_info: str, form: str) -> bytes:
    answer = await client.post(f"/v1/licenses/{form}", json=ask("C-1", device_info))
    assert answer.status_code == 200, answer.text
    return answer.content if form == "file" else answer.json()["license_string"].encode("ascii")


@pytest.mark.parametrize("form", ["string", "file"])
async def test_a_strangers_parts_beside_our_own_get_the_stranger_no_license(
    client: httpx2.AsyncClient, runtime: Runtime, form: str
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    await license_of(client, MACHINES[0], form)
    ours, theirs = MACHINES[0].split("|"), MACHINES[1].split("|")

    text = await license_of(client, f"{ours[0]},{theirs[0]}|{ours[1]},{theirs[1]}|{theirs[2]}|CPU", form)

    assert await fits(client, text, MACHINES[0], form)
    assert not await fits(client, text, MACHINES[1], form)


@pytest.mark.parametrize("form", ["string", "file"])
async def test_a_list_of_many_machines_is_cut_down(client: httpx2.AsyncClient, runtime: Runtime, form: str) -> None:
    add_license(runtime, "C-1", device_limit=1)

    text = await license_of(client, CROWD, form)

    assert [await fits(client, text, machine, form) for machine in MACHINES] == [n < MOST_BOUND for n in range(12)]
    string = (await license_of(client, CROWD, "string")).decode("ascii")
    beat = {"nonce": "n", "device_info": MACHINES[MOST_BOUND]}
    answer = await client.post("/v1/heartbeats", json=beat, headers={"Authorization": f"Bearer {string}"})
    assert (answer.status_code, answer.json()["code"]) == (409, "DEVICE_MISMATCH")


async def test_a_text_of_180_addresses_is_taken_with_what_a_file_leaves_around_it(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    macs = [f"3C:52:82:00:{number // 256:02X}:{number % 256:02X}" for number in range(3, 183)]
    machine = f"\ufeff{','.join(macs)}|{'D' * 1700}1|BOARD-0|CPU-1\r\n"

    string = await license_of(client, machine, "string")

    turned = f"{','.join(reversed(macs))}|DISK-NEW-1|BOARD-0|CPU-1\n"
    assert await fits(client, string, turned, "string")
    assert await license_of(client, turned.replace("DISK-NEW-1", f"{'D' * 1700}1"), "string") == string
    for text in (machine, turned, machine.strip("\ufeff\r\n")):
        beat = {"nonce": "n", "device_info": text}
        answer = await client.post("/v1/heartbeats", json=beat, headers={"Authorization": f"Bearer {string.decode()}"})
        assert answer.status_code == 200, answer.text


async def test_a_machine_with_very_many_parts_stays_itself_in_any_order(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    macs = [machine.split("|")[0] for machine in MACHINES]
    await license_of(client, f"{','.join(macs)}|DISK-0|BOARD-0|CPU", "string")

    turned = f"{','.join(reversed(macs))}|DISK-0|BOARD-0|CPU"

    assert await fits(client, await license_of(client, turned, "string"), turned, "string")


@pytest.mark.parametrize("form", ["string", "file"])
async def test_a_cpu_alone_takes_no_place(client: httpx2.AsyncClient, runtime: Runtime, form: str) -> None:
    add_license(runtime, "C-1", device_limit=1)

    answer = await client.post(f"/v1/licenses/{form}", json=ask("C-1", "|||BFEBFBFF00090672"))

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert "CPU only" in answer.json()["detail"]
    with reading(runtime.database) as session:
        assert session.scalars(select(License)).one().places_taken == 0
        assert session.scalars(select(Device)).all() == []


def test_nothing_is_signed_that_was_not_registered() -> None:
    key = b"k" * 32
    known = fingerprints.hash_parts(fingerprints.parse("A8:BB:CC:00:11:22|D1,D2|B1|C1"), key=key)

    found = fingerprints.known_facts(fingerprints.parse("04:7C:16:5E:E3:5D|D2,D3|B1|X1"), known, key=key)

    assert {str(part): values for part, values in found.values.items()} == {"disk": ("D2",), "board": ("B1",)}


VIRTUAL = "3C:52:82:11:22:33|QM00001||BFEBFBFF000906EA"
REPAIRED = "3C:52:82:11:22:33|WD-8|B7|BFEBFBFF000906EA"
OTHER_VIRTUAL = "3C:52:82:AA:BB:CC|QM00001||BFEBFBFF000906EA"


async def test_two_virtual_machines_with_one_default_serial_number_need_two_places(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    text = await license_of(client, VIRTUAL, "string")

    refused = await client.post("/v1/licenses/string", json=ask("C-1", OTHER_VIRTUAL))

    assert (refused.status_code, refused.json()["code"]) == (409, "DEVICE_LIMIT_REACHED")
    assert not await fits(client, text, OTHER_VIRTUAL, "string")
    assert await fits(client, text, VIRTUAL, "string")


def register_as_before(runtime: Runtime, **parts: tuple[str, ...]) -> None:
    """Give the license's device the parts that it would have been registered with under the older rule."""
    facts = fingerprints.DeviceFacts({Part(part): values for part, values in parts.items()})
    with transaction(runtime.database, ()) as session:
        device = session.exec(select(Device)).one()
        hashed = fingerprints.hash_parts(facts, key=runtime.keyring().device_key)
        store.bind_anew(session, device.id, device.license_id, hashed, text_hash=device.text_hash)


@pytest.mark.parametrize(
    ("registered", "asks"),
    [
        ({"mac": ("3C5282112233",), "disk": ("QM00001",), "cpu": ("BFEBFBFF000906EA",)}, VIRTUAL),
        ({"disk": ("QM00001",), "cpu": ("BFEBFBFF000906EA",)}, VIRTUAL),
        ({"mac": ("A8BBCC000000",), "disk": ("WD-7",), "board": ("B7",), "cpu": ("BFEBFBFF000906EA",)}, REPAIRED),
    ],
    ids=["a shared value is left out", "nothing but the CPU is left", "the very same text"],
)
async def test_a_place_taken_under_the_older_rule_is_kept(
    client: httpx2.AsyncClient, runtime: Runtime, registered: dict[str, tuple[str, ...]], asks: str
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    await license_of(client, asks, "string")
    register_as_before(runtime, **registered)

    text = await license_of(client, asks, "string")

    assert await fits(client, text, asks, "string")
    refused = await client.post("/v1/licenses/string", json=ask("C-1", OTHER_VIRTUAL))
    assert refused.status_code == 409
    with reading(runtime.database) as session:
        assert session.exec(select(License)).one().places_taken == 1
