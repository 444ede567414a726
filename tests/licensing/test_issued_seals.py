"""A license on record counts only where this server handed it out: a row put into the database is not recognised."""

from __future__ import annotations

import httpx2
import pytest
from sqlalchemy import text

from licsrv.emulator.emulator import Emulator
from licsrv.licensing import store
from licsrv.licensing.issuing import strings
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, StandingClock
from tests.staff import House, house

INVENTED = "not.a.license"
__all__ = ["house"]
COLUMNS = "license_id, device_id, form, key_id, claims, issued_at"
FORGED = {
    "inserted with the seal of another": (
        f"INSERT INTO issued_licenses (id, digest, seal, {COLUMNS}) SELECT 'forged', :digest, seal, {COLUMNS} "
        "FROM issued_licenses"
    ),
    "inserted without a seal": (
        f"INSERT INTO issued_licenses (id, digest, {COLUMNS}) SELECT 'forged', :digest, {COLUMNS} FROM issued_licenses"
    ),
    "exchanged": "UPDATE issued_licenses SET digest = :digest",
}


@pytest.mark.parametrize("how", FORGED)
async def test_a_forged_row_makes_no_bearer(house: House, how: str) -> None:
    from tests.console.furnishing import CODE, ask, furnish

    await furnish(house, CODE, days=0)
    with transaction(house.runtime.database) as session:
        session.execute(text("DELETE FROM issued_licenses WHERE id <> (SELECT min(id) FROM issued_licenses)"))
        session.execute(text(FORGED[how]), {"digest": strings.digest(INVENTED)})
    headers = {"Authorization": f"Bearer {INVENTED}"}
    transport = httpx2.ASGITransport(app=house.app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://licsrv.test") as http:
        answers = [
            await http.post("/v1/heartbeats", json={"nonce": "n", "device_info": DEVICE}, headers=headers),
            await http.post("/v1/devices/release", json={"device_info": DEVICE}, headers=headers),
            await http.post("/v1/versions/check", headers=headers,
                            json={"product": "CAD-PRO", "version": "1.0", "channel": "stable", "platform": "win"}),
        ]  # fmt: skip

        assert [answer.status_code for answer in answers] == [401] * 3
        good = await ask(http, CODE, DEVICE, "CAD-WS-07")
        assert good.status_code == 200, "a device that asks with its code is served"
    assert unsealed(house.runtime) == 1


def unsealed(runtime: Runtime) -> int:
    with reading(runtime.database) as session:
        rows = store.newest_issued(session, 100)
        return sum(not runtime.keyring().is_issued_here(row.seal, row[:-1]) for row in rows)


async def test_what_was_on_record_before_seals_is_sealed_page_by_page(house: House) -> None:
    from tests.console.furnishing import furnish

    await furnish(house, days=0)
    with transaction(house.runtime.database) as session:
        session.execute(text("UPDATE issued_licenses SET seal = NULL"))
    assert unsealed(house.runtime) == 2

    with transaction(house.runtime.database) as session:
        assert store.reseal_issued(session, "", house.runtime.keyring().issued_seal) is None

    assert unsealed(house.runtime) == 0


async def test_a_device_whose_row_has_no_seal_is_served_again_when_it_asks_with_its_code(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    body = {"code": emulator.codes.buy(days=30).code, "device_info": DEVICE, "nonce": "n"}

    async def ask() -> str:
        return str((await client.post("/v1/licenses/string", json=body)).json()["license_string"])

    async def status(string: str) -> int:
        beat = {"nonce": "n", "device_info": DEVICE}
        headers = {"Authorization": f"Bearer {string}"}
        return (await client.post("/v1/heartbeats", json=beat, headers=headers)).status_code

    before = await ask()
    assert (await ask(), await status(before)) == (before, 200)
    with transaction(runtime.database) as session:  # an older backup, or a replica without seals
        session.execute(text("UPDATE issued_licenses SET seal = NULL"))

    assert await status(before) == 401
    clock.advance(seconds=1)
    after = await ask()
    assert (after != before, await status(after), await ask()) == (True, 200, after)
