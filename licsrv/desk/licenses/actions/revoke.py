"""Revoke a license: its devices stop, and its user reads the reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.staff_action import Change, Decision, Facts, Given, StaffAction, Unchanged, Undo
from licsrv.licensing import changes
from licsrv.licensing.tables import License
from licsrv.platform import moments
from licsrv.words.actions import DEVICES
from licsrv.words.sentences import Sentence


class Revoke(StaffAction):
    """Take a license back; the undo is to reinstate it."""

    name = "revoke"
    is_for_lists = True
    is_dangerous = True

    def is_offered(self, license: License) -> bool:
        return license.released_at is None and license.revoked_at is None

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        if license.revoked_at is not None:
            return Unchanged(self.words.also["already"].filled(at=moments.full(license.revoked_at)))
        return Change()

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        return len(changes.revoke_many(session, licenses, cause=cause, now=now))

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        return self.words.does.filled(code=license.code, devices=DEVICES(license.places_taken))

    def undo(self, license: License, given: Given, *, now: datetime) -> Undo:
        return Undo("reinstate")


ACTION = Revoke()
