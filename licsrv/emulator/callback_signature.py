"""The signature of a callback, made by the marketplace's side, on purpose with code of its own.

One of three witnesses: the service verifies with its own code, and this file must not share a line with it, or both
would make the same mistake and the tests would agree with it. Pure: no clock, no randomness, no network.

Source: protocol/authorization-code.md §6.3.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping


def sign(payload: bytes, *, access_key: str, nonce: str, timestamp: str) -> str:
    """Return the signature as 64 upper-case hex digits, the spelling of the sibling pages' examples."""
    inner = _hmac(access_key, payload)
    return _hmac(access_key, f"{access_key}{nonce}{timestamp}{inner}".encode()).upper()


def canonical_body(members: Mapping[str, object]) -> bytes:
    """Write a body the way the marketplace's sample does before it signs.

    Members with the value null are dropped, the top level is sorted by UTF-16 code unit (Java's order), nested objects
    keep their order, no blanks, characters beyond ASCII as they are.
    """
    kept = {name: members[name] for name in sorted(members, key=_java_order) if members[name] is not None}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def loose_body(members: Mapping[str, object]) -> bytes:
    """Write the same body unsorted and with blanks, for a verifier that only expects the tidy form."""
    unsorted = {name: members[name] for name in sorted(members, key=_java_order, reverse=True)}
    return json.dumps(unsorted, ensure_ascii=False, indent=1, separators=(" , ", " : "), allow_nan=False).encode()


def ordered_body(members: Mapping[str, object]) -> bytes:
    """Write a body compactly, without nulls, its members in the order given."""
    kept = {name: value for name, value in members.items() if value is not None}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _java_order(name: str) -> bytes:
    return name.encode("utf-16-be")


def _hmac(key: str, message: bytes) -> str:
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()
