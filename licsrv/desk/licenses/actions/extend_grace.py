"""Set until when a license may be used after its end."""

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
    Refused,
    StaffAction,
    Takes,
    Unchanged,
    Undo,
)
from licsrv.errors import RefusalError
from licsrv.licensing import changes
from licsrv.licensing.tables import License
from licsrv.people.roles import Permission
from licsrv.platform import moments
from licsrv.words.sentences import Sentence, moment


class ExtendGrace(StaffAction):
    """Let the grace end at the named moment, or at once where none is named.

    The named moment counts, for one license and in a list alike: an earlier one than before shortens the grace, and the
    preview and the dry run say so. Otherwise neither the undo nor a mistyped year could be put right.
    """

    name = "extend_grace"
    permission = Permission.EXTEND_GRACE
    takes = frozenset({Takes.UNTIL})
    is_for_lists = True

    def is_offered(self, license: License) -> bool:
        return license.released_at is None and None not in (license.expires_at, license.activated_at)

    def problem(self, given: Given, *, now: datetime) -> RefusalError | None:
        return changes.problem_of_grace_end(given.until, now=now) if given.until is not None else None

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        also, before = self.words.also, license.grace_until
        if before == given.until:
            return Unchanged(also["already" if before else "none"])
        if given.until is None:
            return Change()
        problem = changes.problem_of_grace(license, given.until, now=now)
        if problem is not None:
            return Refused(problem)
        is_shorter = before is not None and before > given.until
        return Change(also["shortens"].filled(before=moments.full(before)) if is_shorter else None)

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        return sum(changes.change_grace(session, one, given.until, cause=cause, now=now) for one in licenses)

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        if given.until is None:
            return self.words.also["ends"].filled(code=license.code)
        return self.words.does.filled(code=license.code, until=moment(given.until, now))

    def undo(self, license: License, given: Given, *, now: datetime) -> Undo:
        before = license.grace_until  # one that is over is none
        is_possible = before is not None and before > max(now, license.expires_at or now)
        return Undo(self.name, until=before if is_possible else None)


ACTION = ExtendGrace()
