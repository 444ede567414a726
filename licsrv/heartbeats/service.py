"""The use case of heartbeats: a whole batch of devices checks in, in one transaction.

Read → decide → write, each once for the batch; a device that is refused (unknown string, another machine) is an
answer among the others and writes nothing, except that another machine on a known license is counted for support.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.errors import DeviceMismatchError, RefusalError
from licsrv.heartbeats import following as link_following
from licsrv.heartbeats import rules, store
from licsrv.heartbeats.links import links_of
from licsrv.heartbeats.rules import Beat, LeaseTerms
from licsrv.heartbeats.store import Presented
from licsrv.licensing import bearers, fingerprints, learning, origins, refused_devices
from licsrv.licensing.clones import Event
from licsrv.licensing.fingerprints import DeviceFacts
from licsrv.licensing.keyring import Keyring
from licsrv.licensing.learning import Recognised
from licsrv.licensing.origins import Use
from licsrv.licensing.policies import Policies
from licsrv.licensing.refused_devices import Refused
from licsrv.outbox import store as outbox
from licsrv.outbox.messages import Message

_LONGEST_DAY = timedelta(hours=26)  # a day on which clocks are set back, and an hour because clocks differ


class Granted(NamedTuple):
    """A lease that is on disk: what it says, whose it is, and what its device presents next time."""

    license_id: str
    issued_id: str
    terms: LeaseTerms
    link: str
    event: Event | None = None
    """What the check-in was, where the device did not go on from its last lease."""


Answer = Granted | RefusalError


class _CheckIn(NamedTuple):
    """A granted check-in: its number in the batch, the row behind it, what the device sent, and the lease's terms."""

    number: int
    row: Presented
    beat: Beat
    terms: LeaseTerms
    facts: DeviceFacts | None
    """What it says, where that is not what it said when it asked for its license."""

    def recognised(self, facts: DeviceFacts, policies: Policies) -> Recognised:
        """Return the device with what it says."""
        row = self.row
        return Recognised(
            id=row.device_id, license_id=row.license_id, parts=store.read_parts(row), facts=facts,
            text_hash=self.beat.text_hash, budget=policies.of(row.policy).recognition.budget,
        )  # fmt: skip

    def told(self) -> tuple[str, datetime, str]:
        """Return what is written of it; one statement writes all devices with the same values."""
        return self.terms.status, self.terms.lease_until, self.beat.client_version


def check_in(
    session: Session, beats: Sequence[Beat], *, day: date, policies: Policies, keyring: Keyring, now: datetime
) -> Sequence[Answer]:
    """Check a batch of devices in; return one answer each, in their order.

    The first use of a license on a day enqueues the question to the marketplace, the first use of a device that may
    work enqueues its usage report.
    """
    known = store.presented(session, [beat.digest for beat in beats], day)

    answers: dict[int, Answer] = {}
    granted: list[_CheckIn] = []
    refused: list[Refused] = []
    for number, beat in enumerate(beats):
        row = known.get(beat.digest)
        decided, facts = _decide(row, beat, policies=policies, keyring=keyring, now=now)
        if row is not None and isinstance(decided, LeaseTerms):
            granted.append(_CheckIn(number, row, beat=beat, terms=decided, facts=facts))
        elif isinstance(decided, RefusalError):
            answers[number] = decided
            if row is not None and isinstance(decided, DeviceMismatchError):
                refused.append(Refused(row.license_id, row.device_id, decided.code))
    following = link_following.follow(session, granted, policies=policies, links=links_of(keyring.device_key), now=now)
    for number in following.refused:
        granted[number] = _stopped(granted[number], policies)

    _recognise(session, granted, policies=policies, keyring=keyring, now=now)
    _write(session, granted, day, now=now)
    link_following.write(session, following, now=now)
    for one in refused:
        refused_devices.note(session, one, now=now)
    for number, (check_in, link) in enumerate(zip(granted, following.links, strict=True)):
        row = check_in.row
        answers[check_in.number] = Granted(
            row.license_id, row.issued_id, terms=check_in.terms, link=link, event=following.events.get(number)
        )
    return [answers[number] for number in range(len(beats))]


def _stopped(check_in: _CheckIn, policies: Policies) -> _CheckIn:
    terms = rules.refuse_copy(check_in.terms, policies.of(check_in.row.policy).time)
    return check_in._replace(terms=terms)


def _decide(
    row: Presented | None, beat: Beat, *, policies: Policies, keyring: Keyring, now: datetime
) -> tuple[LeaseTerms | RefusalError, DeviceFacts | None]:
    if row is None or not keyring.recognises(row.key_id, row.seal, row.sealed_values):
        return bearers.unknown_bearer(), None
    try:
        facts = _require_same_device(row, beat, keyring) if beat.text_hash != row.text_hash else None
        times = policies.of(row.policy).time
    except RefusalError as refusal:
        return refusal, None
    return rules.decide(row, device_has_place=row.device_has_place, times=times, now=now), facts


def _require_same_device(row: Presented, beat: Beat, keyring: Keyring) -> DeviceFacts:
    """Compare part by part a device that does not say the very words it said when it asked for its license."""
    facts = fingerprints.parse(beat.device_info)
    bearers.require_same_device(store.read_parts(row), fingerprints.hash_parts(facts, key=keyring.device_key))
    return facts


def _recognise(
    session: Session, granted: Sequence[_CheckIn], *, policies: Policies, keyring: Keyring, now: datetime
) -> None:
    """Note what devices say that is new; those that may work learn it, within the budget of their product."""
    changed = [(one, one.recognised(facts, policies)) for one in granted if (facts := one.facts) is not None]
    if changed:
        key, working = keyring.device_key, [device for check_in, device in changed if check_in.terms.may_work]
        learning.learn_at_check_in(session, working, key=key, cause=Cause("client"), now=now)
        learning.note_texts(session, [device for _, device in changed], key=key, now=now)


def _write(session: Session, granted: Sequence[_CheckIn], day: date, now: datetime) -> None:
    first: dict[str, _CheckIn] = {}
    again: list[_CheckIn] = []
    for check_in in granted:
        if check_in.row.told_today is None and check_in.row.device_id not in first:
            first[check_in.row.device_id] = check_in
        else:
            again.append(check_in)
    if first:
        _write_first(session, first, day, now=now)
    _write_again(session, again, day, now=now)
    resumed = {check_in.row.device_id: check_in for check_in in again if _may_work_again(check_in)}
    if resumed:
        _report_resumed(session, list(resumed.values()), day, now=now)


def _may_work_again(check_in: _CheckIn) -> bool:
    """Whether a device may work whose last lease of today forbade it."""
    told_today = check_in.row.told_today
    return check_in.terms.may_work and told_today is not None and told_today != check_in.terms.status


def _report_resumed(session: Session, resumed: Sequence[_CheckIn], day: date, now: datetime) -> None:
    """Report the use of devices whose first check-in of the day was refused; a use is reported once a day."""
    since = now - _LONGEST_DAY
    reports = [report for check_in in resumed for report in _reports(check_in, day)]
    missing = [report for report in reports if not outbox.was_enqueued(session, report, since=since)]
    outbox.enqueue_many(session, missing, now=now)


def _reports(check_in: _CheckIn, day: date, *, is_first_of_license: bool = False) -> Sequence[Message]:
    """Return what is reported of a use, as the origin of its license says; what is released is not reported."""
    row = check_in.row
    if row.released_at is not None:
        return ()
    use = Use(
        row.license_id,
        row.code,
        row.device_id,
        day=day,
        is_first_of_license=is_first_of_license,
        may_work=check_in.terms.may_work,
    )
    return origins.of(row.source).reports(use)


def _write_again(session: Session, again: Sequence[_CheckIn], day: date, now: datetime) -> None:
    """Write further check-ins: one statement for all with the same answer, mostly one for the whole batch."""
    groups: dict[tuple[str, datetime, str], list[str]] = {}
    twice: list[_CheckIn] = []
    for check_in in again:
        ids = groups.setdefault(check_in.told(), [])
        if check_in.row.device_id in ids:
            twice.append(check_in)  # one statement counts a device once
        else:
            ids.append(check_in.row.device_id)
    for (status, lease_until, version), device_ids in groups.items():
        told = {"status": status, "lease_until": lease_until, "client_version": version}
        store.seen_again(session, device_ids, day=day, told=told, now=now)
    if twice:
        _write_again(session, twice, day, now=now)


def _write_first(session: Session, first: Mapping[str, _CheckIn], day: date, now: datetime) -> None:
    rows = [
        {
            "device_id": device_id,
            "day": day,
            "license_id": check_in.row.license_id,
            "first_at": now,
            "last_at": now,
            "count": 1,
            "status": check_in.terms.status,
            "lease_until": check_in.terms.lease_until,
            "client_version": check_in.beat.client_version,
        }
        for device_id, check_in in first.items()
    ]
    noted = store.seen_first(session, rows)
    fresh = [check_in for device_id, check_in in first.items() if device_id in noted]
    licenses = store.first_use(session, [check_in.row.license_id for check_in in fresh], day)
    _enqueue(session, fresh, licenses, day=day, now=now)


def _enqueue(session: Session, fresh: Sequence[_CheckIn], licenses: set[str], day: date, now: datetime) -> None:
    """Report the first use of the day."""
    messages: list[Message] = []
    unreported = set(licenses)
    for check_in in fresh:
        license_id = check_in.row.license_id
        messages += _reports(check_in, day, is_first_of_license=license_id in unreported)
        unreported.discard(license_id)
    outbox.enqueue_many(session, messages, now=now)
