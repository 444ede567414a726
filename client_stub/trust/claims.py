"""What a license and a lease say: signed claims become values, or are refused.

Pure. Whether a value is believed now, on this machine, is decided in ``verification`` and ``verdict``. Unknown claims
are ignored, so the server can say more to newer programs; unknown members of ``dev`` are refused, because a rule that
is not understood must not be skipped (a new rule gets a new ``v``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from client_stub.trust import base64url, claim_values, entitlements
from client_stub.trust.device_match import Part
from client_stub.trust.devices import DeviceBinding
from client_stub.trust.entitlements import Entitlement
from client_stub.trust.errors import BadClaimsError, MalformedError
from client_stub.trust.tokens import Token

SALT_BYTES = 12
_LARGEST_QUANTITY = 2**31 - 1
_HASH = re.compile(r"[A-Za-z0-9_-]{8}")
_PART_OF_MEMBER = {"m": Part.MAC, "d": Part.DISK, "b": Part.BOARD, "c": Part.CPU}
_LIST_MEMBERS = {"m", "d"}
_FLOATING_VERSION = 2


class LeaseStatus(StrEnum):
    """What the server says about the license."""

    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    FROZEN = "FROZEN"
    REVOKED = "REVOKED"
    RELEASED = "RELEASED"


@dataclass(frozen=True)
class License:
    """A license string or file whose signature is good. Moments are aware UTC.

    Attributes:
        string_id: The ``jti`` of this very string or file; what a revocation list names.
        expires_at: None when it never ends.
        maintenance_ends_at: Versions published later are not covered; None when that is not limited.
        order_id: The order behind it, where a file names it.
        file_name: The file name that was asked for, where a file names it.
        product_name: The product's name for people; it may change.
        product_names: By which other names programs may know the product: its id, former names.
        entitlements: Features with a value or an end of their own, as signed; ``feature`` says what is granted.
        is_floating: Each running program needs a seat next to the license.
    """

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
    maintenance_ends_at: datetime | None = None
    order_id: str = ""
    file_name: str = ""
    product_name: str = ""
    product_names: tuple[str, ...] = ()
    entitlements: tuple[Entitlement, ...] = ()
    is_floating: bool = False

    def feature(self, name: str, now: datetime) -> Entitlement | None:
        """Return what is granted under this name at ``now``, None when nothing is."""
        return entitlements.find(name, self.features, self.entitlements, now=now)

    def granted(self, now: datetime) -> tuple[Entitlement, ...]:
        """Return all that is granted at ``now``, by name."""
        names = sorted({*self.features, *(entry.name for entry in self.entitlements)})
        return tuple(found for name in names if (found := self.feature(name, now)) is not None)

    @property
    def all_names(self) -> frozenset[str]:
        """Every name by which a program may expect the product."""
        return frozenset((self.product, self.product_name, *self.product_names)) - {""}


@dataclass(frozen=True)
class Lease:
    """A lease whose signature is good; ``license_expires_at`` is the server's newest word on the license's end.

    ``link`` is what the next check-in presents; empty from an older server.
    """

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
    link: str = ""


def read_license(token: Token) -> License:
    """Read the claims of a license string or file.

    Raises:
        BadClaimsError: A claim is missing, of another type, or out of range.
    """
    claims = token.claims
    return License(
        issuer=claim_values.text(claims, "iss"),
        string_id=claim_values.text(claims, "jti"),
        license_id=claim_values.text(claims, "sub"),
        code=claim_values.text(claims, "code"),
        product=claim_values.text(claims, "product", may_be_empty=True),  # a provisional license does not know it yet
        issued_at=claim_values.moment(claims, "iat"),
        not_before=claim_values.moment(claims, "nbf"),
        expires_at=claim_values.moment_or_never(claims, "exp"),
        binding=read_binding(claims.get("dev")),
        features=_texts(claims.get("feat"), "feat"),
        quantity=claim_values.whole_number(claims, "n", _LARGEST_QUANTITY),
        is_test=claim_values.flag(claims, "test"),
        is_provisional=claim_values.flag(claims, "prov"),
        key_id=token.key_id,
        maintenance_ends_at=claim_values.moment_or_never(claims, "maint"),
        order_id=claim_values.text_or_nothing(claims, "order"),
        file_name=claim_values.text_or_nothing(claims, "file"),
        product_name=claim_values.text_or_nothing(claims, "name"),
        product_names=_texts(claims["aka"], "aka") if "aka" in claims else (),
        entitlements=entitlements.read_entitlements(claims),
        is_floating=_is_floating(claims.get("dev")),
    )


def read_lease(token: Token) -> Lease:
    """Read the claims of a lease.

    Raises:
        BadClaimsError: A claim is missing, of another type, or out of range; or the lease ends before it begins.
    """
    claims = token.claims
    lease = Lease(
        issuer=claim_values.text(claims, "iss"),
        license_id=claim_values.text(claims, "sub"),
        string_id=claim_values.text(claims, "jti"),
        status=_status(claims.get("status")),
        reason=claim_values.text(claims, "reason", may_be_empty=True),
        issued_at=claim_values.moment(claims, "iat"),
        expires_at=claim_values.moment(claims, "exp", claim_values.LAST_END),
        next_heartbeat_at=claim_values.moment(claims, "next"),
        nonce=claim_values.text(claims, "nonce"),
        license_expires_at=claim_values.moment_or_never(claims, "license_exp"),
        link=claim_values.text_or_nothing(claims, "link"),
    )
    if lease.expires_at < lease.issued_at:
        raise BadClaimsError("The lease ends before it begins.")
    return lease


def _status(value: object) -> LeaseStatus:
    # A status that is not known must not be taken for ACTIVE, nor for a refusal that the server did not speak.
    if not isinstance(value, str) or value not in set(LeaseStatus):
        raise BadClaimsError("The claim status is missing or is not known to this program.")
    return LeaseStatus(value)


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise BadClaimsError(f"The claim {name} is missing or is not a list of texts.")
    return tuple(value)


def read_binding(value: object) -> DeviceBinding:
    """Read the claim ``dev``: how to recognise a device.

    Version 2 is version 1 with ``f``, which says that the license is floating. It has a version of its own so that a
    program that knows nothing of seats refuses the license instead of working without one.

    Raises:
        BadClaimsError: It is not what one of the two versions has.
    """
    if not isinstance(value, dict) or type(value.get("v")) is not int or value["v"] not in (1, 2):
        raise BadClaimsError("The claim dev is missing or of a version that this program does not know.")
    if value["v"] == _FLOATING_VERSION and (type(value.get("f")) is not int or value["f"] != 1):
        raise BadClaimsError("The claim dev of version 2 does not say that the license is floating.")
    members = value.keys() - ({"v", "s", "f"} if value["v"] == _FLOATING_VERSION else {"v", "s"})
    if not members <= _PART_OF_MEMBER.keys():
        raise BadClaimsError("The claim dev has members that its version does not have.")
    return DeviceBinding(_salt(value.get("s")), {_PART_OF_MEMBER[name]: _hashes(name, value[name]) for name in members})


def _is_floating(value: object) -> bool:
    return isinstance(value, dict) and value.get("v") == _FLOATING_VERSION


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
