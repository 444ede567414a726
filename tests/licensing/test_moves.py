"""Programs move places within a budget; a license file holds its place; staff has no limit."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import httpx2
import pytest
from sqlmodel import select

from licsrv.audit import Cause
from licsrv.errors import MoveLimitError
from licsrv.licensing import changes, releasing
from licsrv.licensing.changes import Purchase
from licsrv.licensing.moves import MoveRules, require_move
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.tables import Device, License
from licsrv.platform import moments
from licsrv.platform.db import transaction
from licsrv.runtime import Runtime
from tests.conftest import NOW, StandingClock
from tests.tables import each

HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)
RULES = MoveRules(per_place=2, span=30 * DAY, cool_down=DAY)
FREE = MoveRules(per_place=2, span=30 * DAY, cool_down=DAY, file_holds_place=False)
LAST = NOW + 300 * DAY
# Rules, the moves before (how long ago), the ends of files held, places, and when the next move is possible.
TABLE = (
    (RULES, [], [], 1, NOW),
    (RULES, [DAY - SECOND], [], 1, NOW + SECOND),
    (RULES, [DAY], [], 1, NOW),
    (RULES, [SECOND], [], 2, NOW),
    (RULES, [SECOND, HOUR], [], 2, NOW + DAY - HOUR),
    (RULES, [2 * DAY, 3 * DAY], [], 1, NOW + 27 * DAY),
    (RULES, [2 * DAY, 30 * DAY], [], 1, NOW),
    (RULES, [2 * DAY, 30 * DAY - SECOND], [], 1, NOW + SECOND),
    (RULES, [HOUR, 3 * DAY], [], 1, NOW + 27 * DAY),
    (RULES, [2 * DAY, 3 * DAY, 4 * DAY], [], 2, NOW),
    (RULES, [2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY], [], 2, NOW + 25 * DAY),
    (RULES, [], [NOW - DAY], 1, NOW),
    (RULES, [], [NOW], 1, NOW),
    (RULES, [], [NOW + DAY, LAST], 1, LAST),
    (RULES, [], [None, LAST], 1, None),
    (FREE, [], [None, LAST], 1, NOW),
    (MoveRules(per_place=0), [], [], 1, None),
    (MoveRules(per_place=4, cool_down=timedelta(0)), [SECOND, SECOND, SECOND], [], 1, NOW),
)


def device(number: int) -> str:
    return f"02:00:00:00:00:{number:02X}|DISK-{number}|BOARD-{number}|CPU"


def add_license(runtime: Runtime, code: str, **facts: object) -> None:
    with transaction(runtime.database) as session:
        purchase = Purchase(code, MANUAL, **facts)  # type: ignore[arg-type]
        changes.add(session, purchase, cause=Cause("test"), now=NOW - DAY)


async def ask(client: httpx2.AsyncClient, number: int, *, form: str = "string") -> httpx2.Response:
    body = {"code": "C-1", "device_info": device(number), "nonce": "n"}
    return await client.post(f"/v1/licenses/{form}", json=body)


async def give_back(client: httpx2.AsyncClient, string: str, number: int) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {string}"}
    return await client.post("/v1/devices/release", headers=headers, json={"device_info": device(number)})


def test_a_move_is_possible_when_the_rules_say_so() -> None:
    for row in each(TABLE):
        with row as (rules, ago, ends, places, next_at):
            moved = [NOW - span for span in ago]
            if next_at == NOW:
                require_move(rules, moved, ends, places=places, now=NOW)
                continue
            with pytest.raises(MoveLimitError) as refused:
                require_move(rules, moved, ends, places=places, now=NOW)
            assert refused.value.extra["next_move_at"] == moments.rfc3339(next_at)
            if next_at is not None and not ends:
                require_move(rules, moved, ends, places=places, now=next_at)


async def test_one_place_serves_few_devices_in_a_loop(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    served = 0
    for number in range(1, 26):
        answer = await ask(client, number)
        if answer.status_code != 200:
            break
        served += 1
        refused = await give_back(client, answer.json()["license_string"], number)
        clock.advance(hours=24)

    assert (served, refused.status_code, refused.json()["code"]) == (5, 409, "MOVE_LIMIT_REACHED")
    next_at = datetime.fromisoformat(refused.json()["next_move_at"])
    assert next_at == NOW + 30 * DAY
    assert (await ask(client, 5)).status_code == 200  # the device kept its place and its license
    clock.move_to(next_at)
    string = (await ask(client, 5)).json()["license_string"]
    assert (await give_back(client, string, 5)).status_code == 200


async def test_a_license_file_holds_its_place(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1", device_limit=1, expires_at=NOW + 300 * DAY)
    assert (await ask(client, 1, form="file")).status_code == 200
    string = (await ask(client, 1)).json()["license_string"]

    refused = await give_back(client, string, 1)

    assert (refused.status_code, refused.json()["code"]) == (409, "MOVE_LIMIT_REACHED")
    assert refused.json()["next_move_at"] == moments.rfc3339(NOW + 300 * DAY)
    assert (await ask(client, 2)).status_code == 409
    assert (await ask(client, 1)).json()["license_string"] == string


async def test_staff_releases_without_a_limit_and_costs_programs_nothing(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    for number in range(1, 8):
        assert (await ask(client, number, form="file")).status_code == 200
        with transaction(runtime.database) as session:
            [holder] = [row for row in session.exec(select(Device)).all() if row.released_at is None]
            releasing.release_device(session, holder, cause=Cause("staff:ann", reason="moved"), now=NOW)
    string = (await ask(client, 8)).json()["license_string"]

    assert (await give_back(client, string, 8)).status_code == 200


async def test_releases_that_arrive_together_are_counted_together(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1", device_limit=3)
    strings = [(await ask(client, number)).json()["license_string"] for number in range(3)]

    async def move(number: int) -> int:
        done = await give_back(client, strings[number], number)
        await ask(client, number)
        again = await give_back(client, (await ask(client, number)).json().get("license_string", ""), number)
        return (done.status_code == 200) + (again.status_code == 200)

    moved = sum(await asyncio.gather(*(move(number) for number in range(3))))

    assert moved == 3  # one for each place within the cool-down
    with transaction(runtime.database) as session:
        held = [row for row in session.exec(select(Device)).all() if row.released_at is None]
        assert session.exec(select(License)).one().places_taken == len(held)


async def test_asking_again_after_a_release_costs_nothing(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1", device_limit=1)
    string = (await ask(client, 1)).json()["license_string"]

    answers = [await give_back(client, string, 1) for _ in range(10)]

    assert {answer.status_code for answer in answers} == {200}
