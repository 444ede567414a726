"""A license by the name that a person or a program gives, its code or its id; its devices and seats by their ids."""

from __future__ import annotations

from sqlmodel import Session

from licsrv.errors import LicenseNotFoundError, NotFoundError
from licsrv.licensing import spellings, store
from licsrv.licensing.spellings import Meant
from licsrv.licensing.tables import Device, License
from licsrv.platform.text_limits import is_storable
from licsrv.seats import store as seats
from licsrv.seats.tables import Seat


def license_of(session: Session, name: str) -> License:
    """Return the license of an id, or of a code however it is spelled.

    Raises:
        LicenseNotFoundError: There is no such license.
    """
    name = name.strip()
    license = None
    if is_storable(name):
        license = store.license_typed(session, name) or session.get(License, spellings.clean(name))
    if license is None:
        raise LicenseNotFoundError(
            _unknown(name, store.code_meant(session, name)),
            action="`licsrv licenses list TEXT` finds it by its beginning.",
        )
    return license


def _unknown(name: str, meant: Meant) -> str:
    if meant.is_ambiguous:
        return f"Several licenses may be meant by {name!r}: write the code exactly."
    if meant.look_alike is not None:
        return f"No license has the code or id {name!r}. Did you mean {meant.look_alike}?"
    return f"No license has the code or id {name!r}."


def locked_license(session: Session, name: str) -> License:
    """Return the license of an id or a code, locked until the end of the transaction.

    Raises:
        LicenseNotFoundError: There is no such license.
    """
    found = license_of(session, name)
    session.expire(found)
    return store.license_by_id_for_update(session, found.id) or found


def device_of(session: Session, license: License, device_id: str, *, locked: bool = False) -> Device:
    """Return a device of a license.

    Args:
        locked: Whether it stays locked until the end of the transaction.

    Raises:
        NotFoundError: The license has no such device.
    """
    device_id = device_id.strip()
    find = store.device_for_update if locked else store.device
    device = find(session, device_id) if is_storable(device_id) else None
    if device is None or device.license_id != license.id:
        raise NotFoundError(
            f"{license.code} has no device {device_id!r}.", action=f"See `licsrv devices list {license.code}`."
        )
    return device


def seat_of(session: Session, license: License, seat_id: str) -> Seat:
    """Return a seat of a license, ended or not.

    Raises:
        NotFoundError: The license has no such seat.
    """
    seat_id = seat_id.strip()
    seat = seats.seat(session, seat_id) if is_storable(seat_id) else None
    if seat is None or seat.license_id != license.id:
        raise NotFoundError(
            f"{license.code} has no seat {seat_id!r}.", action=f"See `licsrv seats list {license.code}`."
        )
    return seat
