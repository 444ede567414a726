"""The license page: one sentence, one timeline, devices, a year of use, and the marketplace's view beside ours."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import inspect, text

from licsrv.people.roles import GRANTABLE
from licsrv.platform import paging
from licsrv.platform.db import transaction
from tests.conftest import DEVICE, NOW, OTHER_DEVICE
from tests.desk.licenses.test_search import NAUGHTY
from tests.sales import Desk


async def test_the_page_says_what_a_license_is_and_offers_what_can_be_done(desk: Desk) -> None:
    code = desk.buy()
    license_string = await desk.string(code, name=NAUGHTY)
    await desk.beat(license_string)

    page = await desk.get(f"/licenses/{code}")

    assert page["license"]["code"] == code
    assert page["license"]["says"]["en"].endswith("1 of 2 places taken.")
    assert page["devices"][0]["name"] == NAUGHTY
    assert page["devices"][0]["last_status"] == "ACTIVE"
    assert page["devices"][0]["match"] is None
    assert "revoke" in page["actions"]
    assert "reinstate" not in page["actions"]


async def test_an_unknown_license_has_no_page(desk: Desk) -> None:
    for path in ("", "/timeline", "/usage", "/devices"):
        answer = await desk.visitor.call("GET", f"/admin/api/licenses/NONE{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "LICENSE_NOT_FOUND")


async def test_devices_are_compared_with_a_pasted_fingerprint(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    await desk.string(code, OTHER_DEVICE, name="other")

    page = await desk.post(f"/licenses/{code}/match", {"device_info": OTHER_DEVICE})

    assert [row["name"] for row in page["devices"]] == ["other", "CAD-WS-07"]
    assert [row["match"]["is_same_device"] for row in page["devices"]] == [True, False]
    await desk.post(f"/licenses/{code}/match", {"device_info": "no"}, status=422)


async def test_the_timeline_tells_everything_and_a_page_follows_the_other(desk: Desk) -> None:
    code = desk.buy()
    license_string = await desk.string(code)
    for _ in range(3):
        await desk.beat(license_string)
        desk.clock.advance(days=1)
    await desk.house.runtime.worker.drain()
    await desk.act(code, "add_note", text=NAUGHTY)
    await desk.act(code, "revoke")

    whole = (await desk.get(f"/licenses/{code}/timeline?limit=200"))["items"]
    paged, after = [], ""
    while True:
        page = await desk.get(f"/licenses/{code}/timeline?limit=2{after}")
        paged += page["items"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"

    assert paged == whole
    assert {item["kind"] for item in whole} == {"order", "change", "contact", "note", "report"}
    assert [item["at"] for item in whole] == sorted((item["at"] for item in whole), reverse=True)
    assert sum(item["kind"] == "contact" for item in whole) == 3
    assert [item["text"] for item in whole if item["kind"] == "note"] == [NAUGHTY]
    assert len({(item["at"], item["key"]) for item in whole}) == len(whole)


async def test_a_cursor_of_another_list_is_refused(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)

    end_of_time = paging.cursor(("9999-12-31T23:59:59+00:00", "contact:z"))
    for after in ("WyJhIl0", "WyJhIiwiYiJd", "WyIyMDI2LTAxLTAxIiwiYXVkaXQ6eCJd", "x", end_of_time):
        answer = await desk.visitor.call("GET", f"/admin/api/licenses/{code}/timeline?after={after}")
        assert answer.status_code == 422, after


async def test_devices_are_listed_page_by_page(desk: Desk) -> None:
    code = desk.buy(amount=3)
    for number in range(3):
        await desk.string(code, f"02:00:00:00:00:0{number}|DISK-{number}|B{number}|CPU", name=f"d{number}")

    first = await desk.get(f"/licenses/{code}/devices?limit=2")
    second = await desk.get(f"/licenses/{code}/devices?limit=2&after={first['next']}")

    assert sorted(row["name"] for row in first["items"] + second["items"]) == ["d0", "d1", "d2"]
    assert second["next"] is None


async def test_a_year_of_use_counts_devices_by_day(desk: Desk) -> None:
    code = desk.buy(days=900)
    mine, other = await desk.string(code), await desk.string(code, OTHER_DEVICE)
    await desk.beat(mine)
    desk.clock.advance(days=2)
    await desk.beat(mine)
    await desk.beat(other, OTHER_DEVICE)

    usage = await desk.get(f"/licenses/{code}/usage")

    assert [day["devices"] for day in usage["days"]] == [1, 2]
    assert usage["last_day"] == usage["days"][-1]["day"]
    desk.clock.advance(days=366)
    desk.visitor = desk.house.program(GRANTABLE)  # the first token has run out
    assert (await desk.get(f"/licenses/{code}/usage"))["days"] == []


async def test_compare_now_asks_the_marketplace(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    same = await desk.post(f"/licenses/{code}/compare", {})
    with transaction(desk.house.runtime.database) as session:
        later = NOW + timedelta(days=400)
        session.execute(text("UPDATE licenses SET expires_at = :later").bindparams(later=later.replace(tzinfo=None)))

    compared = await desk.post(f"/licenses/{code}/compare", {})

    assert same["says"]["en"] == "It agrees with the marketplace."
    assert [one["kind"] for one in compared["differences"]] == ["EXPIRY"]
    assert compared["marketplace"]["status"] == "ALIVE"


async def test_the_indexes_of_beginnings_are_there(desk: Desk) -> None:
    database = desk.house.runtime.database
    with database.read.connect() as connection:
        if database.is_sqlite:
            names = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'index'")).scalars())
        else:
            names = {
                index["name"] for table in ("licenses", "devices") for index in inspect(connection).get_indexes(table)
            }

    assert {"ix_licenses_code_folded", "ix_licenses_customer_folded", "ix_devices_name_folded"} <= names


async def test_a_fingerprint_on_the_page_stays_out_of_the_log(desk: Desk, capsys: object) -> None:
    code = desk.buy()
    await desk.string(code)
    capsys.readouterr()  # type: ignore[attr-defined]

    await desk.post(f"/licenses/{code}/match", {"device_info": DEVICE})

    assert "001B_444A" not in capsys.readouterr().out  # type: ignore[attr-defined]
