"""The other side, written by hand for the tests: keys, key sets, license strings and leases, good and bad."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NOW = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
DEVICE = "04:7C:16:5E:E3:5D|S1|BRD-9|CPU-1"
OTHER_DEVICE = "AA:BB:CC:00:11:22|S9|BRD-8|CPU-1"
SALT = bytes(range(12))
NONCE = "nonce-1"


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def encode(value: object) -> str:
    return base64url(json.dumps(value, separators=(",", ":")).encode())


@dataclass(frozen=True)
class SigningKey:
    purpose: str
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def x(self) -> str:
        return base64url(self.private.public_key().public_bytes_raw())

    @property
    def kid(self) -> str:
        return base64url(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{self.x}"}}'.encode()).digest())[:16]

    @property
    def jwk(self) -> dict[str, object]:
        fixed: dict[str, object] = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig"}
        return fixed | {"kid": self.kid, "x": self.x, "purpose": self.purpose}

    def sign_parts(self, header_part: str, claims_part: str) -> str:
        signature = self.private.sign(f"{header_part}.{claims_part}".encode())
        return f"{header_part}.{claims_part}.{base64url(signature)}"

    def sign(self, claims: object, kind: str, **header: object) -> str:
        return self.sign_parts(encode({"alg": "EdDSA", "kid": self.kid, "typ": kind} | header), encode(claims))


def part_hash(kind: str, value: str, salt: bytes = SALT) -> str:
    return base64url(hmac.new(salt, f"{kind}:{value}".encode(), hashlib.sha256).digest()[:6])


def dev_claim() -> dict[str, object]:
    """The claim for DEVICE."""
    return {
        "v": 1,
        "s": base64url(SALT),
        "m": [part_hash("mac", "047C165EE35D")],
        "d": [part_hash("disk", "S1")],
        "b": part_hash("board", "BRD-9"),
        "c": part_hash("cpu", "CPU-1"),
    }


def unix(moment: datetime) -> int:
    return int(moment.timestamp())


def license_claims(now: datetime = NOW, /, **changes: Any) -> dict[str, object]:
    claims: dict[str, object] = {
        "iss": "https://license.example",
        "jti": "ls_1",
        "sub": "lic_1",
        "code": "PL0001",
        "product": "cad",
        "iat": unix(now),
        "nbf": unix(now),
        "exp": unix(now + timedelta(days=365)),
        "dev": dev_claim(),
        "feat": ["draw", "export"],
        "n": 5,
    }
    return without_none(claims | changes)


def lease_claims(now: datetime = NOW, /, **changes: Any) -> dict[str, object]:
    claims: dict[str, object] = {
        "iss": "https://license.example",
        "sub": "lic_1",
        "jti": "ls_1",
        "status": "ACTIVE",
        "reason": "",
        "iat": unix(now),
        "exp": unix(now + timedelta(days=7)),
        "next": unix(now + timedelta(days=1)),
        "nonce": NONCE,
        "license_exp": unix(now + timedelta(days=365)),
    }
    return without_none(claims | changes)


def without_none(claims: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in claims.items() if value is not None}


@dataclass(frozen=True)
class Vendor:
    """A vendor with one key per purpose."""

    license_key: SigningKey = field(default_factory=lambda: SigningKey("license"))
    lease_key: SigningKey = field(default_factory=lambda: SigningKey("lease"))
    release_key: SigningKey = field(default_factory=lambda: SigningKey("release"))

    @property
    def jwks(self) -> dict[str, object]:
        return {"keys": [key.jwk for key in (self.license_key, self.lease_key, self.release_key)]}

    def license_string(self, now: datetime = NOW, /, **changes: Any) -> str:
        return self.license_key.sign(license_claims(now, **changes), "license+jwt")

    def lease(self, now: datetime = NOW, /, **changes: Any) -> str:
        return self.lease_key.sign(lease_claims(now, **changes), "lease+jwt")
