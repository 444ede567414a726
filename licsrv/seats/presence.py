"""Time in which the service was away does not count: replicas note that they live, and seats outlast a silence."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from licsrv.platform.db import after_commit
from licsrv.seats import rules, store
from licsrv.seats.rules import AWAY

_FORGOTTEN = timedelta(days=1)


@dataclass
class Replica:
    """This process, and when it last noted that it lives."""

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    noted_at: datetime | None = None

    def is_noted(self, now: datetime) -> bool:
        """Whether its note is so young that nothing has to be looked up."""
        return self.noted_at is not None and abs(now - self.noted_at) <= AWAY


def catch_up(session: Session, replica: Replica, *, now: datetime) -> None:
    """Let seats outlast a time in which the service was away. Before a lapsed seat is given to another program.

    Each seat that was live when the service was last alive lasts its whole length from now, at least. Where the clock
    was set back, no seat lasts longer than that, and no place in line longer than one that begins now.
    """
    if not replica.is_noted(now):
        note(session, replica, now=now)


def note(session: Session, replica: Replica, *, now: datetime) -> None:
    """Note that this process lives, and catch up on what it missed."""
    found = store.notes(session)
    others = [at for name, at in found.items() if name != replica.id]
    silence = rules.silence(replica.noted_at, others, now=now)
    if silence.since is not None or silence.went_back:
        for seconds in store.lengths(session):
            _mend(session, seconds, silence, now=now)
    if silence.went_back:
        store.shorten_line(session, until=now + rules.TURN)

    store.note(session, replica.id, now=now)
    gone = [name for name, at in found.items() if name != replica.id and not now - _FORGOTTEN < at <= now + AWAY]
    if gone:
        store.forget(session, gone)
    after_commit(session, lambda: setattr(replica, "noted_at", now))


def end_forgotten(session: Session, replica: Replica, *, before: datetime, now: datetime) -> int:
    """End some seats that lapsed before a moment, after a silence only those that had lapsed then; return how many."""
    catch_up(session, replica, now=now)
    return store.end_forgotten(session, before=before, now=now)


def _mend(session: Session, seconds: int, silence: rules.Silence, *, now: datetime) -> None:
    until = now + timedelta(seconds=seconds)
    if silence.went_back:
        store.shorten(session, seconds, until=until)
    if silence.since is not None:
        store.prolong(session, seconds, live_at=silence.since, until=until)
