"""The use case of heartbeats: a whole batch of devices checks in, in one transaction.

Read → decide → write, each once for the batch; a device that is refused (unknown string, another machine) is an
answer among the others and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from licsrv.errors import RefusalError
from licsrv.heartbeats import rules, store
from licsrv.heartbeats.rules import LeaseTerms, Spans
from licsrv.licensing import service as licensing
from licsrv.licensing.changes import MARKETPLACE
from licsrv.licensing.fingerprints import HashedParts
from licsrv.licensing.keyring import Keyring
from licsrv.outbox import store as outbox

QUERY_KIND = "query_license"
USAGE_KIND = "report_usage"


@dataclass(frozen=True)
class Beat:
    """One device's check-in. ``digest`` is that of its license string."""

    digest: str
    parts: HashedParts = field(repr=False)
    client_version: str
    at: datetime


@dataclass(frozen=True)
class Granted:
    """A lease that is on disk: what it says and whose it is."""

    license_id: str
    issued_id: str
    terms: LeaseTerms


Answer = Granted | RefusalError


def check_in(session: Session, beats: Sequence[Beat], *, day: date, spans: Spans, keyring: Keyring) -> Sequence[Answer]:
    """Check a batch of devices in; return one answer each, in their order.

    The first use of a license on a day enqueues the question to the marketplace, the first use of a device that may
    work enqueues its usage report.
    """
    known = store.presented(session, [beat.digest for beat in beats], day)

    answers = [_decide(known.get(beat.digest), beat, spans, keyring) for beat in beats]

    granted = [
        (known[beat.digest], beat, answer)
        for beat, answer in zip(beats, answers, strict=True)
        if isinstance(answer, Granted)
    ]
    _write(session, granted, day)
    return answers


def _decide(row: Any, beat: Beat, spans: Spans, keyring: Keyring) -> Answer:
    if row is None or not keyring.is_trusted(row.key_id):
        return licensing.unknown_bearer()
    try:
        licensing.require_same_device(row.parts, beat.parts)
    except RefusalError as refusal:
        return refusal
    terms = rules.decide(row, device_has_place=row.place_released_at is None, spans=spans, now=beat.at)
    return Granted(row.license_id, row.issued_id, terms)


def _write(session: Session, granted: Sequence[tuple[Any, Beat, Granted]], day: date) -> None:
    again: list[Mapping[str, Any]] = []
    first: dict[str, tuple[Any, Beat, Granted]] = {}
    for row, beat, answer in granted:
        if row.seen is None and row.device_id not in first:
            first[row.device_id] = (row, beat, answer)
        else:
            again.append(_contact(row, beat, answer, day))
    if first:
        _write_first(session, first, day)
    store.seen_again(session, again)


def _contact(row: Any, beat: Beat, answer: Granted, day: date) -> dict[str, Any]:
    return {
        "of_device": row.device_id,
        "of_day": day,
        "last_at": beat.at,
        "status": answer.terms.status,
        "lease_until": answer.terms.lease_until,
        "client_version": beat.client_version,
    }


def _write_first(session: Session, first: Mapping[str, tuple[Any, Beat, Granted]], day: date) -> None:
    rows = [
        {
            "device_id": device_id,
            "day": day,
            "license_id": row.license_id,
            "first_at": beat.at,
            "last_at": beat.at,
            "count": 1,
            "status": answer.terms.status,
            "lease_until": answer.terms.lease_until,
            "client_version": beat.client_version,
        }
        for device_id, (row, beat, answer) in first.items()
    ]
    noted = store.seen_first(session, rows)
    fresh = [entry for device_id, entry in first.items() if device_id in noted]
    licenses = store.first_use(session, [row.license_id for row, _, _ in fresh], day)
    _enqueue(session, fresh, licenses, day)


def _enqueue(session: Session, fresh: Sequence[tuple[Any, Beat, Granted]], licenses: set[str], day: date) -> None:
    """Tell the marketplace of its own licenses; what was added by hand is nobody's business but ours."""
    items: list[tuple[str, str, Mapping[str, object]]] = []
    asked: set[str] = set()
    for row, _, answer in fresh:
        if row.source != MARKETPLACE or row.released_at is not None:
            continue
        if row.license_id in licenses and row.license_id not in asked:
            asked.add(row.license_id)
            items.append((QUERY_KIND, row.license_id, {"code": row.code}))
        if answer.terms.may_work:
            usage = {"code": row.code, "client_id": row.device_id, "day": day.isoformat()}
            items.append((USAGE_KIND, row.license_id, usage))
    if items:
        outbox.enqueue_many(session, items, now=max(beat.at for _, beat, _ in fresh))
