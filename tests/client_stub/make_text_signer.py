"""Keys with fixed TEST seeds and the smallest signer that can also sign what nobody should: for the vectors only.

Deterministic, but for ML-DSA-65, whose signatures are randomised: one that was made before is used again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

NOW = 1_777_881_600  # 2026-05-04T08:00:00Z
DAY = 86_400
END = NOW + 365 * DAY
LEEWAY = 300
DEVICE = "04:7C:16:5E:E3:5D,AA:BB:CC:00:11:22|001B_444A_488B_5CEC.|BRD-9|BFEBFBFF00090672"
ISSUER = "https://license.example"
NONCE = "nonce-1"
SALT = bytes(range(12))

Json = dict[str, Any]


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def encode(value: object) -> str:
    return base64url(value if isinstance(value, bytes) else compact(value))


@dataclass(frozen=True)
class Key:
    """An Ed25519 key made from one byte, 32 times."""

    name: str
    purpose: str
    seed_byte: int

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(bytes([self.seed_byte]) * 32)

    @property
    def raw(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def x(self) -> str:
        return base64url(self.raw)

    @property
    def kid(self) -> str:
        thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{self.x}"}}'.encode())
        return base64url(thumbprint.digest())[:16]

    @property
    def jwk(self) -> Json:
        fixed = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig"}
        return {**fixed, "kid": self.kid, "x": self.x, "purpose": self.purpose}

    def sign_parts(self, header: str, payload: str) -> str:
        return base64url(self.private.sign(f"{header}.{payload}".encode()))

    def token(self, header: object, payload: object) -> str:
        """Sign any header over any payload; both as JSON values, or as bytes to be taken as they are."""
        parts = encode(header), encode(payload)
        return ".".join((*parts, self.sign_parts(*parts)))

    def header(self, type: str, **more: object) -> Json:
        return {"alg": "EdDSA", "kid": self.kid, "typ": type, **more}


LICENSE = Key("license", "license", 1)
LEASE = Key("lease", "lease", 2)
RELEASE = Key("release", "release", 3)
STRANGER = Key("stranger", "license", 4)
"""A key that is not pinned."""
NEXT_LICENSE = Key("next license", "license", 5)
"""Two keys of one purpose are pinned while keys are rotated."""
PINNED = (LICENSE, LEASE, RELEASE, NEXT_LICENSE)


class SecondKey:
    """The ML-DSA-65 key of byte 6, 32 times, and the signatures that were already made with it."""

    def __init__(self, kept: Mapping[str, str]) -> None:
        self._private = MLDSA65PrivateKey.from_seed_bytes(bytes([6]) * 32)
        self._kept = dict(kept)
        self.used: dict[str, str] = {}

    @property
    def pub(self) -> str:
        return base64url(self._private.public_key().public_bytes_raw())

    @property
    def kid(self) -> str:
        thumbprint = hashlib.sha256(compact({"alg": "ML-DSA-65", "kty": "AKP", "pub": self.pub}))
        return base64url(thumbprint.digest())[:16]

    @property
    def jwk(self) -> Json:
        fixed = {"kty": "AKP", "alg": "ML-DSA-65", "use": "sig"}
        return {**fixed, "kid": self.kid, "pub": self.pub, "purpose": "license"}

    @property
    def header(self) -> Json:
        return {"alg": "ML-DSA-65", "kid": self.kid, "typ": "license-file+jwt"}

    def sign(self, payload: str) -> str:
        """Return the signature over this payload under the fixed header, base64url."""
        signing_input = f"{encode(self.header)}.{payload}".encode()
        name = hashlib.sha256(signing_input).hexdigest()
        if name not in self._kept:
            self._kept[name] = base64url(self._private.sign(signing_input))
        self.used[name] = self._kept[name]
        return self._kept[name]


def part_hash(kind: str, value: str) -> str:
    return base64url(hmac.new(SALT, f"{kind}:{value}".encode(), hashlib.sha256).digest()[:6])


def dev_claim(**changes: object) -> Json:
    """The claim for DEVICE; None takes a member away."""
    claim: Json = {
        "v": 1,
        "s": base64url(SALT),
        "m": [part_hash("mac", "047C165EE35D"), part_hash("mac", "AABBCC001122")],
        "d": [part_hash("disk", "001B_444A_488B_5CEC.")],
        "b": part_hash("board", "BRD-9"),
        "c": part_hash("cpu", "BFEBFBFF00090672"),
    }
    return without_none(claim | changes)


def license_claims(**changes: object) -> Json:
    claims: Json = {
        "iss": ISSUER,
        "jti": "ls_1",
        "sub": "lic_1",
        "code": "PL0001",
        "product": "cad",
        "iat": NOW,
        "nbf": NOW,
        "exp": END,
        "dev": dev_claim(),
        "feat": ["draw", "export"],
        "n": 5,
    }
    return without_none(claims | changes)


def lease_claims(**changes: object) -> Json:
    claims: Json = {
        "iss": ISSUER,
        "sub": "lic_1",
        "jti": "ls_1",
        "status": "ACTIVE",
        "reason": "",
        "iat": NOW,
        "exp": NOW + 7 * DAY,
        "next": NOW + DAY,
        "nonce": NONCE,
        "license_exp": END,
    }
    return without_none(claims | changes)


def without_none(claims: Json) -> Json:
    return {name: value for name, value in claims.items() if value is not None}


def license_string(**changes: object) -> str:
    return LICENSE.token(LICENSE.header("license+jwt"), license_claims(**changes))


def lease(**changes: object) -> str:
    return LEASE.token(LEASE.header("lease+jwt"), lease_claims(**changes))


def case(name: str, text: str | bytes, verdict: str, **more: object) -> Json:
    """One vector. Text that is not UTF-8 goes as base64."""
    raw = text.encode() if isinstance(text, str) else text
    try:
        body: Json = {"text": raw.decode()}
    except UnicodeDecodeError:
        body = {"base64": base64.b64encode(raw).decode()}
    return {"name": name, "verdict": verdict, **more, **body}
