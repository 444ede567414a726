"""Set the last publication date that a license covers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.staff_action import (
    Change,
    Decision,
    Facts,
    Given,
    StaffAction,
    Takes,
    Unchanged,
    Undo,
)
from licsrv.licensing import changes
from licsrv.licensing.tables import License
from licsrv.platform import moments
from licsrv.words.sentences import Sentence, moment


class SetMaintenance(StaffAction):
    """Let the maintenance end at the named moment; where none is named, the product decides."""

    name = "set_maintenance"
    takes = frozenset({Takes.UNTIL})
    is_for_lists = True

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        before = license.maintenance_until
        if before == given.until:
            return Unchanged(self.words.also["already"])
        return Change(self.words.also["before"].filled(before=moments.full(before)) if before is not None else None)

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        return sum(changes.change_maintenance(session, one, given.until, cause=cause, now=now) for one in licenses)

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        if given.until is None:
            return self.words.also["product"].filled(code=license.code)
        return self.words.does.filled(code=license.code, until=moment(given.until, now))

    def undo(self, license: License, given: Given, *, now: datetime) -> Undo:
        return Undo(self.name, until=license.maintenance_until)


ACTION = SetMaintenance()
