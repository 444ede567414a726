"""A staff action on one of the proven copies of a machine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.device_action import called
from licsrv.desk.licenses.actions.staff_action import (
    Change,
    Decision,
    Facts,
    Given,
    Refused,
    StaffAction,
    Takes,
    Unchanged,
    Undo,
)
from licsrv.errors import ConflictError, InvalidRequestError, RefusalError
from licsrv.licensing.clones import Branch
from licsrv.licensing.tables import Device, License
from licsrv.words import actions as words
from licsrv.words.sentences import Sentence


class CopyAction(StaffAction):
    """What is done to a copy of a machine; the license page lists the copies.

    Attributes:
        undone_by: The action that takes it back.
    """

    takes = needs = frozenset({Takes.DEVICE, Takes.BRANCH})
    acts_on_released = True
    undone_by: str

    def problem(self, given: Given, *, now: datetime) -> RefusalError | None:
        if given.device is None:
            return InvalidRequestError("device_id names the device that is meant.", field="device_id")
        if not given.branch:
            return InvalidRequestError("branch names the copy that is meant.", field="branch")
        return None

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        copy = given.copies.get(given.branch)
        if copy is None:
            unknown = words.ACTIONS["bless"].also["unknown"]
            return Refused(ConflictError(unknown.en, says=unknown.model_dump()))
        return Unchanged(self.words.also["already"]) if self.is_so_already(copy) else Change()

    @abstractmethod
    def is_so_already(self, copy: Branch) -> bool:
        """Whether nothing would change."""

    @abstractmethod
    def apply_to(self, session: Session, device: Device, given: Given, *, cause: Cause, now: datetime) -> bool:
        """Do it to the copy; return whether it is there still."""

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        return int(given.device is not None and self.apply_to(session, given.device, given, cause=cause, now=now))

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        copy = given.copies[given.branch]
        shown = " · ".join(part for part in (copy.id, copy.caller.name, copy.caller.network) if part)
        return self.words.does.filled(code=license.code, device=called(given.device), copy=shown)

    def undo(self, license: License, given: Given, *, now: datetime) -> Undo | None:
        return Undo(self.undone_by, device_id=given.device.id if given.device else None, branch=given.branch)
