"""Who gets a seat, how long it lasts, and when it may be borrowed and given back. Pure.

A seat is held from check-out until it is ended. It lapses ``length`` after the last renewal, and a lapsed seat is still
held: it counts against what was bought, so its program may renew it whatever others do. Who checks out when all are
held ends the seat that lapsed first. So renewals ask nothing but whether the seat was ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import NamedTuple

from licsrv.errors import (
    BorrowLimitError,
    BorrowTooLongError,
    InvalidRequestError,
    NoSeatFreeError,
    SeatBorrowedError,
    SeatEndedError,
    SeatNotFoundError,
)
from licsrv.licensing.policies import Floating
from licsrv.platform import moments

TURN = timedelta(seconds=120)
"""How long a place in line, and the seat kept for it, lasts without asking again."""
ASK_AGAIN = timedelta(seconds=15)
"""How often a program in line should ask."""
AWAY = timedelta(seconds=30)
"""A longer silence of the service is time that does not count; less than what the shortest seat has left."""
MOST_WAITING, MOST_WAITING_OF_DEVICE = 500, 20
_MOST_SHOWN = 100
_ASK_SELDOM = timedelta(minutes=5)


class HeldSeat(NamedTuple):
    """A seat that was not ended; ``name`` is that of its device."""

    id: str
    device_id: str
    session: str
    holder: str
    since: datetime
    until: datetime
    borrowed_at: datetime | None
    borrowed_until: datetime | None
    name: str

    def is_live(self, now: datetime) -> bool:
        """Whether its program may work."""
        return self.until > now

    def is_borrowed(self, now: datetime) -> bool:
        """Whether its program may work without asking."""
        return self.borrowed_until is not None and self.borrowed_until > now


class InLine(NamedTuple):
    """A program that waits; ``name`` is that of its device."""

    holder: str
    since: datetime
    until: datetime
    device_id: str
    name: str = ""


class Asker(NamedTuple):
    """A program that asks for a seat; ``session`` and ``holder`` are hashes."""

    device_id: str
    session: str
    holder: str


@dataclass(frozen=True)
class Situation:
    """The seats of a license: bought, admitted with the overdraft, held, and who waits for one."""

    seats: int
    most: int
    held: Sequence[HeldSeat]
    line: Sequence[InLine]

    def live(self, now: datetime) -> list[HeldSeat]:
        """Return the seats whose programs may work, the oldest first."""
        return sorted((one for one in self.held if one.is_live(now)), key=lambda one: (one.since, one.id))

    def taken(self, now: datetime) -> int:
        """Count the holders of live seats."""
        return len(_holders(self.live(now)))

    def waiting(self, now: datetime) -> list[InLine]:
        """Return those who wait and have asked lately, the first in line first."""
        has_seat = _holders(self.live(now))
        waiting = [one for one in self.line if one.until > now and one.holder not in has_seat]
        return sorted(waiting, key=lambda one: (one.since, one.holder))


class Renewed(NamedTuple):
    """The program has this seat already."""

    seat_id: str


class Granted(NamedTuple):
    """The program gets a seat. ``ends``: seats that end for it; ``is_beyond``: it was not bought."""

    ends: Sequence[str]
    is_beyond: bool


class NoSeat(NamedTuple):
    """There is none. ``position``: its place in line, None for none; ``waited``: whether it had one before."""

    position: int | None
    refusal: NoSeatFreeError
    waited: bool


class Glance(NamedTuple):
    """What is counted before all seats of a license are read.

    ``own``: the seat that the program has; ``held``: seats that were not ended, those that are shared each for itself.
    """

    own: str | None
    held: int
    has_line: bool


def at_a_glance(glance: Glance, *, seats: int) -> Renewed | Granted | None:
    """Decide as :func:`check_out` does where no seat of others matters; None where they do."""
    if glance.own is not None:
        return Renewed(glance.own)
    if glance.held < seats and not glance.has_line:
        return Granted((), is_beyond=False)
    return None


def check_out(
    situation: Situation, asker: Asker, *, wants_to_wait: bool, show_names: bool, now: datetime
) -> Renewed | Granted | NoSeat:
    """Decide whether a program gets a seat.

    The same program gets the seat that it has, a program of a holder that has one shares it. Another one gets a free
    seat, where more are free than programs of other devices wait before it: those of its own device may be what is left
    of a program that was started again, and no device waits for itself.
    """
    same = (one.id for one in situation.held if (one.device_id, one.session) == (asker.device_id, asker.session))
    if (seat_id := next(same, None)) is not None:
        return Renewed(seat_id)
    if asker.holder in _holders(situation.held):
        return Granted((), is_beyond=False)
    waiting = situation.waiting(now)
    waited = any(one.holder == asker.holder for one in waiting)
    position = 1 + sum(one.device_id != asker.device_id for one in _ahead(waiting, asker))
    taken = situation.taken(now)
    if situation.most - taken >= position:
        return Granted(_to_end(situation, now), is_beyond=taken >= situation.seats)
    own = sum(one.device_id == asker.device_id for one in waiting)
    may_wait = wants_to_wait and (waited or (len(waiting) < MOST_WAITING and own < MOST_WAITING_OF_DEVICE))
    place = position if may_wait else None
    refusal = _no_seat(situation, position=place, show_names=show_names, now=now)
    return NoSeat(place, refusal, waited=waited)


def _ahead(waiting: Iterable[InLine], asker: Asker) -> Iterable[InLine]:
    return takewhile(lambda one: one.holder != asker.holder, waiting)


def _to_end(situation: Situation, now: datetime) -> list[str]:
    """Return the seats that end so that there is room for one holder more: those of holders that lapsed first."""
    last_until: dict[str, datetime] = {}
    for one in situation.held:
        last_until[one.holder] = max(one.until, last_until.get(one.holder, one.until))
    lapsed = sorted((until, holder) for holder, until in last_until.items() if until <= now)
    needed = max(len(last_until) + 1 - situation.most, 0)
    ending = {holder for _, holder in lapsed[:needed]}
    return [one.id for one in situation.held if one.holder in ending]


def _holders(seats: Iterable[HeldSeat]) -> set[str]:
    return {one.holder for one in seats}


def _no_seat(situation: Situation, *, position: int | None, show_names: bool, now: datetime) -> NoSeatFreeError:
    live, taken = situation.live(now), situation.taken(now)
    kept = " or kept for programs that wait" if taken < situation.most else ""
    line = {"position": position} if position is not None else {}
    return NoSeatFreeError(
        f"Every seat of this license ({situation.seats}) is in use{kept}.",
        action="Wait until a program ends, or buy more seats.",
        retry_after=_ask_again(live, is_waiting=position is not None, now=now),
        seats=situation.seats,
        taken=taken,
        holders=[_shown(one, show_names=show_names, now=now) for one in live[:_MOST_SHOWN]],
        **line,
    )


def _ask_again(live: Sequence[HeldSeat], *, is_waiting: bool, now: datetime) -> int:
    """Return after how many seconds a seat may be free."""
    if is_waiting:
        return int(ASK_AGAIN.total_seconds())
    next_end = min((one.until for one in live), default=now)
    return int(max(ASK_AGAIN, min(next_end - now, _ASK_SELDOM)).total_seconds())


def _shown(seat: HeldSeat, *, show_names: bool, now: datetime) -> dict[str, object]:
    said: dict[str, object] = {
        "since": moments.rfc3339(seat.since),
        "until": moments.rfc3339(seat.until),
        "borrowed": seat.is_borrowed(now),
    }
    return {"name": seat.name, **said} if show_names else said


def lasts_until(rules: Floating, *, license_ends_at: datetime | None, now: datetime) -> datetime:
    """Return how long a seat lasts that is checked out or renewed now: never longer than its license."""
    until = now + rules.length
    return until if license_ends_at is None else min(until, license_ends_at)


def renew_at(until: datetime, borrowed_until: datetime | None, *, length: timedelta, now: datetime) -> datetime:
    """Return when the next renewal is due: after a third of its length, for a borrowed seat one length before its end.

    Args:
        length: How long the seat lasts without renewal.
    """
    due = now + length / 3
    if borrowed_until is not None:
        due = max(due, borrowed_until - length)
    return min(due, until)


def borrow(
    situation: Situation,
    seat: HeldSeat,
    rules: Floating,
    *,
    until: datetime,
    license_ends_at: datetime | None,
    now: datetime,
) -> datetime:
    """Return since when the seat is borrowed, where it may be borrowed until a moment.

    Raises:
        InvalidRequestError: The moment has passed.
        BorrowTooLongError: It is later than the product, or the end of the license, allows.
        SeatBorrowedError: It is earlier than the seat may be given back.
        BorrowLimitError: Too many others are borrowed.
    """
    if until <= now:
        raise InvalidRequestError("until is a moment that has passed.", action="Name one that is to come.")
    longest = now + rules.longest_borrow
    longest = longest if license_ends_at is None else min(longest, license_ends_at)
    if until > longest:
        raise _too_long(seat, longest, is_allowed=bool(rules.longest_borrow))
    if seat.borrowed_at is not None and seat.is_borrowed(now):
        first = _return_from(seat, rules)
        if until < first:
            raise _borrowed(first)
        return seat.borrowed_at
    others = _holders(one for one in situation.held if one.is_borrowed(now)) - {seat.holder}
    most = max(situation.seats * rules.borrow_percent // 100, 1)
    if len(others) >= most:
        raise BorrowLimitError(
            f"{len(others)} of {situation.seats} seat(s) are borrowed, as many as the product allows.",
            action="Try again when one of them was given back.",
            borrowed=len(others),
            most=most,
        )
    return now


def _too_long(seat: HeldSeat, longest: datetime, *, is_allowed: bool) -> BorrowTooLongError:
    if not is_allowed:
        return BorrowTooLongError(
            "The seats of this product cannot be borrowed.",
            action="Work with a connection to the server, or ask the vendor.",
            longest_until=moments.rfc3339(seat.until),
        )
    return BorrowTooLongError(
        f"A seat may be borrowed until {moments.full(longest)} at most.",
        action="Borrow it for a shorter time.",
        longest_until=moments.rfc3339(longest),
    )


def require_returnable(seat: HeldSeat, rules: Floating, *, now: datetime) -> None:
    """Refuse to end a borrowed seat too early.

    Raises:
        SeatBorrowedError: It may not be given back yet.
    """
    first = _return_from(seat, rules)
    if seat.is_borrowed(now) and now < first:
        raise _borrowed(first)


def _return_from(seat: HeldSeat, rules: Floating) -> datetime:
    if seat.borrowed_at is None or seat.borrowed_until is None:
        return seat.since
    return min(seat.borrowed_at + rules.return_after, seat.borrowed_until)


def _borrowed(first: datetime) -> SeatBorrowedError:
    return SeatBorrowedError(
        f"The borrowed seat cannot be given back before {moments.full(first)}.",
        action="Keep it until then, or ask the vendor's support to free it.",
        return_from=moments.rfc3339(first),
    )


def unknown_seat() -> SeatNotFoundError:
    """Return the refusal of a seat that is unknown, or not the caller's."""
    return SeatNotFoundError("This program has no such seat.", action="Check a seat out.")


def ended_seat() -> SeatEndedError:
    """Return the refusal of a seat that was ended."""
    return SeatEndedError(
        "The seat was given back or freed, or it lapsed and another program took it.", action="Check a seat out again."
    )


@dataclass(frozen=True)
class Silence:
    """What the notes of replicas say about the time that has passed.

    Args:
        since: When the service was last alive, where it was away since; None where it was not.
        went_back: Whether the clock was set back.
    """

    since: datetime | None = None
    went_back: bool = False


def silence(own: datetime | None, others: Sequence[datetime], *, now: datetime) -> Silence:
    """Decide whether the service was away, from when its replicas were last alive.

    Args:
        own: The last note of this process; None for one that has just started.
        others: Those of other processes, by clocks of their own.
    """
    alive = [at for at in (own, *others) if at is not None and at <= now + AWAY]
    last = max(alive, default=None)
    ahead = own if own is not None else max(others, default=None)
    went_back = ahead is not None and ahead > now + AWAY
    is_away = last is not None and last < now - AWAY
    return Silence(last if is_away else None, went_back=went_back)
