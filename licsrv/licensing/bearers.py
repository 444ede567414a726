"""Who asks: a device with a license string of ours, and the facts of the machine for which it was issued."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session

from licsrv.errors import DeviceMismatchError, UnauthenticatedError
from licsrv.licensing import fingerprints, places, store, traces
from licsrv.licensing.fingerprints import HashedParts
from licsrv.licensing.issuing import strings
from licsrv.licensing.keyring import ISSUED_COLUMNS, Keyring
from licsrv.licensing.tables import Device, IssuedLicense


@dataclass(frozen=True)
class Bearer:
    """Who presents a license string: what we handed out, and to which device of which license."""

    issued: IssuedLicense
    device: Device


def authenticate(session: Session, license_string: str, *, keyring: Keyring) -> Bearer:
    """Return who presents a license string.

    It is looked up by its digest: what we handed out is on disk, so no signature has to be checked again.

    Raises:
        UnauthenticatedError: We did not issue it, its key has been retired, or other means wrote its row.
    """
    issued = store.issued_by_digest(session, strings.digest(license_string))
    device = store.device(session, issued.device_id) if issued is not None else None
    if issued is None or device is None:
        raise unknown_bearer()
    if not keyring.recognises(issued.key_id, issued.seal, [getattr(issued, name) for name in ISSUED_COLUMNS]):
        raise unknown_bearer()
    return Bearer(issued, device)


def unknown_bearer() -> UnauthenticatedError:
    """Return the refusal of a license string that does not count."""
    return UnauthenticatedError(
        "The license string is missing, or we did not issue it.", action="Ask for a license string with the code."
    )


def require_same_device(known: HashedParts, given: HashedParts | None) -> None:
    """Refuse a device that is not the known one; without parts there is nothing to compare.

    Raises:
        DeviceMismatchError: Too few parts agree; ``parts`` says which.
    """
    if given is None or fingerprints.is_same_device(known, given):
        return
    found = fingerprints.match(known, given)
    refusal = DeviceMismatchError(
        f"The license belongs to another device: {found.agreeing} of the {found.needed} parts needed agree.",
        action="Ask for a license for this device, or have the vendor's support release the old one.",
        parts=found.explain(),
    )
    raise traces.refused(refusal, [places.mismatch_step(found)])
