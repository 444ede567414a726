"""A license by the name that a person or a program gives: its code or its id."""

from __future__ import annotations

from sqlmodel import Session

from licsrv.errors import LicenseNotFoundError
from licsrv.licensing import store
from licsrv.licensing.tables import License


def license_of(session: Session, name: str) -> License:
    """Return the license of an id, or of a code however it is spelled.

    Raises:
        LicenseNotFoundError: There is no such license.
    """
    name = name.strip()
    license = None
    if "\x00" not in name:
        license = (
            store.license_by_code(session, name) or store.license_typed(session, name) or session.get(License, name)
        )
    if license is None:
        like = store.code_meant(session, name).look_alike
        raise LicenseNotFoundError(
            f"No license has the code or id {name!r}. Did you mean {like}?"
            if like is not None
            else f"No license has the code or id {name!r}.",
            action="`licsrv licenses list TEXT` finds it by its beginning.",
        )
    return license


def locked_license(session: Session, name: str) -> License:
    """Return the license of an id or a code, locked until the end of the transaction.

    Raises:
        LicenseNotFoundError: There is no such license.
    """
    found = license_of(session, name)
    session.expire(found)
    return store.license_by_id_for_update(session, found.id) or found
