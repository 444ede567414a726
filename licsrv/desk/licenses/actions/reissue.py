"""Call back what a license's devices were issued; the next time they ask they get a new license."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses import store
from licsrv.desk.licenses.actions.device_action import called
from licsrv.desk.licenses.actions.staff_action import Change, Decision, Facts, Given, StaffAction, Takes
from licsrv.licensing import changes
from licsrv.licensing.tables import License
from licsrv.words.actions import DEVICES
from licsrv.words.sentences import Sentence


class Reissue(StaffAction):
    """Reissue for one device, or for every device that holds a place."""

    name = "reissue"
    takes = frozenset({Takes.DEVICE})
    can_be_undone = False

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        return Change()

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        return sum(
            changes.reissue(session, one, _devices(session, one, given), cause=cause, now=now) > 0 for one in licenses
        )

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        one = self.words.also["one"].filled(device=called(given.device))
        return self.words.does.filled(code=license.code, devices=one if given.device else DEVICES(license.places_taken))


def _devices(session: Session, license: License, given: Given) -> Sequence[str]:
    if given.device is not None:
        return [given.device.id]
    return store.holders_of_places(session, license.id)


ACTION = Reissue()
