"""Reset the memory of the time of a device whose clock was wrong."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.device_action import DeviceAction
from licsrv.desk.licenses.actions.staff_action import Change, Decision, Facts, Given
from licsrv.errors import ConflictError, RefusalError
from licsrv.licensing import devices
from licsrv.licensing.tables import Device


class ClockReset(DeviceAction):
    """Let one device take the time of the next signed text; a device without network gets the reset as a file."""

    name = "clock_reset"

    def problem(self, given: Given, *, now: datetime) -> RefusalError | None:
        if given.device is not None and given.device.released_at is not None:
            return ConflictError("This device holds no place on the license.")
        return super().problem(given, now=now)

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        return Change()

    def apply_to(self, session: Session, device: Device, *, cause: Cause, now: datetime) -> None:
        devices.reset_clock(session, device, cause=cause, now=now)


ACTION = ClockReset()
