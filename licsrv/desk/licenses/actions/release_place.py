"""Release a device's place, so that another device can take it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.device_action import DeviceAction, called
from licsrv.desk.licenses.actions.staff_action import Change, Decision, Facts, Given, Unchanged, Undo
from licsrv.licensing import releasing
from licsrv.licensing.tables import Device, License


class ReleasePlace(DeviceAction):
    """Release the place of one device, whatever the license's status."""

    name = "release_place"
    acts_on_released = True
    can_be_undone = True

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        if given.device is not None and given.device.released_at is None:
            return Change()
        return Unchanged(self.words.also["already"].filled(device=called(given.device)))

    def apply_to(self, session: Session, device: Device, *, cause: Cause, now: datetime) -> None:
        releasing.release_device(session, device, cause=cause, now=now)

    def undo(self, license: License, given: Given, *, now: datetime) -> Undo | None:
        return Undo("restore_place", device_id=given.device.id) if given.device is not None else None


ACTION = ReleasePlace()
