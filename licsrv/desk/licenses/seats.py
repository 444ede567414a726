"""The seats of a floating license as the desk shows them: who holds one, and who waits."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from sqlmodel import Session

from licsrv.licensing import places
from licsrv.licensing import store as licensing
from licsrv.licensing.policies import Policies
from licsrv.licensing.tables import License
from licsrv.platform.fields import Body
from licsrv.seats import store
from licsrv.seats.rules import Situation


class SeatShown(Body):
    """A seat that a program holds."""

    id: str
    device_id: str
    name: str
    since: datetime
    until: datetime
    borrowed: bool


class WaitingShown(Body):
    """A device of which a program waits for a seat."""

    position: int
    device_id: str
    name: str
    since: datetime


class SeatsShown(Body):
    """The seats of a floating license."""

    seats: int = Field(description="that were bought")
    most: int = Field(description="that are given, with the overdraft")
    taken: int = Field(description="in use; programs that share a seat count once")
    held: list[SeatShown] = Field(description="the oldest first")
    line: list[WaitingShown] = Field(description="the first in line first")


def of_license(session: Session, license: License, policies: Policies, *, now: datetime) -> SeatsShown | None:
    """Return the seats of a license; None where its places are fixed."""
    rules = policies.shown(licensing.policy_text(session, license.product_id)).places
    if not rules.floating:
        return None
    seats = places.limit(license, rules)
    line = store.in_line(session, license.id)
    situation = Situation(seats, rules.admitted(seats), store.held(session, license.id), line=line)
    return SeatsShown(
        seats=seats,
        most=situation.most,
        taken=situation.taken(now),
        held=[
            SeatShown(
                id=one.id, device_id=one.device_id, name=one.name, since=one.since, until=one.until,
                borrowed=one.is_borrowed(now),
            )
            for one in situation.live(now)
        ],
        line=[
            WaitingShown(position=position, device_id=one.device_id, name=one.name, since=one.since)
            for position, one in enumerate(situation.waiting(now), start=1)
        ],
    )  # fmt: skip
