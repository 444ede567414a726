"""Devices that were refused, counted by day: what support looks at when a customer calls.

A refusal is counted afterwards, in a transaction of its own: that of the refused use case has been undone by then. Of
a license there are at most :data:`MOST` rows a day; what comes after them is counted in rows without a device.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from licsrv.licensing import store
from licsrv.platform import days

MOST = 50


@dataclass(frozen=True)
class Refused:
    """A device of a known license was refused.

    Args:
        device: Its id where it is known here, else its fingerprint; never a raw fact.
        code: The refusal's stable code.
    """

    license_id: str
    device: str
    code: str
    name: str = ""


def note(session: Session, refused: Refused, *, now: datetime) -> None:
    """Count a refusal."""
    row: dict[str, Any] = {
        "license_id": refused.license_id,
        "day": days.day_of(now, UTC),
        "device": refused.device,
        "code": refused.code,
        "name": refused.name,
        "count": 1,
        "last_at": now,
    }
    if store.count_refusal_again(session, row):
        return
    if store.refusals_of_day(session, refused.license_id, row["day"]) >= MOST:
        row |= {"device": "", "name": ""}
    if not store.add_refusal(session, row):
        store.count_refusal_again(session, row)
