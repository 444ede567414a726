"""The desk shows what needs somebody at the first sign of it, and the lists are paged."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from sqlalchemy import text

from licsrv import audit
from licsrv.audit.entries import GENESIS, entry_hash
from licsrv.licensing import refused_devices
from licsrv.licensing import store as licensing_store
from licsrv.licensing.refused_devices import Refused
from licsrv.platform.db import transaction
from tests import products
from tests.conftest import DEVICE, NOW, OTHER_DEVICE
from tests.sales import Desk


async def test_a_quiet_house_alerts_nobody(desk: Desk) -> None:
    board = await desk.get("/desk")

    assert board["alerts"] == []
    assert board["outbox"]["still"] == []


async def test_refusals_are_counted_by_device_and_reason(desk: Desk) -> None:
    code = desk.buy(amount=1)
    license_string = await desk.string(code)
    for _ in range(3):
        await desk.ask(code, OTHER_DEVICE)
    await desk.beat(license_string, OTHER_DEVICE)
    await desk.act(code, "revoke")
    await desk.beat(license_string)
    await desk.ask("PLNOBODY", OTHER_DEVICE)

    refused = (await desk.get("/desk"))["refused"]

    found = {(row["why"], row["count"], row["code"], row["name"], row["device_id"] is not None) for row in refused}
    assert found == {
        ("DEVICE_LIMIT_REACHED", 3, code, "other", False),
        ("DEVICE_MISMATCH", 1, code, "CAD-WS-07", True),
        ("REVOKED", 1, code, "CAD-WS-07", True),
    }


async def test_refusals_of_one_license_take_only_so_many_rows(desk: Desk) -> None:
    with transaction(desk.house.runtime.database) as session:
        for number in range(refused_devices.MOST + 20):
            refused_devices.note(session, Refused("L", f"device{number}", "DEVICE_LIMIT_REACHED"), now=NOW)

    rows = [row for row in (await desk.get("/desk"))["refused"] if row["license_id"] == "L"]

    assert len(rows) <= refused_devices.MOST
    with transaction(desk.house.runtime.database) as session:
        licensing_store.prune_refusals(session, before=datetime(2026, 3, 2, tzinfo=UTC).date())
    assert (await desk.get("/desk"))["refused"] == []


async def test_what_ends_soon_and_what_is_frozen_is_listed(desk: Desk) -> None:
    soon, later, frozen = desk.buy(days=5), desk.buy(days=100), desk.buy(days=90)
    for code in (soon, later, frozen):
        await desk.string(code)
    row = await desk.get(f"/licenses/{frozen}")
    with transaction(desk.house.runtime.database) as session:
        from licsrv.licensing.tables import License

        license = session.get_one(License, row["license"]["id"])
        license.frozen_at = NOW
        session.add(license)

    board = await desk.get("/desk")

    assert [row["code"] for row in board["ending"]] == [soon]
    assert [row["code"] for row in board["frozen"]] == [frozen]


async def test_an_outbox_that_stands_still_is_shown_and_can_be_moved(desk: Desk) -> None:
    code = desk.buy()
    await desk.beat(await desk.string(code))
    desk.clock.advance(minutes=20)

    board = await desk.get("/desk")
    waiting = (await desk.get(f"/outbox?license={code}"))["items"]
    dropped = await desk.post(f"/outbox/{waiting[0]['id']}/drop", {"reason": "no use"})
    again = await desk.post(f"/outbox/{waiting[0]['id']}/drop", {"reason": "no use"})
    retried = await desk.post(f"/outbox/{waiting[0]['id']}/retry", {"reason": "try again"})

    assert "outbox" in {alert["area"] for alert in board["alerts"]}
    assert {row["code"] for row in board["outbox"]["still"]} == {code}
    assert (dropped["changed"], again["changed"], retried["changed"]) == (True, False, True)
    await desk.post("/outbox/99999/retry", {"reason": "because"}, status=404)
    await desk.post("/outbox/x/retry", {"reason": "because"}, status=404)


async def test_a_callback_is_shown_at_its_first_failure(desk: Desk) -> None:
    from licsrv.marketplace import store

    row = {
        "id": "zz", "received_at": NOW, "is_signed": True, "key_digest": "", "activity": "RELEASE_LICENSE",
        "code": "PLX", "is_probe": True, "result_code": "000005", "message": "no", "body": "{}", "body_bytes": 2,
        "request_id": "",
    }  # fmt: skip
    with transaction(desk.house.runtime.database) as session:
        store.log_callback(session, row)

    board = await desk.get("/desk")
    failed = await desk.get("/callbacks?failed=1&code=PLX")

    assert [alert["area"] for alert in board["alerts"]] == ["probes"]
    assert [one["id"] for one in failed["items"]] == ["zz"]


async def test_the_audit_is_listed_and_exported_so_that_anybody_can_check_the_chain(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    await desk.act(code, "revoke", reason="Für 本田 “x”")

    first = await desk.get("/audit?limit=1")
    second = await desk.get(f"/audit?limit=1&after={first['next']}")
    of_license = await desk.get(f"/audit?subject={code}&action=LICENSE_REVOKED")
    lines = (await desk.visitor.call("GET", "/admin/api/audit/export")).text.splitlines()

    assert first["items"][0]["seq"] == second["items"][0]["seq"] + 1
    assert [row["reason"] for row in of_license["items"]] == ["Für 本田 “x”"]
    last = GENESIS
    for line in lines:
        row = json.loads(line)
        at = datetime.fromisoformat(row["at"]).isoformat()
        members = ("actor", "action", "subject", "reason", "detail", "request_id")
        last = entry_hash(last, (str(row["seq"]), at, *(row[name] for name in members)))
        assert last == row["hash"]
    assert len(lines) == first["items"][0]["seq"]


async def test_the_audit_is_checked_against_an_end_that_was_noted(desk: Desk) -> None:
    await desk.string(desk.buy())
    whole = await desk.get("/audit/check")
    with transaction(desk.house.runtime.database) as session:
        session.execute(text("DELETE FROM audit_entries WHERE seq > 1"))
        session.execute(text("UPDATE audit_head SET seq = 1, hash = (SELECT hash FROM audit_entries)"))

    found = await desk.get(f"/audit/check?noted={whole['end']}")

    assert (whole["is_intact"], whole["problem"], whole["entries"] > 1) == (True, None, True)
    assert (found["is_intact"], "were cut off" in found["problem"]) == (False, True)
    assert (await desk.visitor.call("GET", "/admin/api/audit/check?noted=5")).status_code == 422


async def test_an_action_whose_audit_entry_cannot_be_written_does_not_happen(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    with transaction(desk.house.runtime.database) as session:
        session.execute(text("DELETE FROM audit_head"))

    answer = await desk.visitor.call("POST", f"/admin/api/licenses/{code}/actions/revoke/do", {"reason": "because"})

    assert answer.status_code == 503
    assert (await desk.get(f"/licenses/{code}"))["license"]["status"] == "ACTIVE"


async def test_products_keys_and_releases_are_listed(desk: Desk) -> None:
    keys = (await desk.get("/keys"))["items"]

    assert {key["purpose"] for key in keys} == {"license", "lease", "release"}
    assert all("private" not in json.dumps(key) for key in keys)
    assert (await desk.get("/products"))["items"] == []
    assert (await desk.get("/releases"))["items"] == []


async def test_lists_refuse_words_that_they_do_not_know(desk: Desk) -> None:
    paths = ("outbox?state=GONE", "audit?action=NO", "outbox?after=x", "audit/export?after_seq=-1", "callbacks?limit=0")
    for path in paths:
        answer = await desk.visitor.call("GET", f"/admin/api/{path}")
        assert answer.status_code == 422, path


async def test_a_device_that_works_costs_the_list_nothing(desk: Desk) -> None:
    await desk.beat(await desk.string(desk.buy()), DEVICE)

    assert (await desk.get("/desk"))["refused"] == []


async def test_answers_that_cannot_be_read_and_licenses_without_an_end_are_alarms(desk: Desk) -> None:
    from licsrv.audit import Cause
    from licsrv.licensing import changes
    from licsrv.licensing.changes import Purchase
    from licsrv.licensing.tables import Product
    from licsrv.marketplace import store

    with transaction(desk.house.runtime.database) as session:
        session.add(Product(product_id="ONCE", name="sold once", one_off=True))
        for number, (source, product, ends) in enumerate(
            [
                ("marketplace", "RENTED", None), ("online", "", None), ("marketplace", "ONCE", None),
                ("marketplace", "RENTED", NOW), ("manual", "RENTED", None),
            ]
        ):  # fmt: skip
            purchase = Purchase(f"PL{number}", source, product_id=product, expires_at=ends)
            changes.add(session, purchase, cause=Cause("test"), now=NOW)
        store.note_reading(session, "PL7", ["expire_time"], now=NOW)
        store.note_reading(session, "PL8", ["amount"], now=NOW)
        store.note_reading(session, "PL8", [], now=NOW)

    board = await desk.get("/desk")

    assert (board["unread_answers"], board["endless"]) == (["PL7"], 2)
    assert [alert["says"]["en"] for alert in board["alerts"] if alert["area"] == "ends"] == [
        "1 answer of the marketplace about PL7 cannot be read.",
        "2 licenses have no end, and their products are not marked as sold once.",
    ]


async def test_a_license_whose_places_were_lowered_below_its_devices_is_listed_until_they_fit(desk: Desk) -> None:
    from licsrv.audit import Cause
    from licsrv.licensing import changes, store

    code = desk.buy(amount=2)
    await desk.string(code)
    await desk.string(code, OTHER_DEVICE)

    def lower(amount: int) -> None:
        with transaction(desk.house.runtime.database) as session:
            license = store.license_for_update(session, code)
            assert license is not None
            changes.change_amount(session, license, amount, cause=Cause("marketplace"), now=NOW)

    lower(1)
    board = await desk.get("/desk")
    assert [(row["code"], row["places_taken"], row["places"]) for row in board["overfull"]] == [(code, 2, 1)]
    assert [alert["says"]["en"] for alert in board["alerts"] if alert["area"] == "places"] == [
        "1 license has more in use than was bought."
    ]

    lower(2)
    board = await desk.get("/desk")
    assert board["overfull"] == []
    assert "places" not in {alert["area"] for alert in board["alerts"]}


async def test_licenses_that_a_policy_gives_fewer_places_than_devices_are_listed_until_they_fit(desk: Desk) -> None:
    codes = [desk.buy(), desk.buy()]
    database = desk.house.runtime.database
    with transaction(database, [audit.seal]) as session:
        products.describe(session, "OFFI1", {"places.limit": 2, "places.amount_counts": False})
    for code, device in ((codes[0], DEVICE), (codes[0], OTHER_DEVICE), (codes[1], DEVICE)):
        await desk.string(code, device)

    with transaction(database, [audit.seal]) as session:
        products.change(session, "OFFI1", {"places.limit": 1})
    lowered = await desk.get("/desk")
    with transaction(database, [audit.seal]) as session:
        products.change(session, "OFFI1", {"places.limit": 2})
    raised = await desk.get("/desk")

    assert [(row["code"], row["places_taken"], row["places"]) for row in lowered["overfull"]] == [(codes[0], 2, 1)]
    assert raised["overfull"] == []


async def test_a_place_that_many_machines_use_is_an_alarm_for_two_days(desk: Desk) -> None:
    code = desk.buy(amount=1)
    license_string = await desk.string(code)
    docked = [DEVICE.replace("|", f",3C:52:82:00:00:{number:02X}|", 1) for number in range(3)]
    for said in docked[:2]:
        await desk.beat(license_string, said)
    assert (await desk.get("/desk"))["many_texts"] == []

    await desk.beat(license_string, docked[2])

    board = await desk.get("/desk")
    assert [(row["code"], row["name"], row["count"]) for row in board["many_texts"]] == [(code, "CAD-WS-07", 3)]
    assert [alert["says"]["en"] for alert in board["alerts"]] == [
        f"1 device of {code} described itself in many ways on one day: several machines may share its place."
    ]
    desk.clock.advance(days=2)
    assert (await desk.get("/desk"))["many_texts"] == []
