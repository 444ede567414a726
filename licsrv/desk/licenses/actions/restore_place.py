"""Give a device the place back that was released, as after a move by mistake."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.device_action import DeviceAction, called
from licsrv.desk.licenses.actions.staff_action import (
    Change,
    Decision,
    Facts,
    Given,
    Refused,
    StaffAction,
    Unchanged,
    Undo,
)
from licsrv.errors import ConflictError
from licsrv.licensing import releasing
from licsrv.licensing.tables import Device, License


class RestorePlace(DeviceAction):
    """Give the place of one device back, while there is room."""

    name = "restore_place"
    reads_places = True
    can_be_undone = True

    def is_offered(self, license: License) -> bool:
        return StaffAction.is_offered(self, license)

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        if given.device is not None and given.device.released_at is None:
            return Unchanged(self.words.also["already"].filled(device=called(given.device)))
        if given.places is None or given.places.is_full:
            full = self.words.also["full"]
            return Refused(ConflictError(full.en, says=full.model_dump()))
        return Change()

    def apply_to(self, session: Session, device: Device, *, cause: Cause, now: datetime) -> None:
        releasing.restore_device(session, device, cause=cause, now=now)

    def undo(self, license: License, given: Given, *, now: datetime) -> Undo | None:
        return Undo("release_place", device_id=given.device.id) if given.device is not None else None


ACTION = RestorePlace()
