"""What each action decides about a license: one rule for a preview, the action itself and a list. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from licsrv.desk.bulk import rules
from licsrv.desk.bulk.rules import FOR_LISTS, Outcome, Task
from licsrv.desk.licenses.actions import ACTIONS
from licsrv.desk.licenses.actions.staff_action import Change, Decision, Given, Refused, Takes
from licsrv.licensing.tables import Device
from tests.conftest import NOW

SOON, LATER, LATEST = (NOW + timedelta(days=days) for days in (10, 20, 90))
DEVICE = Device(id="d", license_id="l", name="CAD", parts={}, first_seen_at=NOW)
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


PLAIN, RELEASED, REVOKED = Facts(), Facts(released_at=NOW), Facts(revoked_at=NOW)
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
    ("reissue", PLAIN, Given(), "Change"),
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


def test_an_action_decides_as_the_table_says() -> None:
    wrong = [
        (name, license, given, decision)
        for name, license, given, expected in TABLE
        if type(decision := decided(name, license, given)).__name__ != expected
    ]

    assert wrong == []


def test_every_action_is_in_the_table() -> None:
    assert {row[0] for row in TABLE} == {*ACTIONS}


def test_a_list_decides_as_the_action_does() -> None:
    outcomes = {"Change": Outcome.CHANGE, "Unchanged": Outcome.UNCHANGED, "Refused": Outcome.REFUSED}
    rows = [row for row in TABLE if row[0] in FOR_LISTS]
    wrong = [
        (name, license, verdict)
        for name, license, given, expected in rows
        if (verdict := rules.decide(Task(ACTIONS[name], given.until), license, now=NOW)).outcome != outcomes[expected]
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


def test_an_action_for_lists_takes_a_moment_at_most() -> None:
    assert all(action.takes <= {Takes.UNTIL} and not action.needs for action in FOR_LISTS.values())
    assert all(action.needs <= action.takes for action in ACTIONS.values())
