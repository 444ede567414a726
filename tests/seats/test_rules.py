"""The rules of seats, as laws over generated lives of a license, and at their edges."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from licsrv.errors import RefusalError
from licsrv.licensing.policies import Floating
from licsrv.seats import rules
from licsrv.seats.rules import Asker, Glance, Granted, HeldSeat, InLine, NoSeat, Renewed, Silence, Situation
from tests.conftest import NOW
from tests.tables import each

MINUTE = timedelta(minutes=1)
RULES = Floating(longest_borrow=timedelta(days=3), borrow_percent=50, return_after=timedelta(hours=2))
LAWS = settings(max_examples=150, derandomize=True)


@dataclass
class Life:
    """A license's seats in memory, changed as decisions say, and what must hold of them."""

    seats: int
    beyond: int
    now: datetime = NOW
    held: dict[str, HeldSeat] = field(default_factory=dict)
    line: dict[str, InLine] = field(default_factory=dict)
    given: int = 0

    def situation(self) -> Situation:
        return Situation(self.seats, self.seats + self.beyond, list(self.held.values()), list(self.line.values()))

    def check_out(self, number: int, *, shares: bool = False, waits: bool = False) -> None:
        """A program asks; two programs with numbers next to each other share a holder where they may."""
        holder = f"user-{number // 2}" if shares else f"own-{number}"
        asker = Asker(f"device-{number // 2}", f"session-{number}", holder)
        before = self.situation()
        decision = rules.check_out(before, asker, wants_to_wait=waits, show_names=True, now=self.now)
        own = next((one.id for one in self.held.values() if one.session == asker.session), None)
        glance = Glance(own, len(self.held), has_line=bool(self.line))
        match rules.at_a_glance(glance, seats=self.seats):
            case Renewed(seat_id):
                assert decision == Renewed(seat_id)
            case Granted():
                assert isinstance(decision, Granted)
                assert not decision.is_beyond
        match decision:
            case Granted(ends, _):
                self.require_turn(before, asker)
                assert all(not self.held[seat].is_live(self.now) for seat in ends)
                for seat in ends:
                    del self.held[seat]
                self.given += 1
                self.line.pop(holder, None)
                self.put(f"seat-{self.given}", asker)
            case Renewed(seat_id):
                self.renew(seat_id)
            case NoSeat(position, _) if position is not None:
                since = self.line[holder].since if holder in self.line else self.now
                self.line[holder] = InLine(holder, since, self.now + rules.TURN, asker.device_id)
        self.require_laws()

    def put(self, seat_id: str, asker: Asker) -> None:
        until = self.now + RULES.length
        self.held[seat_id] = HeldSeat(seat_id, *asker, self.now, until, None, None, name="")

    def renew(self, seat_id: str) -> None:
        seat = self.held[seat_id]
        until = max(self.now + RULES.length, seat.borrowed_until or self.now)
        self.held[seat_id] = seat._replace(until=until)

    def borrow(self, seat_id: str, hours: int) -> None:
        seat, until = self.held[seat_id], self.now + timedelta(hours=hours)
        try:
            since = rules.borrow(self.situation(), seat, RULES, until=until, license_ends_at=None, now=self.now)
        except RefusalError:
            return
        self.held[seat_id] = seat._replace(until=until, borrowed_at=since, borrowed_until=until)
        self.require_laws()

    def give_back(self, seat_id: str) -> None:
        try:
            rules.require_returnable(self.held[seat_id], RULES, now=self.now)
        except RefusalError:
            return
        del self.held[seat_id]

    def require_turn(self, before: Situation, asker: Asker) -> None:
        """Who gets a seat of its own leaves one for each on another device that waited longer."""
        if asker.holder in {one.holder for one in before.held}:
            return
        waiting = before.waiting(self.now)
        holders = [one.holder for one in waiting]
        ahead = waiting[: holders.index(asker.holder)] if asker.holder in holders else waiting
        others = [one for one in ahead if one.device_id != asker.device_id]
        assert before.most - before.taken(self.now) > len(others)

    def require_laws(self) -> None:
        most = self.seats + self.beyond
        live = [one for one in self.held.values() if one.is_live(self.now)]
        assert self.situation().taken(self.now) <= most
        assert len({one.holder for one in self.held.values()}) <= most, "so any lapsed seat may be renewed"
        assert len({one.session for one in self.held.values()}) == len(self.held)
        borrowed = {one.holder for one in live if one.is_borrowed(self.now)}
        assert len(borrowed) <= max(1, self.seats * RULES.borrow_percent // 100)


EVENTS = some.lists(
    some.tuples(
        some.sampled_from(["check out", "share", "wait", "renew", "borrow", "return", "pass", "sleep"]),
        some.integers(0, 9),
        some.integers(1, 80),
    ),
    max_size=60,
)


@LAWS
@given(seats=some.integers(1, 4), beyond=some.integers(0, 2), events=EVENTS)
def test_no_life_of_a_license_oversells_doubles_or_passes_the_line(
    seats: int, beyond: int, events: list[tuple[str, int, int]]
) -> None:
    life = Life(seats, beyond)
    for event, number, amount in events:
        held = sorted(life.held)
        seat_id = held[number % len(held)] if held else None
        if event in ("check out", "share", "wait"):
            life.check_out(number, shares=event == "share", waits=event == "wait")
        elif event in ("pass", "sleep"):
            life.now += timedelta(minutes=amount) * (60 if event == "sleep" else 0.2)
        elif seat_id is not None and event == "borrow":
            life.borrow(seat_id, amount)
        elif seat_id is not None:
            life.renew(seat_id) if event == "renew" else life.give_back(seat_id)
        life.require_laws()


def held(number: int, **changes: Any) -> HeldSeat:
    plain = HeldSeat(f"seat-{number}", "device", f"session-{number}", f"holder-{number}", NOW, NOW + MINUTE,
                     None, None, name="")  # fmt: skip
    return plain._replace(**changes)


def test_the_seats_that_lapsed_first_end_first_and_only_as_many_as_are_needed() -> None:
    lapsed = [held(number, until=NOW - number * MINUTE) for number in range(3)]
    asker = Asker("device", "new", "new")

    one = rules.check_out(Situation(3, 3, lapsed, []), asker, wants_to_wait=False, show_names=True, now=NOW)
    none = rules.check_out(Situation(4, 4, lapsed, []), asker, wants_to_wait=False, show_names=True, now=NOW)

    assert isinstance(one, Granted)
    assert list(one.ends) == ["seat-2"]
    assert isinstance(none, Granted)
    assert list(none.ends) == []


def test_a_line_has_an_end() -> None:
    line = [InLine(f"{number}", NOW, NOW + MINUTE, f"device-{number}") for number in range(rules.MOST_WAITING)]
    full = Situation(1, 1, [held(1)], line)

    late = rules.check_out(full, Asker("d", "s", "new"), wants_to_wait=True, show_names=True, now=NOW)
    early = rules.check_out(full, Asker("d", "s", "7"), wants_to_wait=True, show_names=True, now=NOW)

    assert isinstance(late, NoSeat)
    assert late.position is None
    assert isinstance(early, NoSeat)
    assert early.position is not None


def test_one_device_cannot_fill_the_line() -> None:
    line = [InLine(f"{number}", NOW, NOW + MINUTE, "d") for number in range(rules.MOST_WAITING_OF_DEVICE)]
    full = Situation(1, 1, [held(1)], line)

    decided = {
        device: rules.check_out(full, Asker(device, "s", "new"), wants_to_wait=True, show_names=True, now=NOW)
        for device in ("d", "other")
    }

    assert [one.position for one in decided.values() if isinstance(one, NoSeat)] == [None, len(line) + 1]


def test_a_seat_never_outlasts_its_license_and_is_renewed_in_time() -> None:
    length = RULES.length
    assert rules.lasts_until(RULES, license_ends_at=NOW + MINUTE, now=NOW) == NOW + MINUTE
    assert rules.renew_at(NOW + MINUTE, None, length=length, now=NOW) == NOW + MINUTE
    assert rules.renew_at(NOW + length, None, length=length, now=NOW) == NOW + length / 3
    end = NOW + timedelta(days=2)
    assert rules.renew_at(end, end, length=length, now=NOW) == end - length


ALIVE, GONE, AHEAD = NOW - rules.AWAY, NOW - rules.AWAY - timedelta(seconds=1), NOW + timedelta(minutes=5)
SILENCES: dict[str, tuple[datetime | None, list[datetime], Silence]] = {
    "the first start": (None, [], Silence()),
    "a start after a while": (None, [GONE], Silence(since=GONE)),
    "a start next to another replica": (None, [GONE, ALIVE], Silence()),
    "nothing special": (ALIVE, [], Silence()),
    "it was suspended alone": (GONE, [], Silence(since=GONE)),
    "it was suspended while another lived": (GONE, [ALIVE], Silence()),
    "another one died": (ALIVE, [GONE], Silence()),
    "its clock was set back": (AHEAD, [], Silence(went_back=True)),
    "its clock was set back before it started": (None, [AHEAD], Silence(went_back=True)),
    "set back, and away by the other's word": (AHEAD, [GONE], Silence(since=GONE, went_back=True)),
    "another one's clock is ahead": (ALIVE, [AHEAD], Silence()),
}


def test_a_silence_is_told_from_the_death_of_a_replica_and_from_clocks_that_differ() -> None:
    for row in each(SILENCES):
        with row as name:
            own, others, expected = SILENCES[name]
            assert rules.silence(own, others, now=NOW) == expected
