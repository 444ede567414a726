"""Devices of which copies were proven, as support is shown them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlmodel import Session

from licsrv.desk.licenses.answers import CopiedDevice, CopyShown
from licsrv.desk.licenses.timeline.store import device_names
from licsrv.heartbeats import store
from licsrv.licensing import clones
from licsrv.licensing.clones import Branch


def copied(session: Session, *, license_id: str | None = None, limit: int) -> list[CopiedDevice]:
    """Return devices with proven copies, of one license or of all, the last proven first."""
    licenses = store.proven_devices(session, license_id=license_id, limit=limit)
    branches = store.branches_of(session, list(licenses)) if licenses else {}
    names = device_names(session, list(licenses))
    return [
        _shown(license, device, names.get(device, ""), branches=branches[device])
        for device, license in licenses.items()
        if device in branches
    ]


def _shown(license_id: str, device_id: str, name: str, *, branches: Mapping[str, Branch]) -> CopiedDevice:
    found = clones.copies(branches)
    return CopiedDevice(
        license_id=license_id,
        device_id=device_id,
        name=name,
        proven_at=max(one.proven_at for one in found.values() if one.proven_at is not None),
        is_settled=not clones.open_families(branches),
        copies=[_copy(one) for one in found.values()],
    )


def _copy(branch: Branch) -> CopyShown:
    return CopyShown(
        branch=branch.id,
        name=branch.caller.name,
        client_version=branch.caller.version,
        network=branch.caller.network,
        since=branch.since,
        last_contact_at=branch.head,
        is_blessed=branch.blessed_from is not None,
    )
