"""Free the seat of a program, so that another program can take it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.staff_action import Change, Decision, Facts, Given, StaffAction, Takes, Unchanged
from licsrv.errors import InvalidRequestError, RefusalError
from licsrv.licensing.tables import License
from licsrv.seats import service
from licsrv.words.sentences import Sentence, moment


class FreeSeat(StaffAction):
    """Free a seat, borrowed or not, whatever the license's status."""

    name = "free_seat"
    takes = needs = frozenset({Takes.SEAT})
    acts_on_released = True
    can_be_undone = False

    def is_offered(self, license: License) -> bool:
        return super().is_offered(license) and license.places_taken > 0

    def problem(self, given: Given, *, now: datetime) -> RefusalError | None:
        if given.seat is None:
            return InvalidRequestError("seat_id names the seat that is meant.", field="seat_id")
        return None

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        if given.seat is None or given.seat.ended_at is not None:
            return Unchanged(self.words.also["already"])
        until = given.seat.borrowed_until
        if until is None or until <= now:
            return Change()
        return Change(self.words.also["borrowed"].filled(until=moment(until, now)))

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        if given.seat is None:
            return 0
        service.free(session, given.seat, cause=cause, now=now)
        return 1

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        return self.words.does.filled(code=license.code, seat=given.seat.id if given.seat is not None else "")


ACTION = FreeSeat()
