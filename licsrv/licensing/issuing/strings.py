"""License strings and leases: claims to signed text. Pure.

JWS compact serialization (RFC 7515) with EdDSA (RFC 8037). ``client_stub`` and the tests read these with code of
their own on purpose (three witnesses): a mistake made once must not be made everywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from licsrv.errors import InvalidRequestError
from licsrv.licensing import entitlements
from licsrv.licensing.fingerprints import MOST_BOUND, DeviceFacts, Part
from licsrv.licensing.signing import SigningKey, b64, seconds

MAX_STRING = 1024  # the marketplace's limit for a license that travels as characters
SALT_BYTES = 12
_HASH_BYTES = 6
_OPENING = frozenset({"v", "s", "f"})
_CLAIM_OF_PART = {Part.MAC: "m", Part.DISK: "d", Part.BOARD: "b", Part.CPU: "c"}


def digest(text: str) -> str:
    """Return how a license string is looked up: its SHA-256, hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def device_claim(facts: DeviceFacts, *, salt: bytes, most: int, is_floating: bool = False) -> dict[str, Any]:
    """Return how a device recognises itself offline: salted hashes of 48 bits, at most ``most`` of each part.

    Values keep the order in which the device named them, so that the physical adapters come first.
    """
    claim = _opening(salt, is_floating=is_floating)
    for part, values in facts.values.items():
        hashes = [b64(hmac.digest(salt, f"{part}:{value}".encode(), "sha256")[:_HASH_BYTES]) for value in values[:most]]
        claim[_CLAIM_OF_PART[part]] = hashes if part in {Part.MAC, Part.DISK} else hashes[0]
    return claim


def device_claim_again(device: Mapping[str, Any], *, salt: bytes, is_floating: bool) -> dict[str, Any]:
    """Return a device's claim with its salt, from one of which the hashes were kept."""
    kept = {name: value for name, value in device.items() if name not in _OPENING}
    return _opening(salt, is_floating=is_floating) | kept


def is_floating(device: Mapping[str, Any]) -> bool:
    """Whether the claim of a device says that its programs need seats."""
    return "f" in device


def _opening(salt: bytes, *, is_floating: bool) -> dict[str, Any]:
    """Return the beginning of a claim; a program that knows no seats refuses version 2, and works without none."""
    return {"v": 2, "s": b64(salt), "f": 1} if is_floating else {"v": 1, "s": b64(salt)}


@dataclass(frozen=True)
class LicenseTerms:
    """What a license says, without the device; ``maintenance_until`` is the last release date that it covers.

    ``product`` is what programs compare, for ever; ``product_name`` is for people, and ``product_names`` are others
    that programs may expect.
    """

    issuer: str
    issued_id: str
    license_id: str
    code: str
    product: str
    features: Sequence[str]
    amount: int
    is_test: bool
    is_provisional: bool
    issued_at: datetime
    ends_at: datetime | None
    maintenance_until: datetime | None = None
    starts_at: datetime | None = None
    product_name: str = ""
    product_names: Sequence[str] = ()
    is_floating: bool = False

    def claims(self) -> dict[str, Any]:
        """Return the claims in the contract's names."""
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "jti": self.issued_id,
            "sub": self.license_id,
            "code": self.code,
            "product": self.product,
            "iat": seconds(self.issued_at),
            "nbf": seconds(self.starts_at or self.issued_at),
        }
        if self.ends_at is not None:
            claims["exp"] = seconds(self.ends_at)
        claims |= self._other_names()
        claims |= {"n": self.amount} | entitlements.claims(self.features, at=self.issued_at)
        if self.maintenance_until is not None:
            claims["maint"] = seconds(self.maintenance_until)
        if self.is_test:
            claims["test"] = True
        if self.is_provisional:
            claims["prov"] = True
        return claims

    def _other_names(self) -> dict[str, Any]:
        is_another = self.product_name not in ("", self.product)
        named: dict[str, Any] = {"name": self.product_name} if is_another else {}
        return named | ({"aka": list(self.product_names)} if self.product_names else {})


def sign_license(
    terms: LicenseTerms, facts: DeviceFacts, *, salt: bytes, key: SigningKey
) -> tuple[str, dict[str, Any]]:
    """Return a license string for a device, and its claims.

    A device with very many adapters is described by fewer of them until the string fits.

    Raises:
        InvalidRequestError: It does not fit even so: the product has too many features.
    """
    claims = terms.claims()
    for most in (MOST_BOUND, 4, 2, 1):
        claims["dev"] = device_claim(facts, salt=salt, most=most, is_floating=terms.is_floating)
        text = key.sign(payload(claims))
        if len(text) <= MAX_STRING:
            return text, claims
    raise InvalidRequestError(
        f"A license string of this product is longer than {MAX_STRING} characters.",
        action="Ask for a license file instead, or give the product fewer features.",
    )


def payload(claims: Mapping[str, Any]) -> bytes:
    """Return claims as the bytes that are signed."""
    return json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
