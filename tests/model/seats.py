"""Seats of floating licenses, as docs/floating.md promises them. Pure; the facts are kept with those of the license."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations

from tests.model.model import DAY, HOUR, OK, Answer, Device, License, Parts, Policy, Seat

TURN, AWAY = timedelta(seconds=120), timedelta(seconds=30)
_STATES = frozenset({"LICENSE_EXPIRED", "LICENSE_FROZEN", "LICENSE_REVOKED", "LICENSE_RELEASED", "NOT_FLOATING"})


@dataclass(frozen=True)
class Program:
    """A running program: the license string that it shows, its machine, its own id and its user."""

    text_id: str
    parts: Parts
    session: str
    user: str | None = None


@dataclass
class Presence:
    """When the service, and each process before it, last noted that it lives."""

    own: datetime | None = None
    others: list[datetime] = field(default_factory=list)

    def is_noted(self, now: datetime) -> bool:
        return self.own is not None and abs(now - self.own) <= AWAY

    def restarted(self) -> None:
        self.others += [self.own] if self.own is not None else []
        self.own = None

    def catch_up(self, license: License, now: datetime) -> None:
        """Time in which the service was away does not count; a clock that was set back lets nothing last longer."""
        alive = [at for at in (self.own, *self.others) if at is not None and at <= now + AWAY]
        ahead = self.own if self.own is not None else max(self.others, default=None)
        went_back = ahead is not None and ahead > now + AWAY
        last = max(alive, default=None)
        if went_back:
            license.line = {name: (since, min(until, now + TURN)) for name, (since, until) in license.line.items()}
        for seat in license.held:
            whole = now + seat.length
            is_borrowed = seat.borrowed_until is not None and seat.borrowed_until >= seat.until
            if went_back and seat.until > whole and not is_borrowed:
                seat.until = whole
            if last is not None and last < now - AWAY and last < seat.until < whole:
                seat.until = whole

    def noted(self, now: datetime) -> None:
        self.own = now
        self.others = [at for at in self.others if now - DAY < at <= now + AWAY]


def check_out(
    license: License, program: Program, policy: Policy, *, queue: bool, now: datetime
) -> Iterator[tuple[Answer, License]]:
    """A program takes a seat; several outcomes where seats that lapsed at one moment have no order."""
    after = license.copy()
    device, refusal = _opened(after, program, policy, now=now)
    if device is None:
        yield refusal, after
        return
    holder = _holder(device, program, policy)
    same = next((one for one in after.held if one.device is device and one.session == program.session), None)
    if same is not None:
        yield _renewed(after, same, policy, now=now), after
        return
    if holder in {one.holder for one in after.held}:
        yield _granted(after, device, program, policy, now=now), after
        return
    ahead = _ahead(after, now)
    ahead = ahead[: ahead.index(holder)] if holder in ahead else ahead
    position = 1 + sum(one.split()[0] != device.id for one in ahead)
    if after.admitted(policy) - len(after.live(now)) < position:
        yield _refused(license.copy(), holder, position, policy, queue=queue, now=now)
        return
    for ending in _ending(after, policy, now):
        branch = after.copy()
        for one in branch.held:
            one.is_ended |= one.holder in ending
        found = next(one for one in branch.devices if one.id == device.id)
        yield _granted(branch, found, program, policy, now=now), branch


def _opened(license: License, program: Program, policy: Policy, *, now: datetime) -> tuple[Device | None, Answer]:
    text = license.text(program.text_id)
    if text is None:
        return None, Answer("UNAUTHENTICATED")
    if not text.device.is_same(program.parts):
        return None, Answer("DEVICE_MISMATCH")
    if (status := license.status(now)) != "ACTIVE":
        return None, Answer(f"LICENSE_{status}")
    if not text.device.holds:
        return None, Answer("LICENSE_RELEASED")
    return (text.device, OK) if policy["places.floating"] else (None, Answer("NOT_FLOATING"))


def _holder(device: Device, program: Program, policy: Policy) -> str:
    is_shared = policy["floating.shared_by_user"] and program.user
    return f"{device.id} {program.user}" if is_shared else f"{device.id} {program.session}"


def _ahead(license: License, now: datetime) -> list[str]:
    waiting = [(since, holder) for holder, (since, until) in license.line.items() if until > now]
    return [holder for _, holder in sorted(waiting) if holder not in license.live(now)]


def _ending(license: License, policy: Policy, now: datetime) -> Iterator[frozenset[str]]:
    """The holders whose seats end for another one: those that lapsed first, in any order where they lapsed at once."""
    last: dict[str, datetime] = {}
    for one in license.held:
        last[one.holder] = max(one.until, last.get(one.holder, one.until))
    lapsed = sorted((until, holder) for holder, until in last.items() if until <= now)
    needed = max(len(last) + 1 - license.admitted(policy), 0)
    if needed == 0:
        yield frozenset()
        return
    bound = lapsed[needed - 1][0]
    first = [holder for until, holder in lapsed if until < bound]
    tied = [holder for until, holder in lapsed if until == bound]
    for chosen in combinations(tied, needed - len(first)):
        yield frozenset([*first, *chosen])


def _granted(license: License, device: Device, program: Program, policy: Policy, *, now: datetime) -> Answer:
    holder = _holder(device, program, policy)
    seat = Seat(None, device, program.session, holder, now, now, length(policy))
    license.seats.append(seat)
    license.line = {
        name: place for name, place in license.line.items() if name != holder and place[1] > now
    }  # who has not asked again leaves, too
    return _renewed(license, seat, policy, now=now)


def _refused(
    license: License, holder: str, position: int, policy: Policy, *, queue: bool, now: datetime
) -> tuple[Answer, License]:
    said = {"seats": license.places(policy), "taken": len(license.live(now))}
    if queue:
        since = license.line[holder][0] if holder in license.line else now
        license.line[holder] = since, now + TURN
        said["position"] = position
    return Answer("NO_SEAT_FREE", said), license


def length(policy: Policy) -> timedelta:
    return timedelta(minutes=policy["floating.seat_minutes"])


def _renewed(license: License, seat: Seat, policy: Policy, *, now: datetime) -> Answer:
    end = now + length(policy)
    end = end if license.end_of_use is None else min(end, license.end_of_use)
    is_borrowed = seat.borrowed_until is not None and seat.borrowed_until > end
    seat.until = seat.borrowed_until if is_borrowed and seat.borrowed_until is not None else end
    seat.length = length(policy)
    said = {"until": seat.until, "taken": len(license.live(now)), "seats": license.places(policy)}
    place = next(place for place, one in enumerate(license.seats) if one is seat)
    return Answer("OK", said | {"borrowed": seat.is_borrowed(now)}, seat=place)


def _own(license: License, program: Program, seat_id: str) -> Seat | None:
    text = license.text(program.text_id)
    found = next((one for one in license.seats if one.id == seat_id), None)
    is_own = found is not None and text is not None and (found.device, found.session) == (text.device, program.session)
    return found if is_own else None


def renew(license: License, program: Program, seat_id: str, policy: Policy, *, now: datetime) -> Answer:
    device, refusal = _opened(license, program, policy, now=now)
    if device is None:
        return refusal
    seat = _own(license, program, seat_id)
    if seat is None:
        return Answer("SEAT_NOT_FOUND")
    return Answer("SEAT_ENDED") if seat.is_ended else _renewed(license, seat, policy, now=now)


def give_back(license: License, program: Program, seat_id: str, policy: Policy, *, now: datetime) -> Answer:
    """A program gives its seat back, whatever the license is; a borrowed one not too early."""
    text = license.text(program.text_id)
    if text is None:
        return Answer("UNAUTHENTICATED")
    if not text.device.is_same(program.parts):
        return Answer("DEVICE_MISMATCH")
    seat = _own(license, program, seat_id)
    if seat is None:
        return Answer("SEAT_NOT_FOUND")
    if not seat.is_ended and policy["places.floating"] and seat.is_borrowed(now) and now < _return_from(seat, policy):
        return Answer("SEAT_BORROWED")
    seat.is_ended = True
    return OK


def _return_from(seat: Seat, policy: Policy) -> datetime:
    assert seat.borrowed_at is not None
    assert seat.borrowed_until is not None
    return min(seat.borrowed_at + policy["floating.return_hours"] * HOUR, seat.borrowed_until)


def borrow(
    license: License, program: Program, seat_id: str, policy: Policy, *, until: datetime, now: datetime
) -> Answer:
    """A program keeps its seat until a moment without asking."""
    device, refusal = _opened(license, program, policy, now=now)
    if device is None:
        return refusal
    seat = _own(license, program, seat_id)
    if seat is None or seat.is_ended:
        return Answer("SEAT_NOT_FOUND" if seat is None else "SEAT_ENDED")
    if until <= now:
        return Answer("INVALID_REQUEST")
    longest = now + policy["floating.borrow_days"] * DAY
    if until > (longest if license.end_of_use is None else min(longest, license.end_of_use)):
        return Answer("BORROW_TOO_LONG")
    if seat.is_borrowed(now):
        if until < _return_from(seat, policy):
            return Answer("SEAT_BORROWED")
    else:
        others = {one.holder for one in license.held if one.is_borrowed(now)} - {seat.holder}
        if len(others) >= max(license.places(policy) * policy["floating.borrow_percent"] // 100, 1):
            return Answer("BORROW_LIMIT_REACHED")
        seat.borrowed_at = now
    seat.borrowed_until = until
    return _renewed(license, seat, policy, now=now)


def writes(word: str) -> bool:
    """Whether a check-out that was answered so has written something, what it caught up on included."""
    return word in ("OK", "NO_SEAT_FREE")
