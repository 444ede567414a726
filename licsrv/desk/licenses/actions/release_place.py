"""Release a device's place, so that another device can take it."""

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
)
from licsrv.errors import InvalidRequestError, RefusalError
from licsrv.licensing import devices
from licsrv.licensing.tables import Device, License
from licsrv.words.sentences import Sentence


class ReleasePlace(StaffAction):
    """Release the place of one device, whatever the license's status."""

    name = "release_place"
    acts_on_released = True
    takes = needs = frozenset({Takes.DEVICE})
    can_be_undone = False

    def is_offered(self, license: License) -> bool:
        return license.places_taken > 0

    def problem(self, given: Given, *, now: datetime) -> RefusalError | None:
        if given.device is None:
            return InvalidRequestError("device_id names the device whose place is released.", field="device_id")
        return None

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        if given.device is not None and given.device.released_at is None:
            return Change()
        return Unchanged(self.words.also["already"].filled(device=name_of(given.device)))

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        if given.device is None:
            return 0
        devices.release_device(session, given.device, cause=cause, now=now)
        return 1

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        return self.words.does.filled(code=license.code, device=name_of(given.device))


def name_of(device: Device | None) -> str:
    """Return how people call a device."""
    return device.name or device.id if device is not None else ""


ACTION = ReleasePlace()
