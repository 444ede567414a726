"""What needs attention now, as API, console and command line show it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo

from pydantic import Field
from sqlmodel import Session

from licsrv.desk.callbacks import answers as callbacks
from licsrv.desk.callbacks.answers import Callback
from licsrv.desk.deliveries import answers as deliveries
from licsrv.desk.deliveries.answers import Delivery
from licsrv.desk.deliveries.store import codes_of
from licsrv.desk.licenses import copies, showing
from licsrv.desk.licenses.answers import LicenseLine
from licsrv.desk.licenses.timeline.store import device_names
from licsrv.desk.reconciliation import answers as reconciliation
from licsrv.desk.reconciliation.answers import DifferenceShown
from licsrv.desk.today import store
from licsrv.desk.view import View
from licsrv.licensing import learning
from licsrv.licensing import store as licensing
from licsrv.licensing.issuing import issuing
from licsrv.licensing.keyring import Keyring
from licsrv.marketplace import store as marketplace
from licsrv.marketplace.reconciliation import store as differences
from licsrv.marketplace.reconciliation.store import Filter
from licsrv.outbox import store as outbox
from licsrv.platform import days
from licsrv.platform.fields import Body
from licsrv.words import alerts as words
from licsrv.words.sentences import Sentence, moment, same, span

MOST = 50
_NAMED = 3
_LOOKED_AT = 500
SOON = timedelta(days=30)
RECENT = timedelta(days=1)
STILL = timedelta(minutes=15)
CLOCKS_AGREE = timedelta(seconds=60)


class Alert(Body):
    """Something that an operator has to see at a glance."""

    area: str = Field(description="keys, key_pair, clock, outbox, callbacks, probes, reconciliation")
    says: Sentence


class RefusedShown(Body):
    """A device that was refused today."""

    license_id: str
    code: str | None
    device_id: str | None = Field(description="null where the device is not known here")
    name: str
    why: str = Field(description="the refusal's code, or the status that its lease says")
    count: int
    last_at: datetime


class ManyTextsShown(Body):
    """A device that sent many texts on a day: what it says of itself, other than what it asked for its license with."""

    license_id: str
    code: str | None
    device_id: str
    name: str
    day: date
    count: int


class CopiedShown(Body):
    """A device of which two copies are in use."""

    license_id: str
    code: str | None
    device_id: str
    name: str
    proven_at: datetime


class KeyPairShown(Body):
    """How the key pair of the open API fares."""

    failures: int
    paused_until: datetime | None
    reason: str


class OutboxShown(Body):
    """How full the outbox is, and what does not move in it."""

    waiting: int
    parked: int
    oldest_at: datetime | None
    still: list[Delivery]


class BoardAnswer(Body):
    """The desk. Each list is cut after 50 rows."""

    alerts: list[Alert]
    ending: list[LicenseLine]
    refused: list[RefusedShown]
    many_texts: list[ManyTextsShown] = Field(description="today or yesterday (UTC), three other texts or more")
    copied: list[CopiedShown] = Field(description="two copies of a machine are in use, and staff has blessed none")
    frozen: list[LicenseLine]
    overfull: list[LicenseLine] = Field(
        description="more in use than was bought: it was lowered, or there is an overdraft"
    )
    unread_answers: list[str] = Field(
        description="licenses or orders about which the marketplace's answer is unreadable"
    )
    endless: int = Field(description="sold by the marketplace without an end, of products not marked as sold once")
    outbox: OutboxShown
    callbacks: list[Callback] = Field(description="signed ones that were refused and did not succeed since; a day's")
    unsigned_callbacks: int = Field(description="with a wrong signature, a day's")
    key_pair: KeyPairShown | None
    clock_difference_seconds: float | None = Field(description="the marketplace's clock less ours")
    missing_keys: str | None
    differences: list[DifferenceShown]
    open_differences: dict[str, int]


def board(
    session: Session,
    *,
    keyring: Keyring,
    key_pair: str,
    clock_difference: timedelta | None,
    view: View,
    zone: tzinfo,
) -> BoardAnswer:
    """Return what needs attention now.

    Args:
        key_pair: As the gate names it; empty where there is none.
        clock_difference: How far the marketplace's clock is ahead, as far as this process knows.
        zone: Whose day today is.
    """
    now = view.now
    failed = store.failed_callbacks(session, now - RECENT, MOST)
    answer = BoardAnswer(
        alerts=[],
        ending=_ending(session, view),
        refused=_refused(session, now, zone),
        many_texts=_many_texts(session, now),
        copied=_copied(session),
        frozen=showing.license_lines(session, store.frozen(session, MOST), view),
        overfull=_overfull(session, view),
        unread_answers=[row.subject for row in marketplace.unread_answers(session, MOST)],
        endless=store.count_endless(session),
        outbox=_outbox(session, now),
        callbacks=[callbacks.shown(row) for row in failed],
        unsigned_callbacks=store.count_unsigned(session, now - RECENT),
        key_pair=_key_pair(session, key_pair),
        clock_difference_seconds=clock_difference.total_seconds() if clock_difference is not None else None,
        missing_keys=issuing.missing_keys(session, keyring, now=now),
        differences=reconciliation.shown(differences.differences(session, Filter(), limit=MOST)),
        open_differences=dict(differences.count_open(session)),
    )
    return answer.model_copy(update={"alerts": list(_alerts(answer, now))})


def _ending(session: Session, view: View) -> list[LicenseLine]:
    rows = store.ending(session, after=view.now, before=view.now + SOON, limit=MOST)
    return showing.license_lines(session, rows, view)


def _overfull(session: Session, view: View) -> list[LicenseLine]:
    """Return licenses with more in use than was bought: it was lowered, or the product admits an overdraft."""
    lowered = store.lowered(session, _LOOKED_AT)
    stated = licensing.policy_texts(session, {one.product_id for one in lowered})
    rules = {one.id: view.policies.shown(stated.get(one.product_id)).places for one in lowered}
    for_staff = [one for one in lowered if rules[one.id].is_reported]
    lines = showing.license_lines(session, for_staff, view)
    return [line for line in lines if line.places_taken > line.places][:MOST]


def _refused(session: Session, now: datetime, zone: tzinfo) -> list[RefusedShown]:
    """Return devices that were refused a license, or got a refusal at a check-in; the last first."""
    today = days.day_of(now, zone)
    asked = store.refused_since(session, days.begins_at(today, zone), MOST)
    told = store.told_no(session, today, MOST)
    codes = codes_of(session, [*(row.license_id for row in asked), *(row.license_id for row in told)])
    names = device_names(session, [*(row.device for row in asked), *(row.device_id for row in told)])
    found = [
        RefusedShown(
            license_id=row.license_id, code=codes.get(row.license_id), name=row.name or names.get(row.device, ""),
            device_id=row.device if row.device in names else None, why=row.code, count=row.count, last_at=row.last_at,
        )
        for row in asked
    ]  # fmt: skip
    found += [
        RefusedShown(
            license_id=row.license_id, code=codes.get(row.license_id), name=names.get(row.device_id, ""),
            device_id=row.device_id, why=row.status, count=row.count, last_at=row.last_at,
        )
        for row in told
    ]  # fmt: skip
    return sorted(found, key=lambda row: row.last_at, reverse=True)[:MOST]


def _many_texts(session: Session, now: datetime) -> list[ManyTextsShown]:
    rows = store.many_texts(session, days.day_of(now - RECENT, UTC), least=learning.MANY_TEXTS, limit=MOST)
    codes = codes_of(session, [row.license_id for row in rows])
    names = device_names(session, [row.device_id for row in rows])
    return [
        ManyTextsShown(
            license_id=row.license_id, code=codes.get(row.license_id), device_id=row.device_id,
            name=names.get(row.device_id, ""), day=row.day, count=row.count,
        )
        for row in rows
    ]  # fmt: skip


def _copied(session: Session) -> list[CopiedShown]:
    rows = [one for one in copies.copied(session, limit=_LOOKED_AT) if not one.is_settled][:MOST]
    codes = codes_of(session, [row.license_id for row in rows])
    return [
        CopiedShown(
            license_id=row.license_id, code=codes.get(row.license_id), device_id=row.device_id, name=row.name,
            proven_at=row.proven_at,
        )
        for row in rows
    ]  # fmt: skip


def _outbox(session: Session, now: datetime) -> OutboxShown:
    depth = outbox.depth(session)
    rows = store.standing_still(session, before=now - STILL, limit=MOST)
    still = deliveries.shown(session, rows)
    return OutboxShown(waiting=depth.waiting, parked=depth.parked, oldest_at=depth.oldest_at, still=still)


def _key_pair(session: Session, key_pair: str) -> KeyPairShown | None:
    gate = marketplace.gate(session, key_pair) if key_pair else None
    if gate is None:
        return None
    return KeyPairShown(failures=gate.failures, paused_until=gate.paused_until, reason=gate.reason)


def _alerts(shown: BoardAnswer, now: datetime) -> Iterator[Alert]:
    yield from _key_alerts(shown, now)
    yield from _clock_alerts(shown)
    yield from _outbox_alerts(shown, now)
    yield from _callback_alerts(shown)
    yield from _license_alerts(shown)
    if count := sum(shown.open_differences.values()):
        yield Alert(area="reconciliation", says=words.DIFFERENCES(count))


def _key_alerts(shown: BoardAnswer, now: datetime) -> Iterator[Alert]:
    if shown.missing_keys is not None:
        yield Alert(area="keys", says=words.KEYS_MISSING.filled(problem=shown.missing_keys))
    pair = shown.key_pair
    if pair is not None and pair.failures:
        until = moment(pair.paused_until, now) if pair.paused_until is not None else same("?")
        yield Alert(area="key_pair", says=words.PAIR_REFUSED(pair.failures, until=until, reason=pair.reason))


def _clock_alerts(shown: BoardAnswer) -> Iterator[Alert]:
    seconds = shown.clock_difference_seconds
    if seconds is not None and abs(seconds) > CLOCKS_AGREE.total_seconds():
        yield Alert(area="clock", says=words.CLOCKS_DIFFER.filled(span=span(timedelta(seconds=abs(seconds)))))


def _outbox_alerts(shown: BoardAnswer, now: datetime) -> Iterator[Alert]:
    oldest = shown.outbox.oldest_at
    if oldest is not None and now - oldest > STILL:
        yield Alert(area="outbox", says=words.WAITING(shown.outbox.waiting, span=span(now - oldest)))
    if shown.outbox.parked:
        yield Alert(area="outbox", says=words.PARKED(shown.outbox.parked))


def _license_alerts(shown: BoardAnswer) -> Iterator[Alert]:
    if unread := shown.unread_answers:
        yield Alert(area="ends", says=words.UNREAD_ANSWERS(len(unread), names=same(", ".join(unread[:_NAMED]))))
    if shown.endless:
        yield Alert(area="ends", says=words.ENDLESS(shown.endless))
    if shown.overfull:
        yield Alert(area="places", says=words.OVERFULL(len(shown.overfull)))
    if shown.copied:
        names = list(dict.fromkeys(row.code or row.license_id for row in shown.copied))[:_NAMED]
        yield Alert(area="clones", says=words.COPIED(len(shown.copied), names=same(", ".join(names))))
    if devices := {row.device_id: row.code or row.license_id for row in shown.many_texts}:
        names = list(dict.fromkeys(devices.values()))[:_NAMED]
        yield Alert(area="places", says=words.MANY_TEXTS(len(devices), names=same(", ".join(names))))


def _callback_alerts(shown: BoardAnswer) -> Iterator[Alert]:
    probes = sum(row.is_probe for row in shown.callbacks)
    if probes:
        yield Alert(area="probes", says=words.PROBES_FAILED(probes))
    if others := len(shown.callbacks) - probes:
        yield Alert(area="callbacks", says=words.CALLBACKS_FAILED(others))
