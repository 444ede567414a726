"""A staff action on one device that holds a place, or held one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.staff_action import Given, StaffAction, Takes
from licsrv.errors import InvalidRequestError, RefusalError
from licsrv.licensing.tables import Device, License
from licsrv.words.sentences import Sentence


class DeviceAction(StaffAction):
    """What is done to a device cannot be taken back, unless an action says how: its next question settles it."""

    takes = needs = frozenset({Takes.DEVICE})
    can_be_undone = False

    def is_offered(self, license: License) -> bool:
        return super().is_offered(license) and license.places_taken > 0

    def problem(self, given: Given, *, now: datetime) -> RefusalError | None:
        if given.device is None:
            return InvalidRequestError("device_id names the device that is meant.", field="device_id")
        return None

    @abstractmethod
    def apply_to(self, session: Session, device: Device, *, cause: Cause, now: datetime) -> object:
        """Do it to the device."""

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        if given.device is None:
            return 0
        self.apply_to(session, given.device, cause=cause, now=now)
        return 1

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        return self.words.does.filled(code=license.code, device=called(given.device))


def called(device: Device | None) -> str:
    """Return how people call a device."""
    return device.name or device.id if device is not None else ""
