"""What each action decides about a license: one rule for a preview, the action itself and a list. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from licsrv.desk.bulk import rules
from licsrv.desk.bulk.rules import FOR_LISTS, Outcome, Task
from licsrv.desk.licenses.actions import ACTIONS
from licsrv.desk.licenses.actions.staff_action import Change, Decision, Given, PlacesNow, Refused, Takes
from licsrv.licensing.clones import Branch
from licsrv.licensing.moves import MoveRules
from licsrv.licensing.moving import SeenDevice
from licsrv.licensing.origins import MANUAL, SoldFact
from licsrv.licensing.own_sales import NewTerms
from licsrv.licensing.tables import Device
from licsrv.seats.tables import Seat
from licsrv.words.texts import in_both
from tests.conftest import NOW

EARLIER = NOW - timedelta(days=20)
SOON, LATER, LATEST = (NOW + timedelta(days=days) for days in (10, 20, 90))
DEVICE = Device(id="d", license_id="l", name="CAD", parts={}, first_seen_at=NOW)
SEAT, ENDED = (
    Seat(
        id="s", license_id="l", device_id="d", session="s", holder="h", since=NOW, until=SOON, seconds=900, ended_at=at
    )
    for at in (None, NOW)
)
GONE = Device(id="d", license_id="l", name="CAD", parts={}, first_seen_at=NOW, released_at=NOW)


@dataclass(frozen=True)
class Facts:
    """A license as a list reads it."""

    code: str = "PL1"
    activated_at: datetime | None = NOW
    provisional_until: datetime | None = None
    refused_reason: str | None = None
    expires_at: datetime | None = NOW
    grace_until: datetime | None = None
    frozen_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_reason: str | None = None
    released_at: datetime | None = None
    maintenance_until: datetime | None = None
    source: str = MANUAL
    created_at: datetime = NOW - timedelta(days=30)
    product_id: str = "CAD"
    customer: str = "Ann"
    device_limit: int | None = None
    places_taken: int = 2
    features: tuple[str, ...] | None = None


CATALOGUE = {"CAD": ["draw", "export"], "LITE": ["draw"]}


def terms(*named: SoldFact, **values: Any) -> Given:
    return Given(terms=NewTerms(frozenset(named), **values), catalogue=CATALOGUE)


COPIES = {
    "one": Branch("one", "one", head=NOW, since=NOW, origin=NOW, proven_at=NOW),
    "two": Branch("two", "one", head=NOW, since=NOW, origin=NOW, blessed_from=NOW),
}
END, PLACES, FEATURES, CUSTOMER, PRODUCT = SoldFact
BOUGHT = Facts(source="marketplace", activated_at=EARLIER, expires_at=SOON)
SOLD = Facts(activated_at=EARLIER, expires_at=SOON)
PLAIN, RELEASED, REVOKED = Facts(), Facts(released_at=NOW), Facts(revoked_at=NOW)
ROOM, FULL = PlacesNow(is_full=False), PlacesNow(is_full=True)
LONG = PlacesNow(is_full=False, moves=MoveRules(unseen_for=timedelta(days=10)))
UNSEEN = SeenDevice("d", "l", "CAD", has_place=True, seen_at=EARLIER)
TABLE = (
    ("revoke", PLAIN, Given(), "Change"),
    ("revoke", Facts(frozen_at=NOW), Given(), "Change"),
    ("revoke", REVOKED, Given(), "Unchanged"),
    ("revoke", RELEASED, Given(), "Refused"),
    ("reinstate", PLAIN, Given(), "Unchanged"),
    ("reinstate", REVOKED, Given(), "Change"),
    ("reinstate", Facts(revoked_at=NOW, released_at=NOW), Given(), "Change"),
    ("release_place", PLAIN, Given(), "Refused"),
    ("release_place", PLAIN, Given(DEVICE), "Change"),
    ("release_place", PLAIN, Given(GONE), "Unchanged"),
    ("release_place", RELEASED, Given(DEVICE), "Change"),
    ("restore_place", PLAIN, Given(), "Refused"),
    ("restore_place", PLAIN, Given(DEVICE, places=ROOM), "Unchanged"),
    ("restore_place", PLAIN, Given(GONE, places=ROOM), "Change"),
    ("restore_place", PLAIN, Given(GONE, places=FULL), "Refused"),
    ("restore_place", RELEASED, Given(GONE, places=ROOM), "Refused"),
    ("release_unseen", PLAIN, Given(places=ROOM), "Unchanged"),
    ("release_unseen", PLAIN, Given(places=LONG), "Unchanged"),
    ("release_unseen", PLAIN, Given(places=replace(LONG, unseen=[UNSEEN])), "Change"),
    ("release_unseen", RELEASED, Given(places=replace(LONG, unseen=[UNSEEN])), "Refused"),
    ("free_seat", PLAIN, Given(), "Refused"),
    ("free_seat", PLAIN, Given(seat=SEAT), "Change"),
    ("free_seat", RELEASED, Given(seat=SEAT), "Change"),
    ("free_seat", PLAIN, Given(seat=ENDED), "Unchanged"),
    ("extend_grace", PLAIN, Given(until=SOON), "Change"),
    ("extend_grace", PLAIN, Given(until=LATEST), "Change"),
    ("extend_grace", PLAIN, Given(until=LATEST + timedelta(seconds=1)), "Refused"),
    ("extend_grace", PLAIN, Given(until=NOW), "Refused"),
    ("extend_grace", PLAIN, Given(), "Unchanged"),
    ("extend_grace", Facts(grace_until=SOON), Given(), "Change"),
    ("extend_grace", Facts(grace_until=SOON), Given(until=SOON), "Unchanged"),
    ("extend_grace", Facts(grace_until=SOON), Given(until=LATER), "Change"),
    ("extend_grace", Facts(grace_until=LATER), Given(until=SOON), "Change"),
    ("extend_grace", Facts(expires_at=SOON), Given(until=SOON), "Refused"),
    ("extend_grace", Facts(expires_at=SOON), Given(until=LATER), "Change"),
    ("extend_grace", Facts(expires_at=None), Given(until=SOON), "Refused"),
    ("extend_grace", Facts(activated_at=None), Given(until=SOON), "Refused"),
    ("extend_grace", RELEASED, Given(until=SOON), "Refused"),
    ("set_maintenance", PLAIN, Given(until=SOON), "Change"),
    ("set_maintenance", PLAIN, Given(), "Unchanged"),
    ("set_maintenance", Facts(maintenance_until=SOON), Given(until=SOON), "Unchanged"),
    ("set_maintenance", Facts(maintenance_until=SOON), Given(), "Change"),
    ("set_maintenance", RELEASED, Given(until=SOON), "Refused"),
    ("extend", SOLD, Given(until=LATER), "Change"),
    ("extend", Facts(activated_at=EARLIER), Given(until=LATER), "Change"),  # it has ended
    ("extend", SOLD, Given(until=SOON), "Unchanged"),
    ("extend", Facts(expires_at=None), Given(until=SOON), "Unchanged"),
    ("extend", Facts(activated_at=EARLIER, expires_at=LATER), Given(until=SOON), "Refused"),
    ("extend", SOLD, Given(until=NOW), "Refused"),
    ("extend", SOLD, Given(), "Refused"),
    ("extend", RELEASED, Given(until=SOON), "Refused"),
    ("extend", Facts(revoked_at=NOW, activated_at=EARLIER), Given(until=SOON), "Change"),
    ("extend", BOUGHT, Given(until=LATER), "Refused"),
    ("extend", Facts(source="one that no room knows"), Given(until=LATER), "Refused"),
    ("set_terms", SOLD, Given(), "Refused"),
    ("set_terms", SOLD, terms(END, expires_at=SOON), "Unchanged"),
    ("set_terms", SOLD, terms(END), "Change"),
    ("set_terms", SOLD, terms(END, expires_at=EARLIER), "Refused"),
    ("set_terms", SOLD, terms(END, expires_at=EARLIER + timedelta(microseconds=1)), "Change"),
    ("set_terms", SOLD, terms(PLACES, device_limit=1), "Change"),
    ("set_terms", SOLD, terms(PLACES), "Unchanged"),
    ("set_terms", SOLD, terms(FEATURES, features=["draw"]), "Change"),
    ("set_terms", SOLD, terms(FEATURES, features=[]), "Change"),
    ("set_terms", Facts(features=("draw", "export")), terms(FEATURES, features=["export", "draw"]), "Unchanged"),
    ("set_terms", SOLD, terms(FEATURES, features=["draw", "fly"]), "Refused"),
    ("set_terms", Facts(product_id=""), terms(FEATURES, features=["draw"]), "Refused"),
    ("set_terms", SOLD, terms(CUSTOMER, customer="Ann"), "Unchanged"),
    ("set_terms", SOLD, terms(CUSTOMER, customer=""), "Change"),
    ("set_terms", SOLD, terms(PRODUCT, product_id="LITE"), "Change"),
    ("set_terms", SOLD, terms(PRODUCT, product_id="NONE"), "Refused"),
    ("set_terms", Facts(features=("export",)), terms(PRODUCT, product_id="LITE"), "Refused"),
    ("set_terms", Facts(features=("export",)), terms(PRODUCT, FEATURES, product_id="LITE"), "Change"),
    ("set_terms", RELEASED, terms(PLACES, device_limit=3), "Refused"),
    ("set_terms", BOUGHT, terms(END, expires_at=LATER), "Refused"),
    ("set_terms", BOUGHT, terms(PLACES, device_limit=3), "Refused"),
    ("set_terms", BOUGHT, terms(CUSTOMER, customer="Eve"), "Refused"),
    ("set_terms", BOUGHT, terms(PRODUCT, product_id="LITE"), "Refused"),
    ("set_terms", BOUGHT, terms(FEATURES, features=["draw"]), "Change"),
    ("reissue", PLAIN, Given(), "Change"),
    ("bless", PLAIN, Given(), "Refused"),
    ("bless", PLAIN, Given(DEVICE), "Refused"),
    ("bless", PLAIN, Given(DEVICE, branch="b", copies=COPIES), "Refused"),
    ("bless", PLAIN, Given(DEVICE, branch="one", copies=COPIES), "Change"),
    ("bless", RELEASED, Given(DEVICE, branch="one", copies=COPIES), "Change"),
    ("bless", PLAIN, Given(DEVICE, branch="two", copies=COPIES), "Unchanged"),
    ("unbless", PLAIN, Given(DEVICE, branch="one", copies=COPIES), "Unchanged"),
    ("unbless", PLAIN, Given(DEVICE, branch="two", copies=COPIES), "Change"),
    ("unbless", PLAIN, Given(DEVICE, branch="two"), "Refused"),
    ("clock_reset", PLAIN, Given(), "Refused"),
    ("clock_reset", PLAIN, Given(DEVICE), "Change"),
    ("clock_reset", PLAIN, Given(GONE), "Refused"),
    ("clock_reset", RELEASED, Given(DEVICE), "Refused"),
    ("reissue", RELEASED, Given(), "Refused"),
    ("add_note", RELEASED, Given(text="x"), "Change"),
    ("add_note", PLAIN, Given(text=" "), "Refused"),
)


def decided(name: str, license: Facts, given: Given) -> Decision:
    return ACTIONS[name].decide(license, given, now=NOW)


def test_fewer_seats_of_a_floating_license_leave_no_device_without_its_place() -> None:
    fixed = terms(PLACES, device_limit=1)
    action = ACTIONS["set_terms"]

    said = [action.decide(SOLD, given, now=NOW) for given in (fixed, replace(fixed, floating=frozenset({"CAD"})))]

    assert [isinstance(one, Change) and one.note is not None for one in said] == [True, False]


def test_an_action_decides_as_the_table_says() -> None:
    wrong = [
        (name, license, given, decision)
        for name, license, given, expected in TABLE
        if type(decision := decided(name, license, given)).__name__ != expected
    ]

    assert wrong == []


def test_every_action_is_in_the_table() -> None:
    assert {row[0] for row in TABLE} == {*ACTIONS}


def task_of(name: str, given: Given) -> Task:
    return Task(ACTIONS[name], given.until, given.terms, given.catalogue)


def test_a_list_decides_as_the_action_does() -> None:
    outcomes = {"Change": Outcome.CHANGE, "Unchanged": Outcome.UNCHANGED, "Refused": Outcome.REFUSED}
    rows = [row for row in TABLE if row[0] in FOR_LISTS]
    wrong = [
        (name, license, verdict)
        for name, license, given, expected in rows
        if (verdict := rules.decide(task_of(name, given), license, now=NOW)).outcome != outcomes[expected]
        or (verdict.outcome is not Outcome.CHANGE and not verdict.why)
    ]

    assert len(rows) > 15
    assert wrong == []


def test_a_shorter_grace_is_a_change_and_says_so() -> None:
    """It was unchanged in a list, and shortened the grace of a single license."""
    decision = decided("extend_grace", Facts(grace_until=LATER), Given(until=SOON))

    assert isinstance(decision, Change)
    assert decision.note is not None
    assert "shortens" in decision.note.en
    assert "2026-03-21" in decision.note.en
    assert "2026-03-21" in decision.note.zh


def test_what_is_refused_for_any_license_is_refused_before_there_is_one() -> None:
    """A job is refused when it is made, for the reason for which each of its lines would be."""
    too_late = Given(until=LATEST + timedelta(seconds=1))
    decision = decided("extend_grace", PLAIN, too_late)
    problem = ACTIONS["extend_grace"].problem(too_late, now=NOW)

    assert isinstance(decision, Refused)
    assert problem is not None
    assert problem.detail == decision.refusal.detail


def test_a_row_keeps_every_note_in_both_languages() -> None:
    given = terms(END, PLACES, expires_at=EARLIER + timedelta(days=1), device_limit=1)

    verdict = rules.decide(task_of("set_terms", given), Facts(activated_at=EARLIER, places_taken=99_999), now=NOW)

    assert "has ended then" in verdict.why
    assert "99999 devices hold one of 1 places" in verdict.why
    assert verdict.why.endswith("one that never asks needs a new file.")
    assert in_both(verdict.why).zh == (
        "届时已到期，设备停止使用。99999 台设备占用 1 个名额：原设备可继续使用，新设备没有名额。"
        "设备现有的许可证将被收回；从不联网的设备需要新的许可证文件。"
    )


def test_what_a_seller_decides_is_refused_in_its_name() -> None:
    decision = decided("set_terms", BOUGHT, terms(END, PRODUCT, expires_at=LATER, product_id="LITE"))

    assert isinstance(decision, Refused)
    assert decision.refusal.code == "SELLER_DECIDES"
    assert decision.refusal.extra["facts"] == ["end", "product"]
    assert decision.refusal.detail.count("The marketplace decides") == 2


def test_an_action_for_lists_takes_a_moment_or_terms_at_most() -> None:
    assert all(action.takes in ({Takes.UNTIL}, {Takes.TERMS}, set()) for action in FOR_LISTS.values())
    assert all(action.needs <= action.takes for action in ACTIONS.values())
