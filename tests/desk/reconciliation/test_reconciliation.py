"""``/admin/api/reconciliation``: what differs is listed, explained, repaired and dismissed; runs start and stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from licsrv.audit import Action
from licsrv.desk.reconciliation import api
from licsrv.marketplace.reconciliation.rules import Kind
from licsrv.people.roles import GRANTABLE
from licsrv.platform.config import Settings
from tests.conftest import make_settings
from tests.marketplace.reconciliation.differing import LATER, differ, expiry
from tests.marketplace.reconciliation.reconciling import change, license_of, name_of, reconciler, seed
from tests.sales import Desk
from tests.staff import House

AT = "/reconciliation"
WHY = {"reason": "checked with the seller center"}


async def drifted(desk: Desk) -> tuple[str, str]:
    """Let two licenses drift at the marketplace: one is renewed there, one is released."""
    renewed, released = desk.buy(), desk.buy()
    for code in (renewed, released):
        await desk.string(code)
    desk.emulator.set_fault("callbacks", "reorder", 9)  # held until nine of them wait: they never arrive
    await desk.emulator.codes.renew(renewed, days=365)
    await desk.emulator.codes.release(released)
    desk.clock.advance(minutes=1)
    return renewed, released


async def test_a_run_is_started_worked_on_and_what_it_found_is_settled(desk: Desk) -> None:
    renewed, released = await drifted(desk)
    started = await desk.post(f"{AT}/start", None)
    again = await desk.post(f"{AT}/start", None)
    during = await desk.get(AT)
    await reconciler(desk.house.runtime, desk.clock).work()
    after = await desk.get(AT)
    found = {one["kind"]: one for one in (await desk.get(f"{AT}/differences"))["items"]}

    repaired = await desk.post(f"{AT}/differences/{found['EXPIRY']['id']}/repair", WHY)
    twice = await desk.post(f"{AT}/differences/{found['EXPIRY']['id']}/repair", WHY)
    dismissed = await desk.post(f"{AT}/differences/{found['STATUS']['id']}/dismiss", WHY)

    assert (started["changed"], again["changed"], started["run"]["id"]) == (True, False, again["run"]["id"])
    assert (during["under_way"]["total"], during["is_configured"]) == (2, True)
    assert (after["under_way"], after["runs"][0]["state"], after["runs"][0]["found"]) == (None, "FINISHED", 2)
    assert after["open"] == {"EXPIRY": 1, "STATUS": 1}
    assert (found["EXPIRY"]["code"], found["STATUS"]["code"]) == (renewed, released)
    assert (found["EXPIRY"]["is_final"], found["STATUS"]["is_final"]) == (False, True)
    assert found["STATUS"]["repairing"]["en"] == "The license will end for good; that cannot be undone."
    assert (repaired["changed"], twice["changed"], dismissed["changed"]) == (True, False, True)
    assert (await desk.get(f"{AT}/differences"))["items"] == []
    left = (await desk.get(f"{AT}/differences?state=dismissed"))["items"]
    assert [(one["code"], one["reason"]) for one in left] == [(released, WHY["reason"])]
    closed = (await desk.get(f"{AT}/differences?state=closed&license={renewed}"))["items"]
    assert [(one["kind"], one["closed_by"] is None) for one in closed] == [("EXPIRY", False)]
    audited = desk.house.audited(Action.DIFFERENCE_REPAIRED, Action.DIFFERENCE_DISMISSED)
    assert [(row.action, row.reason) for row in audited] == [
        ("DIFFERENCE_REPAIRED", WHY["reason"]),
        ("DIFFERENCE_DISMISSED", WHY["reason"]),
    ]


async def test_a_run_is_stopped_for_a_reason_and_runs_are_paged_through(desk: Desk) -> None:
    for _ in range(3):
        await desk.post(f"{AT}/start", None)
        stopped = await desk.post(f"{AT}/stop", WHY)
        desk.clock.advance(minutes=1)
    nothing = await desk.post(f"{AT}/stop", WHY)
    await desk.post(f"{AT}/stop", {}, status=422)

    first = await desk.get(f"{AT}/runs?limit=2")
    second = await desk.get(f"{AT}/runs?limit=2&after={first['next']}")

    assert (stopped["changed"], stopped["run"]["note"]) == (True, WHY["reason"])
    assert nothing == {"changed": False, "run": None}
    assert len({run["id"] for run in first["items"] + second["items"]}) == 3
    assert second["next"] is None


async def test_differences_are_filtered_and_paged_through(desk: Desk) -> None:
    runtime = desk.house.runtime
    seed(runtime, 3)
    ids = [expiry(runtime, license_of(runtime, number).id, number=number) for number in (1, 2, 3)]
    differ(runtime, license_of(runtime, 2).id, Kind.UNANSWERED, "ACTIVE", "busy", number=9)

    first = await desk.get(f"{AT}/differences?kind=EXPIRY&limit=2")
    second = await desk.get(f"{AT}/differences?kind=EXPIRY&limit=2&after={first['next']}")
    of_one = await desk.get(f"{AT}/differences?license={name_of(2)}")

    assert [one["id"] for one in first["items"] + second["items"]] == ids
    assert second["next"] is None
    assert [(one["kind"], one["is_repairable"]) for one in of_one["items"]] == [("EXPIRY", True), ("UNANSWERED", False)]
    for query, status in (("kind=WORSE", 422), ("state=old", 422), ("after=x", 422), ("license=PL-none", 404)):
        answer = await desk.visitor.call("GET", f"/admin/api{AT}/differences?{query}")
        assert answer.status_code == status, query


async def test_all_of_a_kind_are_repaired_and_what_cannot_be_is_left_with_a_reason(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MOST", 5)
    runtime = desk.house.runtime
    count = api.MOST + 2
    seed(runtime, count)
    ids = [expiry(runtime, f"{number:023}", number=number) for number in range(1, count + 1)]
    change(runtime, 1, facts_changed_at=desk.clock.now())
    desk.clock.advance(minutes=1)
    change(runtime, 1, facts_changed_at=desk.clock.now())

    first = await desk.post(f"{AT}/repair", {**WHY, "kind": "EXPIRY"}, **{"Idempotency-Key": "one"})
    replayed = await desk.post(f"{AT}/repair", {**WHY, "kind": "EXPIRY"}, **{"Idempotency-Key": "one"})
    rest = await desk.post(f"{AT}/repair", {**WHY, "kind": "EXPIRY", "after": first["next"]})

    assert first == replayed
    assert [one["id"] for one in first["left"]] == ids[:1]
    assert "has changed since" in first["left"][0]["why"]
    assert first["repaired"] + rest["repaired"] == ids[1:]
    assert (len(rest["repaired"]), rest["next"]) == (2, None)
    assert (await desk.get(AT))["open"] == {"EXPIRY": 1}
    assert {license_of(runtime, number).expires_at for number in (2, count)} == {LATER}
    assert len(desk.house.audited(Action.DIFFERENCE_REPAIRED)) == count - 1


async def test_some_are_repaired_by_their_ids(desk: Desk) -> None:
    runtime = desk.house.runtime
    seed(runtime, 2)
    one = expiry(runtime, license_of(runtime, 1).id)
    unknown = differ(runtime, license_of(runtime, 2).id, Kind.UNKNOWN, "ACTIVE", "no such license", number=1)

    done = await desk.post(f"{AT}/repair", {**WHY, "ids": [one, unknown, one, "0" * 23]})

    assert done["repaired"] == [one, unknown]
    assert [left["id"] for left in done["left"]] == ["0" * 23]
    assert license_of(runtime, 2).revoked_at is not None
    for body in ({}, {"ids": [one], "kind": "EXPIRY"}, {"ids": [one], "after": "x"}, {"ids": ["../"]}):
        await desk.post(f"{AT}/repair", {**WHY, **body}, status=422)


async def test_what_cannot_be_repaired_says_why_and_changes_nothing(desk: Desk) -> None:
    runtime = desk.house.runtime
    seed(runtime, 1)
    silent = differ(runtime, license_of(runtime, 1).id, Kind.UNANSWERED, "ACTIVE", "busy")

    refused = await desk.post(f"{AT}/differences/{silent}/repair", WHY, status=409)
    await desk.post(f"{AT}/differences/{'0' * 23}/repair", WHY, status=404)
    await desk.post(f"{AT}/differences/%00/dismiss", WHY, status=404)
    await desk.post(f"{AT}/differences/{silent}/repair", {}, status=422)

    assert "no value to adopt" in refused["detail"]
    assert (await desk.get(AT))["open"] == {"UNANSWERED": 1}
    assert desk.house.audited(Action.DIFFERENCE_REPAIRED) == []


class TestWithoutAKeyPair:
    @pytest.fixture
    def settings(self, database_url: str, keys_dir: Path) -> Settings:
        return make_settings(database_url, keys_dir, MARKETPLACE_AK="", MARKETPLACE_SK="")

    async def test_nothing_is_started(self, house: House) -> None:
        answer = await house.program(GRANTABLE).call("POST", "/admin/api/reconciliation/start")
        stand = (await house.program(GRANTABLE).call("GET", "/admin/api/reconciliation")).json()

        assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
        assert answer.json()["detail"] == "No key pair (AK/SK) for the marketplace is configured."
        assert (stand["is_configured"], stand["runs"]) == (False, [])
