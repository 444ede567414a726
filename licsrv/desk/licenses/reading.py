"""Pasted license strings, files and leases: taken apart, and whether a key of ours signed them. Pure.

It trusts nothing that it reads: sizes are bounded, whatever cannot be read is no license, and no claim counts before
the signature is checked. Whether it is what was handed out is looked up by ``search``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from licsrv.licensing import signing
from licsrv.licensing.issuing import strings
from licsrv.platform import strict_json
from licsrv.platform.strict_json import MalformedJsonError

STRING, FILE, LEASE, UNKNOWN = "license_string", "license_file", "lease", "unknown"
_KINDS = {signing.LICENSE_TYPE: STRING, signing.FILE_TYPE: FILE, signing.LEASE_TYPE: LEASE}
_PURPOSES = {STRING: "license", FILE: "license", LEASE: "lease"}
_COMPACT = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", re.ASCII)
_ARMOUR = re.compile(r"-----BEGIN LICENSE-----(.*?)-----END LICENSE-----", re.DOTALL)
_LONGEST = 80_000
_LATEST = 253_402_300_799  # the last second of the year 9999


class PublicKey(Protocol):
    """What is known of a signing key."""

    @property
    def key_id(self) -> str:
        """Its id."""

    @property
    def purpose(self) -> str:
        """What it signs."""

    @property
    def public(self) -> str:
        """Its public half, base64url."""

    @property
    def is_retired(self) -> bool:
        """Whether nothing signed by it counts any more."""


@dataclass(frozen=True)
class Presented:
    """Something that looks like a license or a lease.

    Args:
        text: In the form in which it was handed out, as far as it can be restored.
        claims: Empty where they cannot be read.
    """

    kind: str
    text: str
    key_id: str
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    def moment(self, claim: str) -> datetime | None:
        """Return a claim that is a moment; None where it is none."""
        value = self.claims.get(claim)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LATEST:
            return None
        return datetime.fromtimestamp(value, UTC)

    def word(self, claim: str) -> str:
        """Return a claim that is a text; empty where it is none."""
        value = self.claims.get(claim)
        return value if isinstance(value, str) else ""


def read(text: str) -> Presented | None:
    """Return what a pasted text presents; None when it looks like neither a license nor a lease."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    if (armour := _ARMOUR.search(text)) is not None:
        return _read_file(text, armour.group(1))
    if text[:7].lower() == "bearer ":
        text = text[7:].strip()
    joined = "".join(text.split())  # mail programs break long lines
    return _read_compact(joined) if _COMPACT.fullmatch(joined) else None


def _read_compact(text: str) -> Presented:
    protected, payload, signature = text.split(".")
    return _presented(text, protected, payload, signature=signature)


def _read_file(text: str, body: str) -> Presented:
    as_issued = text.replace("\r\n", "\n") + "\n"
    try:
        document = strict_json.loads_object(base64.b64decode("".join(body.split()), validate=True), max_bytes=_LONGEST)
        first = document["signatures"][0]  # type: ignore[index]
        return _presented(as_issued, first["protected"], document["payload"], signature=first["signature"])
    except (MalformedJsonError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Presented(UNKNOWN, as_issued, "", claims={}, signed=b"", signature=b"")


def _presented(text: str, protected: Any, payload: Any, signature: Any) -> Presented:
    try:
        header = strict_json.loads_object(_decoded(protected))
        claims = strict_json.loads_object(_decoded(payload), max_bytes=_LONGEST)
        raw = _decoded(signature)
    except (MalformedJsonError, ValueError, TypeError, AttributeError):
        return Presented(UNKNOWN, text, "", claims={}, signed=b"", signature=b"")
    kind = _KINDS.get(str(header.get("typ")), UNKNOWN) if header.get("alg") == "EdDSA" else UNKNOWN
    return Presented(
        kind,
        text,
        str(header.get("kid"))[:64],
        claims=claims,
        signed=f"{protected}.{payload}".encode("ascii"),
        signature=raw,
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError from error


def signer_of(presented: Presented, keys: Iterable[PublicKey]) -> PublicKey | None:
    """Return the key of ours that signed it, retired or not; None when none did."""
    for key in keys:
        if key.key_id == presented.key_id and key.purpose == _PURPOSES.get(presented.kind):
            return key if _is_signed_by(presented, key) else None
    return None


def _is_signed_by(presented: Presented, key: PublicKey) -> bool:
    try:
        public = Ed25519PublicKey.from_public_bytes(_decoded(key.public))
        public.verify(presented.signature, presented.signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def without_device(claims: dict[str, Any]) -> dict[str, Any]:
    """Return what claims say apart from the device's hashes."""
    return {name: value for name, value in claims.items() if name != "dev" and _is_plain(value)}


def _is_plain(value: Any) -> bool:
    return len(json.dumps(value, ensure_ascii=True)) <= strings.MAX_STRING * 4
