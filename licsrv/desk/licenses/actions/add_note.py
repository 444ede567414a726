"""Note something about a license, for colleagues to read in its timeline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.desk.licenses.actions.staff_action import Change, Decision, Facts, Given, StaffAction, Takes
from licsrv.desk.licenses.tables import LicenseNote
from licsrv.errors import InvalidRequestError, RefusalError
from licsrv.licensing.tables import License
from licsrv.platform.ids import new_id
from licsrv.platform.text_limits import LONGEST_NOTE, is_storable
from licsrv.words.sentences import Sentence


class AddNote(StaffAction):
    """Add a note, as it was written; the license stays as it is."""

    name = "add_note"
    takes = needs = frozenset({Takes.TEXT})
    acts_on_released = True
    can_be_undone = False

    def problem(self, given: Given, *, now: datetime) -> RefusalError | None:
        if given.text.strip() and len(given.text) <= LONGEST_NOTE and is_storable(given.text):
            return None
        return InvalidRequestError(
            f"A note has 1 to {LONGEST_NOTE} characters, and none that cannot be stored.", field="text"
        )

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        return Change()

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        for license in licenses:
            note = LicenseNote(id=new_id(now), license_id=license.id, at=now, author=cause.actor, text=given.text)
            session.add(note)
            detail = {"note": note.id}
            audit.record(session, Action.NOTE_ADDED, subject=license.id, cause=cause, detail=detail, now=now)
        return len(licenses)

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        return self.words.does.filled(code=license.code)


ACTION = AddNote()
