"""Let one of the proven copies of a machine work."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.copy_action import CopyAction
from licsrv.desk.licenses.actions.staff_action import Given
from licsrv.heartbeats import copies
from licsrv.licensing.clones import Branch
from licsrv.licensing.tables import Device


class Bless(CopyAction):
    """Let a copy work; the undo is to take that back."""

    name = "bless"
    undone_by = "unbless"

    def is_so_already(self, copy: Branch) -> bool:
        return copy.blessed_from is not None

    def apply_to(self, session: Session, device: Device, given: Given, *, cause: Cause, now: datetime) -> bool:
        return copies.bless(session, device, given.branch, cause=cause, now=now)


ACTION = Bless()
