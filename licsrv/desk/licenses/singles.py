"""How many licenses one person revokes alone in a day: one by one they count like a list of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from licsrv.desk.licenses import store
from licsrv.errors import ForbiddenError
from licsrv.people import store as people
from licsrv.people.actors import Actor

COUNTED = timedelta(days=1)


@dataclass(frozen=True)
class Limit:
    """On how many licenses a person works alone in a day, and how many of them were in lists."""

    above: int
    started_in_bulk: Callable[..., int]


def note(session: Session, license_id: str, actor: Actor, *, limit: Limit, now: datetime) -> None:
    """Count a revocation of one license, in its transaction.

    Raises:
        ForbiddenError: With it, the person has worked on more licenses within a day than one may alone.
    """
    since = now - COUNTED
    if actor.account:  # two at once would not see each other
        people.account_for_update(session, actor.account)
    store.add_single_revocation(session, actor.person, license_id, counted=since, now=now)
    alone = store.single_revocations(session, actor.person, since=since, until=now)
    alone += limit.started_in_bulk(session, actor.person, since=since, until=now)
    if alone > limit.above:
        raise ForbiddenError(
            f"One person alone revokes at most {limit.above} licenses within a day.",
            action="Create a bulk job: another person approves it.",
        )
