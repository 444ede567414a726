"""Reset the memory of the time of a device whose clock was wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.release_place import name_of
from licsrv.desk.licenses.actions.staff_action import Change, Decision, Facts, Given, StaffAction, Takes
from licsrv.errors import ConflictError, InvalidRequestError, RefusalError
from licsrv.licensing import devices
from licsrv.licensing.tables import License
from licsrv.words.sentences import Sentence


class ClockReset(StaffAction):
    """Let one device take the time of the next signed text; a device without network gets the reset as a file."""

    name = "clock_reset"
    takes = needs = frozenset({Takes.DEVICE})
    can_be_undone = False

    def is_offered(self, license: License) -> bool:
        return license.released_at is None and license.places_taken > 0

    def problem(self, given: Given, *, now: datetime) -> RefusalError | None:
        if given.device is None:
            return InvalidRequestError("device_id names the device whose clock is reset.", field="device_id")
        if given.device.released_at is not None:
            return ConflictError("This device holds no place on the license.")
        return None

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        return Change()

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        if given.device is None:
            return 0
        devices.reset_clock(session, given.device, cause=cause, now=now)
        return 1

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        return self.words.does.filled(code=license.code, device=name_of(given.device))


ACTION = ClockReset()
