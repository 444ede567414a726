"""The other side, written by hand for the tests: keys, licenses, leases, lists and manifests, good and bad."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

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


@dataclass(frozen=True)
class SecondKey:
    """An ML-DSA-65 key for second signatures."""

    private: MLDSA65PrivateKey = field(default_factory=MLDSA65PrivateKey.generate)

    @property
    def pub(self) -> str:
        return base64url(self.private.public_key().public_bytes_raw())

    @property
    def kid(self) -> str:
        thumbprint = f'{{"alg":"ML-DSA-65","kty":"AKP","pub":"{self.pub}"}}'.encode()
        return base64url(hashlib.sha256(thumbprint).digest())[:16]

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)

    @property
    def jwk(self) -> dict[str, object]:
        fixed: dict[str, object] = {"kty": "AKP", "alg": "ML-DSA-65", "use": "sig"}
        return fixed | {"kid": self.kid, "pub": self.pub, "purpose": "license"}


COMMENT = "# License file / 许可证文件\n#\n# Product: cad\n"


def armour(document: bytes, comment: str = COMMENT, *, width: int = 64) -> bytes:
    body = base64.b64encode(document).decode()
    lines = [body[start : start + width] for start in range(0, len(body), width)]
    return (comment + "\n".join(["-----BEGIN LICENSE-----", *lines, "-----END LICENSE-----", ""])).encode()


def unarmour(raw: bytes) -> bytes:
    """The JSON in a good file."""
    return base64.b64decode(raw.split(b"-----BEGIN LICENSE-----\n")[1].split(b"-----END")[0])


def file_claims(now: datetime = NOW, /, *, comment: str = COMMENT, **changes: Any) -> dict[str, object]:
    digest = base64url(hashlib.sha256(comment.encode()).digest())
    return license_claims(now, **({"jti": "lf_1", "order": "CS1", "file": "license.lic", "txt": digest} | changes))


def file_document(
    key: SigningKey, claims: object, second: SecondKey | None = None, first_header: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """The JSON of a file as a value; ``first_header`` changes the header of the first signature."""
    payload, signatures = encode(claims), []
    header: dict[str, object] = {"alg": "EdDSA", "kid": key.kid, "typ": "license-file+jwt"}
    if second is not None:
        protected = encode({"alg": "ML-DSA-65", "kid": second.kid, "typ": "license-file+jwt"})
        signature = second.sign(f"{protected}.{payload}".encode())
        signatures = [{"protected": protected, "signature": base64url(signature)}]
        header["second"] = base64url(hashlib.sha256(f"{protected}.{base64url(signature)}".encode()).digest())
    protected = encode(without_none(header | dict(first_header or {})))
    first = {"protected": protected, "signature": base64url(key.private.sign(f"{protected}.{payload}".encode()))}
    return {"payload": payload, "signatures": [first, *signatures]}


def compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def list_entry(owner: str) -> bytes:
    return hashlib.sha256(owner.encode()).digest()[:7]


def list_payload(add: Iterable[bytes], remove: Iterable[bytes] = (), /, **changes: Any) -> bytes:
    added, removed = sorted(add), sorted(remove)
    head: dict[str, object] = {"v": 1, "iss": "https://license.example", "iat": unix(NOW), "number": 1, "since": 0}
    head |= {"add": len(added), "remove": len(removed)} | changes
    return compact(without_none(head)) + b"\n" + b"".join(added) + b"".join(removed)


def manifest_claims(**changes: Any) -> dict[str, object]:
    claims: dict[str, object] = {
        "iss": "https://license.example",
        "product": "cad",
        "version": "4.0.0",
        "channel": "stable",
        "platform": "linux-x86_64",
        "url": "https://downloads.example/cad-4.0.0.run",
        "sha256": "0" * 64,
        "size": 1234,
        "forced": False,
        "published_at": unix(NOW),
        "iat": unix(NOW),
        "exp": unix(NOW) + 86400,
        "running": "3.2.1",
        "nonce": "n-1",
    }
    return without_none(claims | changes)


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
    second_key: SecondKey = field(default_factory=SecondKey)

    @property
    def jwks(self) -> dict[str, object]:
        return {"keys": [key.jwk for key in (self.license_key, self.lease_key, self.release_key)]}

    @property
    def jwks_with_second(self) -> dict[str, object]:
        return {"keys": [key.jwk for key in (self.license_key, self.lease_key, self.release_key, self.second_key)]}

    def license_string(self, now: datetime = NOW, /, **changes: Any) -> str:
        return self.license_key.sign(license_claims(now, **changes), "license+jwt")

    def lease(self, now: datetime = NOW, /, **changes: Any) -> str:
        return self.lease_key.sign(lease_claims(now, **changes), "lease+jwt")

    def license_file(
        self, now: datetime = NOW, /, *, comment: str = COMMENT, is_double: bool = False, **changes: Any
    ) -> bytes:
        claims = file_claims(now, comment=comment, **changes)
        document = file_document(self.license_key, claims, self.second_key if is_double else None)
        return armour(compact(document), comment)

    def revocation_list(self, add: Iterable[bytes] = (), remove: Iterable[bytes] = (), /, **changes: Any) -> str:
        return self.sign_list(list_payload(add, remove, **changes))

    def sign_list(self, payload: bytes, **header: object) -> str:
        key = self.license_key
        return key.sign_parts(
            encode({"alg": "EdDSA", "kid": key.kid, "typ": "revocations"} | header), base64url(payload)
        )

    def manifest(self, **changes: Any) -> str:
        return self.release_key.sign(manifest_claims(**changes), "release+jwt")
