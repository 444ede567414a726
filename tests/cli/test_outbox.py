"""``licsrv outbox``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from licsrv.outbox.tables import OutboxRow
from tests.cli.conftest import ANN, FurnishedHouse, Run

DELIVERY_MEMBERS = {
    "id", "kind", "state", "code", "ordering_key", "payload", "attempts", "created_at", "due_at", "claimed_until",
    "settled_at", "last_error",
}  # fmt: skip


def ids(licsrv: Run, state: str) -> list[int]:
    return [row["id"] for row in licsrv("outbox", "list", "--state", state, "--json").document["deliveries"]]


def hold(house: FurnishedHouse, row_id: int) -> None:
    """Let a worker deliver the row at this moment."""
    with house.writing() as session:
        row = session.scalars(select(OutboxRow).where(OutboxRow.id == row_id)).one()
        row.claimed_by, row.claimed_until = "worker", datetime.now(UTC) + timedelta(minutes=1)
        session.add(row)


def test_the_list_shows_what_is_not_done(house: FurnishedHouse, licsrv: Run) -> None:
    document = licsrv("outbox", "list", "--json").document

    assert (document["waiting"], document["parked"]) == (2, 1)
    assert document["oldest_at"].endswith("Z")
    assert [row["state"] for row in document["deliveries"]] == ["PARKED", "WAITING", "WAITING"]
    assert [row["code"] for row in document["deliveries"]] == [house.codes.parked, *[house.codes.used] * 2]
    assert all(row.keys() >= DELIVERY_MEMBERS for row in document["deliveries"])


def test_the_list_can_be_kept_to_a_state_or_a_license(house: FurnishedHouse, licsrv: Run) -> None:
    delivered = licsrv("outbox", "list", "--state", "delivered", "--json").document["deliveries"]
    of_used = licsrv("outbox", "list", "--code", house.codes.used, "--json").document["deliveries"]

    assert {row["state"] for row in delivered} == {"DELIVERED"}
    assert [row["kind"] for row in of_used] == ["query_license", "report_usage"]
    assert "2 waiting, the oldest for" in licsrv("outbox", "list").err
    assert licsrv("outbox", "list", "--state", "LOST").exit_code == 2


def test_a_delivery_is_shown_with_its_error(house: FurnishedHouse, licsrv: Run) -> None:
    (parked,) = ids(licsrv, "PARKED")

    ran = licsrv("outbox", "show", parked)

    assert f"Delivery {parked}  PARKED" in ran.out
    assert "92020002 The marketplace refused" in ran.out
    delivery = licsrv("outbox", "show", parked, "--json").document["delivery"]
    assert delivery.keys() >= DELIVERY_MEMBERS
    assert delivery["payload"]["code"] == house.codes.parked


def test_a_parked_delivery_is_tried_again(house: FurnishedHouse, licsrv: Run) -> None:
    (parked,) = ids(licsrv, "PARKED")

    ran = licsrv("outbox", "retry", parked, "--json")

    assert (ran.exit_code, ran.document) == (0, {"retried": [parked]})
    assert parked in ids(licsrv, "WAITING")
    entry = licsrv("audit", "list", "--action", "DELIVERY_RETRIED", "--json").document["entries"][0]
    assert (entry["actor"], entry["detail"]["was"], entry["detail"]["row"]) == (ANN, "PARKED", parked)


@pytest.mark.parametrize("at_once", [1, 200])
def test_everything_parked_is_tried_again(
    house: FurnishedHouse, licsrv: Run, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("licsrv.cli.outbox._AT_ONCE", at_once)
    assert licsrv("outbox", "retry", "--all-parked").out == "1 of 1 will be tried again now.\n"
    assert licsrv("outbox", "retry", "--all-parked").out == "Nothing is parked.\n"


def test_one_that_cannot_be_retried_leaves_all_as_they_were(house: FurnishedHouse, licsrv: Run) -> None:
    (parked,), delivered = ids(licsrv, "PARKED"), ids(licsrv, "DELIVERED")[0]

    assert licsrv("outbox", "retry", parked, delivered).err.startswith(f"licsrv: Delivery {delivered} has arrived")
    assert licsrv("outbox", "retry", parked, 9999).err.startswith("licsrv: There is no delivery 9999")
    assert ids(licsrv, "PARKED") == [parked]


def test_what_a_worker_holds_is_left_to_it(house: FurnishedHouse, licsrv: Run) -> None:
    waiting = ids(licsrv, "WAITING")[0]
    hold(house, waiting)

    assert licsrv("outbox", "retry", waiting).out == "0 of 1 will be tried again now.\n"
    ran = licsrv("outbox", "drop", waiting, "--reason", "not needed")
    assert (ran.exit_code, "is under way at this moment" in ran.err) == (1, True)
    assert licsrv("outbox", "show", waiting, "--json").document["delivery"]["claimed_until"] is not None


def test_a_delivery_is_dropped_with_a_reason(house: FurnishedHouse, licsrv: Run) -> None:
    (parked,) = ids(licsrv, "PARKED")

    ran = licsrv("outbox", "drop", parked, "--reason", "the code is gone", "--json")

    assert (ran.exit_code, ran.document) == (0, {"changed": True, "id": parked})
    assert ids(licsrv, "DROPPED") == [parked]
    entry = licsrv("audit", "list", "--action", "DELIVERY_DROPPED", "--json").document["entries"][0]
    assert (entry["reason"], entry["detail"]["error"][:8]) == ("the code is gone", "92020002")
    again = licsrv("outbox", "drop", parked, "--reason", "the code is gone")
    assert (again.exit_code, "was already dropped" in again.out) == (0, True)


def test_what_has_arrived_cannot_be_dropped(house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("outbox", "drop", ids(licsrv, "DELIVERED")[0], "--reason", "too late")

    assert (ran.exit_code, "cannot be taken back" in ran.err) == (1, True)


@pytest.mark.parametrize(
    "words",
    [("retry",), ("retry", 1, "--all-parked"), ("retry", "x"), ("retry", 0), ("retry", 2**31), ("drop", 1),
     ("drop", 1, "--reason", ""), ("show", "x"), ("show", 2**31)],
)  # fmt: skip
def test_wrong_words_are_usage_errors(sqlite_house: FurnishedHouse, licsrv: Run, words: tuple[object, ...]) -> None:
    assert licsrv("outbox", *words).exit_code == 2


@pytest.mark.parametrize("words", [("show", 9999), ("drop", 9999, "--reason", "none")])
def test_an_unknown_delivery_is_refused(sqlite_house: FurnishedHouse, licsrv: Run, words: tuple[object, ...]) -> None:
    ran = licsrv("outbox", *words)

    assert (ran.exit_code, ran.err.startswith("licsrv: There is no delivery 9999")) == (1, True)
