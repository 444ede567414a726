"""A clock reset: the vendor's signed word that one machine's memory of the time is void (``clock-reset+jwt``).

Pure. It is for computers without network whose clock was wrong for days. It names the license and is bound to the
device like a license. Its moment has to be younger than every signed text that the machine knows, so each reset works
once, and no copy of an old one turns the time back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from client_stub.trust import claim_values, tokens
from client_stub.trust.claims import License, read_binding
from client_stub.trust.devices import DeviceBinding, DeviceInfo
from client_stub.trust.errors import DeviceMismatchError, ForeignResetError
from client_stub.trust.keys import KeyPurpose, PinnedKeys
from client_stub.trust.tokens import TokenKind

RESET = TokenKind("clock-reset+jwt", KeyPurpose.LICENSE, 8 * 1024)


@dataclass(frozen=True)
class ClockReset:
    """A reset whose signature is good."""

    issuer: str
    license_id: str
    issued_at: datetime
    binding: DeviceBinding


def verify_clock_reset(text: str | bytes, keys: PinnedKeys, *, license: License, device: DeviceInfo) -> ClockReset:
    """Believe a clock reset for the license in use on this machine, or say why not.

    1. The token is well-formed, of type ``clock-reset+jwt`` and signed with a pinned license key.
    2. The claims are complete.
    3. It belongs to this license: the same ``iss`` and ``sub``.
    4. It was issued for this machine.

    Raises:
        VerificationError: The first step that fails.
    """
    claims = tokens.open_token(text, RESET, keys).claims  # 1
    reset = ClockReset(  # 2
        issuer=claim_values.text(claims, "iss"),
        license_id=claim_values.text(claims, "sub"),
        issued_at=claim_values.moment(claims, "iat"),
        binding=read_binding(claims.get("dev")),
    )
    if (reset.issuer, reset.license_id) != (license.issuer, license.license_id):  # 3
        raise ForeignResetError("The clock reset belongs to another license.")
    match = reset.binding.compare(device)  # 4
    if not match.is_same_machine:
        raise DeviceMismatchError(match)
    return reset
