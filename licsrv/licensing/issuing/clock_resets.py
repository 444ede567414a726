"""Clock resets: the signed text by which an offline device forgets what its clock showed (``clock-reset+jwt``).

It is signed with a license key and bound to the device, like a license. Its moment is that of the staff's decision, so
it can be made again. A client takes it once, see docs/adr/0012.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from licsrv.licensing import store
from licsrv.licensing.issuing import issuing, strings
from licsrv.licensing.keyring import Keyring, Purpose
from licsrv.licensing.signing import CLOCK_RESET_TYPE, seconds
from licsrv.licensing.tables import Device

FILE_NAME = "clock-reset.jws"


def sign(session: Session, device: Device, *, issuer: str, keyring: Keyring, now: datetime) -> str | None:
    """Return the clock reset of a device; None where there is none, or the device was issued nothing to bind it to.

    Raises:
        KeyringError: No key signs licenses.
    """
    before = store.last_issued(session, device.id) if device.released_at is None else None
    if before is None or device.clock_reset_at is None:
        return None
    claims = {
        "iss": issuer,
        "sub": device.license_id,
        "jti": device.id,
        "iat": seconds(device.clock_reset_at),
        "dev": issuing.device_again(before, keyring),
    }
    return keyring.signer(Purpose.LICENSE, now=now).typed(CLOCK_RESET_TYPE).sign(strings.payload(claims)) + "\n"
