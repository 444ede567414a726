"""Use cases of seats: check out, renew (a whole batch), borrow, give back, free; and what to do after a silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import (
    DeviceMismatchError,
    LicenseReleasedError,
    NotFloatingError,
    RefusalError,
    StorageBusyError,
)
from licsrv.licensing import bearers, fingerprints, lifecycle, places, refused_devices
from licsrv.licensing import store as licensing_store
from licsrv.licensing.bearers import Bearer
from licsrv.licensing.keyring import Keyring
from licsrv.licensing.policies import Floating, Policies, Policy
from licsrv.licensing.refused_devices import Refused
from licsrv.platform.ids import new_id
from licsrv.seats import rules, store
from licsrv.seats.rules import Asker, Granted, HeldSeat, NoSeat, Renewed, Situation
from licsrv.seats.store import Presented
from licsrv.seats.tables import Seat

_MOST_TRIES = 8


@dataclass(frozen=True)
class Program:
    """A running program that asks.

    Args:
        session: Its own random id.
        user: Who uses it, where it says so.
    """

    bearer: Bearer
    session: str
    user: str | None = field(default=None, repr=False)


class Held(NamedTuple):
    """A seat that is on disk, as its program gets it."""

    license_id: str
    issued_id: str
    seat_id: str
    session: str
    until: datetime
    renew_at: datetime
    borrowed: bool
    taken: int
    seats: int


Answer = Held | RefusalError


class Opened(NamedTuple):
    """A license that seats are given of: its row, its policy, and how many seats it has."""

    license: Any
    policy: Policy
    seats: int
    most: int

    def situation(self, session: Session) -> Situation:
        """Return who holds seats, and who waits."""
        line = store.in_line(session, self.license.id)
        return Situation(self.seats, self.most, store.held(session, self.license.id), line=line)


def keyed(kind: str, text: str, *, key: bytes) -> str:
    """Return the keyed hash of something that only we compare: 128 bits of BLAKE2b, hex."""
    return blake2b(f"seat {kind}:{text}".encode("utf-8", "surrogatepass"), digest_size=16, key=key).hexdigest()


def _asker(program: Program, policy: Policy, *, key: bytes) -> Asker:
    device_id = program.bearer.device.id
    session = keyed("session", program.session, key=key)
    is_shared = policy.floating.shared_by_user and bool(program.user)
    holder = keyed("user", f"{device_id}:{program.user}", key=key) if is_shared else None
    return Asker(device_id, session, holder or keyed("holder", f"{device_id}:{program.session}", key=key))


def _open(session: Session, bearer: Bearer, *, policies: Policies, now: datetime) -> Opened:
    """Return the license of a device, locked, where it can give seats.

    Raises:
        LicenseExpiredError: And its relatives: no device may use it, or the device gave its place back.
        NotFloatingError: Its product's places are fixed.
    """
    row = store.license_of(session, bearer.device.license_id)
    policy = policies.of(row.policy)
    _require_floating(row, policy, has_place=bearer.device.released_at is None, now=now)
    seats = places.limit(row, policy.places)
    return Opened(row, policy, seats, most=policy.places.admitted(seats))


def _require_floating(license: Any, policy: Policy, *, has_place: bool, now: datetime) -> None:
    lifecycle.require_usable(license, now)
    if not has_place:
        raise LicenseReleasedError(
            "This device's place on the license was given back.", action="Ask for a license string with the code."
        )
    if not policy.places.floating:
        raise NotFloatingError(
            "The places of this product are fixed: the device has one.", action="Ask for a new license string."
        )


def check_out(
    session: Session,
    program: Program,
    *,
    wants_to_wait: bool,
    policies: Policies,
    keyring: Keyring,
    cause: Cause,
    now: datetime,
) -> Answer:
    """Give a program a seat, or the one that it has; without one, its place in line as a refusal that is not raised.

    Raises:
        LicenseExpiredError: And its relatives, as :func:`_open`.
    """
    opened = _open(session, program.bearer, policies=policies, now=now)
    asker = _asker(program, opened.policy, key=keyring.device_key)

    glance = store.glance(session, opened.license.id, asker)
    at_once = rules.at_a_glance(glance, seats=opened.seats)
    decision = at_once or _decide_check_out(session, opened, asker, wants_to_wait=wants_to_wait, now=now)

    match decision:
        case NoSeat():
            return _refuse(session, opened, asker, decision=decision, now=now)
        case Renewed():
            seat_id = decision.seat_id
        case Granted():
            seat_id = _add(session, opened, asker, granted=decision, cause=cause, now=now)
    found = _renew_one(session, opened, seat_id, program=program, now=now)
    return found if found is not None else rules.ended_seat()


def _decide_check_out(
    session: Session, opened: Opened, asker: Asker, *, wants_to_wait: bool, now: datetime
) -> Renewed | Granted | NoSeat:
    """Decide by all seats of the license, and end those that have to."""
    show_names = opened.policy.floating.show_names
    for _ in range(_MOST_TRIES):
        situation = opened.situation(session)
        decision = rules.check_out(situation, asker, wants_to_wait=wants_to_wait, show_names=show_names, now=now)
        if not isinstance(decision, Granted) or _end(session, decision.ends, now=now):
            return decision
    raise StorageBusyError("Seats of the license are renewed all the time; nothing was changed.")


def _end(session: Session, seat_ids: Sequence[str], *, now: datetime) -> bool:
    """End lapsed seats; False where one of them was renewed or given back since it was read."""
    return not seat_ids or store.end_lapsed(session, seat_ids, now=now) == set(seat_ids)


def _refuse(session: Session, opened: Opened, asker: Asker, decision: NoSeat, now: datetime) -> RefusalError:
    if not decision.waited:
        refused_devices.note(session, Refused(opened.license.id, asker.device_id, decision.refusal.code), now=now)
    if decision.position is not None:
        row = {"license_id": opened.license.id, "holder": asker.holder, "device_id": asker.device_id}
        store.wait(session, {**row, "since": now, "until": now + rules.TURN})
    return decision.refusal


def _add(session: Session, opened: Opened, asker: Asker, granted: Granted, cause: Cause, now: datetime) -> str:
    seat_id, length = new_id(now), opened.policy.floating.length
    row = {"license_id": opened.license.id, **asker._asdict(), "since": now, "until": now + length}
    store.add(session, {"id": seat_id, **row, "seconds": int(length.total_seconds())})
    store.leave_line(session, opened.license.id, asker.holder, now=now)
    if granted.is_beyond:
        licensing_store.note_overfull(session, opened.license.id, now=now)
        detail = {"seat": seat_id, "device": asker.device_id, "seats": opened.seats}
        audit.record(session, Action.SEAT_BEYOND, subject=opened.license.id, cause=cause, detail=detail, now=now)
    return seat_id


def _renew_one(session: Session, opened: Opened, seat_id: str, program: Program, now: datetime) -> Held | None:
    floating = opened.policy.floating
    ends_at = lifecycle.end_of_use(opened.license)
    until = rules.lasts_until(floating, license_ends_at=ends_at, now=now)
    found = store.renew(session, [seat_id], until=until, length=floating.length).get(seat_id)
    if found is None:
        return None
    lasting = _within(found, ends_at)
    license_id = opened.license.id
    taken = store.taken(session, [license_id], now=now).get(license_id, 0)
    due, is_borrowed = _due(lasting, floating, now=now)
    return Held(
        license_id, program.bearer.issued.id, seat_id, session=program.session, until=lasting.until, renew_at=due,
        borrowed=is_borrowed, taken=taken, seats=opened.seats,
    )  # fmt: skip


def _within(lasting: store.Lasting, license_ends_at: datetime | None) -> store.Lasting:
    """Return how long a seat lasts: a borrowed one no longer than its license, which may have been shortened since."""
    if license_ends_at is None or lasting.until <= license_ends_at:
        return lasting
    return store.Lasting(license_ends_at, license_ends_at)


def _due(lasting: store.Lasting, floating: Floating, *, now: datetime) -> tuple[datetime, bool]:
    """Return when the next renewal is due, and whether the seat is borrowed."""
    until, borrowed_until = lasting
    is_borrowed = borrowed_until is not None and borrowed_until > now
    due = rules.renew_at(until, borrowed_until if is_borrowed else None, length=floating.length, now=now)
    return due, is_borrowed


@dataclass(frozen=True, slots=True)
class Renewal:
    """One program's renewal. ``digest`` is that of its license string, ``text_hash`` that of its fingerprint."""

    digest: str
    text_hash: str
    seat_id: str
    session: str
    device_info: str = field(repr=False)

    @property
    def key(self) -> str:
        """What :func:`store.presented` looks up."""
        return self.digest + self.seat_id


def renew(
    session: Session, renewals: Sequence[Renewal], *, policies: Policies, keyring: Keyring, now: datetime
) -> Sequence[Answer]:
    """Renew a batch of seats; return one answer each, in their order. A refusal is an answer among the others."""
    known = store.presented(session, [one.key for one in renewals])
    decided = [_decide(known.get(one.key), one, policies=policies, keyring=keyring, now=now) for one in renewals]

    for one, renewal in zip(decided, renewals, strict=True):
        if isinstance(one, DeviceMismatchError):
            row = known[renewal.key]
            refused_devices.note(session, Refused(row.license_id, row.device_id, one.code), now=now)
    lasting = _renew(session, [one for one in decided if isinstance(one, _Renewable)], now=now)
    taken = store.taken(session, [one.row.license_id for one in decided if isinstance(one, _Renewable)], now=now)
    return [_renewed(one, lasting, taken, now=now) if isinstance(one, _Renewable) else one for one in decided]


class _Renewable(NamedTuple):
    row: Presented
    renewal: Renewal
    policy: Policy
    until: datetime


def _decide(
    row: Presented | None, renewal: Renewal, *, policies: Policies, keyring: Keyring, now: datetime
) -> _Renewable | RefusalError:
    if row is None or not keyring.recognises(row.key_id, row.seal, row.sealed_values):
        return bearers.unknown_bearer()
    try:
        if renewal.text_hash != row.text_hash:
            _require_same_device(store.read_parts(row), renewal.device_info, keyring=keyring)
        policy = policies.of(row.policy)
        _require_floating(row, policy, has_place=row.device_has_place, now=now)
    except RefusalError as refusal:
        return refusal
    if row.seat_id is None or row.session != keyed("session", renewal.session, key=keyring.device_key):
        return rules.unknown_seat()
    if row.is_ended:
        return rules.ended_seat()
    until = rules.lasts_until(policy.floating, license_ends_at=lifecycle.end_of_use(row), now=now)
    return _Renewable(row, renewal, policy, until=until)


def note_mismatch(session: Session, bearer: Bearer, *, now: datetime) -> None:
    """Count that another machine presented a device's license string, after the transaction that was undone."""
    device = bearer.device
    refused_devices.note(session, Refused(device.license_id, device.id, DeviceMismatchError.code), now=now)


def _require_same_device(known: Mapping[str, Any], device_info: str, *, keyring: Keyring) -> None:
    facts = fingerprints.parse(device_info)
    bearers.require_same_device(known, fingerprints.hash_parts(facts, key=keyring.device_key))


def _renew(session: Session, renewable: Sequence[_Renewable], *, now: datetime) -> dict[str, store.Lasting]:
    """Write renewals: one statement for all with the same end, mostly one for the whole batch."""
    groups: dict[tuple[datetime, timedelta], list[str]] = {}
    for one in renewable:
        groups.setdefault((one.until, one.policy.floating.length), []).append(one.renewal.seat_id)
    lasting: dict[str, store.Lasting] = {}
    for (until, length), seat_ids in groups.items():
        lasting |= store.renew(session, seat_ids, until=until, length=length)
    return lasting


def _renewed(
    one: _Renewable, lasting: Mapping[str, store.Lasting], taken: Mapping[str, int], *, now: datetime
) -> Answer:
    row, renewal = one.row, one.renewal
    if (found := lasting.get(renewal.seat_id)) is None:
        return rules.ended_seat()
    found = _within(found, lifecycle.end_of_use(row))
    due, is_borrowed = _due(found, one.policy.floating, now=now)
    return Held(
        row.license_id, row.issued_id, renewal.seat_id, session=renewal.session, until=found.until, renew_at=due,
        borrowed=is_borrowed, taken=taken.get(row.license_id, 0), seats=places.limit(row, one.policy.places),
    )  # fmt: skip


def _own_seat(session: Session, program: Program, seat_id: str, *, key: bytes) -> Seat:
    """Return a seat of the program; its license has to be locked.

    Raises:
        SeatNotFoundError: There is none, or it is another one's.
    """
    found = store.seat(session, seat_id)
    is_own = found is not None and (found.device_id, found.session) == (
        program.bearer.device.id,
        keyed("session", program.session, key=key),
    )
    if found is None or not is_own:
        raise rules.unknown_seat()
    return found


def _as_held(seat: Seat) -> HeldSeat:
    return HeldSeat(
        seat.id, seat.device_id, seat.session, holder=seat.holder, since=seat.since, until=seat.until,
        borrowed_at=seat.borrowed_at, borrowed_until=seat.borrowed_until, name="",
    )  # fmt: skip


def borrow(
    session: Session,
    program: Program,
    seat_id: str,
    *,
    until: datetime,
    policies: Policies,
    keyring: Keyring,
    cause: Cause,
    now: datetime,
) -> Held:
    """Let a program keep its seat until a moment without asking; again with another moment, until that one.

    Raises:
        LicenseExpiredError: And its relatives, as :func:`_open`.
        SeatNotFoundError: It has no such seat.
        SeatEndedError: The seat was ended.
        BorrowTooLongError: And its relatives, as :func:`rules.borrow`.
    """
    opened = _open(session, program.bearer, policies=policies, now=now)
    seat = _own_seat(session, program, seat_id, key=keyring.device_key)
    if seat.ended_at is not None:
        raise rules.ended_seat()

    since = rules.borrow(
        opened.situation(session), _as_held(seat), opened.policy.floating,
        until=until, license_ends_at=lifecycle.end_of_use(opened.license), now=now,
    )  # fmt: skip

    if until != seat.borrowed_until:
        store.borrow(session, seat.id, since=since, until=until)
        detail = {"seat": seat.id, "device": seat.device_id, "until": until.isoformat()}
        audit.record(session, Action.SEAT_BORROWED, subject=opened.license.id, cause=cause, detail=detail, now=now)
    found = _renew_one(session, opened, seat.id, program=program, now=now)
    if found is None:
        raise rules.ended_seat()
    return found


@dataclass(frozen=True)
class Returned:
    """A seat given back."""

    seat_id: str
    returned_at: datetime


def give_back(
    session: Session, program: Program, seat_id: str, *, policies: Policies, keyring: Keyring, now: datetime
) -> Returned:
    """End a program's seat, whatever the license is. Doing it again changes nothing and says the same.

    Raises:
        SeatNotFoundError: It has no such seat.
        SeatBorrowedError: It may not be given back yet.
    """
    row = store.license_of(session, program.bearer.device.license_id)
    seat = _own_seat(session, program, seat_id, key=keyring.device_key)
    if seat.ended_at is not None:
        return Returned(seat.id, seat.ended_at)
    held = _as_held(seat)
    if held.is_borrowed(now) and (policy := policies.of(row.policy)).places.floating:
        rules.require_returnable(held, policy.floating, now=now)
    store.give_back(session, seat.id, now=now)
    return Returned(seat.id, now)


def free(session: Session, seat: Seat, *, cause: Cause, now: datetime) -> None:
    """End a seat as staff, borrowed or not; its license has to be locked."""
    if seat.ended_at is not None:
        return
    store.give_back(session, seat.id, now=now)
    detail = {"seat": seat.id, "device": seat.device_id}
    audit.record(session, Action.SEAT_FREED, subject=seat.license_id, cause=cause, detail=detail, now=now)
