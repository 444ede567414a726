"""Use cases of staff for proven copies of a machine: let one of them work, and take that back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.heartbeats import store
from licsrv.heartbeats.store import Remembered
from licsrv.licensing import clones
from licsrv.licensing.clones import Branch
from licsrv.licensing.tables import Device


def bless(session: Session, device: Device, branch: str, *, cause: Cause, now: datetime) -> bool:
    """Let one copy of a machine work; return whether it is there still. The others stay as they are."""
    return _changed(session, device, branch, change=clones.bless, action=Action.COPY_BLESSED, cause=cause, now=now)


def unbless(session: Session, device: Device, branch: str, *, cause: Cause, now: datetime) -> bool:
    """Take a blessing back; return whether the copy is there still."""
    return _changed(session, device, branch, change=clones.unbless, action=Action.COPY_UNBLESSED, cause=cause, now=now)


def _changed(
    session: Session,
    device: Device,
    branch: str,
    *,
    change: Callable[[Mapping[str, Branch], str], dict[str, Branch]],
    action: Action,
    cause: Cause,
    now: datetime,
) -> bool:
    before = store.branches_for_update(session, [device.id]).get(device.id, {})
    if branch not in before:
        return False
    store.write_branches(session, [Remembered(device.id, device.license_id, before, after=change(before, branch))])
    detail = {"device": device.id, "copy": branch, "name": before[branch].caller.name}
    audit.record(session, action, subject=device.license_id, cause=cause, detail=detail, now=now)
    return True
