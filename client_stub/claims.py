"""What a license and a lease say: signed claims become values, or are refused.

Pure. Whether a value is believed now, on this machine, is decided in ``verification`` and ``verdict``. Unknown claims
are ignored, so the server can say more to newer programs; unknown members of ``dev`` are refused, because a rule that
is not understood must not be skipped (a new rule gets a new ``v``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from client_stub import base64url
from client_stub.devices import DeviceBinding, Part
from client_stub.errors import BadClaimsError, MalformedError
from client_stub.tokens import Token

SALT_BYTES = 12
_LAST_END = 253402300799  # 9999-12-31T23:59:59Z, the last moment that a datetime can hold; "for ever" to some systems
_LAST_START = 32503679999  # 2999-12-31T23:59:59Z; spans are added to these moments, which must not overflow
_LARGEST_QUANTITY = 2**31 - 1
_HASH = re.compile(r"[A-Za-z0-9_-]{8}")
_PART_OF_MEMBER = {"m": Part.MAC, "d": Part.DISK, "b": Part.BOARD, "c": Part.CPU}
_LIST_MEMBERS = {"m", "d"}


class LeaseStatus(StrEnum):
    """What the server says about the license."""

    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    FROZEN = "FROZEN"
    REVOKED = "REVOKED"
    RELEASED = "RELEASED"


@dataclass(frozen=True)
class License:
    """A license string whose signature is good. Moments are aware UTC; ``expires_at`` is None when it never ends."""

    issuer: str
    string_id: str
    license_id: str
    code: str
    product: str
    issued_at: datetime
    not_before: datetime
    expires_at: datetime | None
    binding: DeviceBinding
    features: tuple[str, ...]
    quantity: int
    is_test: bool
    is_provisional: bool
    key_id: str


@dataclass(frozen=True)
class Lease:
    """A lease whose signature is good; ``license_expires_at`` is the server's newest word on the license's end."""

    issuer: str
    license_id: str
    string_id: str
    status: LeaseStatus
    reason: str
    issued_at: datetime
    expires_at: datetime
    next_heartbeat_at: datetime
    nonce: str
    license_expires_at: datetime | None


def read_license(token: Token) -> License:
    """Read the claims of a license string.

    Raises:
        BadClaimsError: A claim is missing, of another type, or out of range.
    """
    claims = token.claims
    return License(
        issuer=_text(claims, "iss"),
        string_id=_text(claims, "jti"),
        license_id=_text(claims, "sub"),
        code=_text(claims, "code"),
        product=_text(claims, "product", may_be_empty=True),  # a provisional license does not know it yet
        issued_at=_moment(claims, "iat"),
        not_before=_moment(claims, "nbf"),
        expires_at=_moment_or_never(claims, "exp"),
        binding=_binding(claims.get("dev")),
        features=_features(claims.get("feat")),
        quantity=_whole_number(claims, "n", _LARGEST_QUANTITY),
        is_test=_flag(claims, "test"),
        is_provisional=_flag(claims, "prov"),
        key_id=token.key_id,
    )


def read_lease(token: Token) -> Lease:
    """Read the claims of a lease.

    Raises:
        BadClaimsError: A claim is missing, of another type, or out of range; or the lease ends before it begins.
    """
    claims = token.claims
    lease = Lease(
        issuer=_text(claims, "iss"),
        license_id=_text(claims, "sub"),
        string_id=_text(claims, "jti"),
        status=_status(claims.get("status")),
        reason=_text(claims, "reason", may_be_empty=True),
        issued_at=_moment(claims, "iat"),
        expires_at=_moment(claims, "exp", _LAST_END),
        next_heartbeat_at=_moment(claims, "next"),
        nonce=_text(claims, "nonce"),
        license_expires_at=_moment_or_never(claims, "license_exp"),
    )
    if lease.expires_at < lease.issued_at:
        raise BadClaimsError("The lease ends before it begins.")
    return lease


def _text(claims: Mapping[str, object], name: str, *, may_be_empty: bool = False) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not (value or may_be_empty):
        raise BadClaimsError(f"The claim {name} is missing or is not a text.")
    return value


def _whole_number(claims: Mapping[str, object], name: str, maximum: int) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= maximum:  # isinstance would take True for 1
        raise BadClaimsError(f"The claim {name} is missing or is not a whole number in range.")
    return value


def _moment(claims: Mapping[str, object], name: str, latest: int = _LAST_START) -> datetime:
    return datetime.fromtimestamp(_whole_number(claims, name, latest), UTC)


def _moment_or_never(claims: Mapping[str, object], name: str) -> datetime | None:
    return _moment(claims, name, _LAST_END) if name in claims else None


def _flag(claims: Mapping[str, object], name: str) -> bool:
    value = claims.get(name, False)
    if not isinstance(value, bool):
        raise BadClaimsError(f"The claim {name} is neither true nor false.")
    return value


def _status(value: object) -> LeaseStatus:
    # A status that is not known must not be taken for ACTIVE, nor for a refusal that the server did not speak.
    if not isinstance(value, str) or value not in set(LeaseStatus):
        raise BadClaimsError("The claim status is missing or is not known to this program.")
    return LeaseStatus(value)


def _features(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(feature, str) for feature in value):
        raise BadClaimsError("The claim feat is missing or is not a list of texts.")
    return tuple(value)


def _binding(value: object) -> DeviceBinding:
    if not isinstance(value, dict) or type(value.get("v")) is not int or value["v"] != 1:
        raise BadClaimsError("The claim dev is missing or of a version that this program does not know.")
    members = value.keys() - {"v", "s"}
    if not members <= _PART_OF_MEMBER.keys():
        raise BadClaimsError("The claim dev has members that version 1 does not have.")
    return DeviceBinding(_salt(value.get("s")), {_PART_OF_MEMBER[name]: _hashes(name, value[name]) for name in members})


def _salt(value: object) -> bytes:
    try:
        salt = base64url.decode(value) if isinstance(value, str) else b""
    except MalformedError as error:
        raise BadClaimsError("The salt in the claim dev is not base64url.") from error
    if len(salt) != SALT_BYTES:
        raise BadClaimsError(f"The salt in the claim dev does not have {SALT_BYTES} bytes.")
    return salt


def _hashes(member: str, value: object) -> frozenset[str]:
    listed = value if member in _LIST_MEMBERS else [value]
    if not isinstance(listed, list) or not listed:
        raise BadClaimsError(f"The member {member} of the claim dev is not a list of hashes.")
    if not all(isinstance(entry, str) and _HASH.fullmatch(entry) for entry in listed):
        raise BadClaimsError(f"The member {member} of the claim dev is not a hash.")
    return frozenset(listed)
