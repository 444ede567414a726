"""Reinstate a license that was revoked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.staff_action import Change, Decision, Facts, Given, StaffAction, Unchanged, Undo
from licsrv.licensing import changes
from licsrv.licensing.tables import License
from licsrv.words.sentences import Sentence


class Reinstate(StaffAction):
    """Undo a revocation; the audit keeps both."""

    name = "reinstate"
    acts_on_released = True
    is_for_lists = True

    def is_offered(self, license: License) -> bool:
        return license.revoked_at is not None

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        if license.revoked_at is None:
            return Unchanged(self.words.also["already"])
        return Change()

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        return len(changes.reinstate_many(session, licenses, cause=cause, now=now))

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        by, why = license.revoked_by or "", license.revoked_reason or ""
        return self.words.does.filled(code=license.code, by=by, why=why)

    def undo(self, license: License, given: Given, *, now: datetime) -> Undo:
        return Undo("revoke", reason=license.revoked_reason)


ACTION = Reinstate()
