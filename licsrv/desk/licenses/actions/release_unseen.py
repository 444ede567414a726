"""Release the places of all devices of a license that were not seen for as long as its policy says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.staff_action import Change, Decision, Facts, Given, StaffAction, Unchanged
from licsrv.licensing import moving, releasing
from licsrv.licensing.tables import License
from licsrv.words import actions as words
from licsrv.words.sentences import Sentence, same

_NAMED = 5


class ReleaseUnseen(StaffAction):
    """Release those places; a hundred at once at most. A single one is given back with `restore_place`."""

    name = "release_unseen"
    reads_places = True
    can_be_undone = False

    def is_offered(self, license: License) -> bool:
        return super().is_offered(license) and license.places_taken > 0

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        if given.places is None or not given.places.moves.unseen_for:
            return Unchanged(self.words.also["never"])
        return Change() if given.places.unseen else Unchanged(self.words.also["none"])

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        found = given.places.unseen if given.places is not None else ()
        for one in found:
            trace = [moving.unseen_step(one, given.places.moves, now)] if given.places is not None else []
            releasing.free(session, one, by=None, trace=trace, cause=cause, now=now)
        return len(found)

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        found = given.places.unseen if given.places is not None else ()
        names = ", ".join([one.name or one.id for one in found[:_NAMED]] + (["…"] if len(found) > _NAMED else []))
        return self.words.does.filled(code=license.code, devices=words.DEVICES(len(found)), names=same(names))


ACTION = ReleaseUnseen()
