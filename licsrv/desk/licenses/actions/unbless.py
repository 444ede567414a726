"""Take back that one of the proven copies of a machine may work."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.copy_action import CopyAction
from licsrv.desk.licenses.actions.staff_action import Given
from licsrv.heartbeats import copies
from licsrv.licensing.clones import Branch
from licsrv.licensing.tables import Device


class Unbless(CopyAction):
    """Treat a copy as any other again."""

    name = "unbless"
    undone_by = "bless"

    def is_so_already(self, copy: Branch) -> bool:
        return copy.blessed_from is None

    def apply_to(self, session: Session, device: Device, given: Given, *, cause: Cause, now: datetime) -> bool:
        return copies.unbless(session, device, given.branch, cause=cause, now=now)


ACTION = Unbless()
