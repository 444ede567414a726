"""Read a JWS in compact serialization and check its signature; more strictly than RFC 7515 asks for.

Three witnesses: server, emulator and this client each implement the format on their own, on purpose. Do not replace
this module by an import.

Pure. Knows nothing about what the claims mean: that is ``verification``. Strict because a verifier that accepts two
spellings lets one token pass for two: one spelling of base64url, no member twice, no member to
spare in the header, no number that JSON does not have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature

from client_stub.trust import base64url
from client_stub.trust.errors import (
    BadSignatureError,
    MalformedError,
    UnknownKeyError,
    WrongKeyPurposeError,
    WrongTypeError,
)
from client_stub.trust.keys import Algorithm, KeyPurpose, PinnedKey, PinnedKeys

_HEADER_MEMBERS = {"alg", "kid", "typ"}


@dataclass(frozen=True)
class TokenKind:
    """What is expected at one place: the announced type, the purpose of the key, and how long it may be."""

    type: str
    purpose: KeyPurpose
    maximum_characters: int


LICENSE = TokenKind("license+jwt", KeyPurpose.LICENSE, 1024)
LEASE = TokenKind("lease+jwt", KeyPurpose.LEASE, 8 * 1024)


@dataclass(frozen=True)
class Signed:
    """Bytes whose signature is good, and the key that made it."""

    key_id: str
    payload: bytes


@dataclass(frozen=True)
class Token:
    """A token whose signature is good; ``claims`` are plain JSON and not interpreted yet."""

    key_id: str
    claims: Mapping[str, object]


def open_token(text: str | bytes, kind: TokenKind, keys: PinnedKeys) -> Token:
    """Check that ``text`` is a token of this kind, signed with a pinned key of its purpose, with claims in it.

    Steps 1 to 4 are those of ``open_signed``.

    5. The claims are one JSON object.

    Raises:
        VerificationError: The first step that fails; never another exception, whatever the bytes are.
    """
    signed = open_signed(text, kind, keys)  # 1-4
    return Token(signed.key_id, read_object(signed.payload))  # 5


def open_signed(text: str | bytes, kind: TokenKind, keys: PinnedKeys) -> Signed:
    """Check that ``text`` is of this kind and signed with a pinned key of its purpose, whatever is in it.

    1. At most ``maximum_characters`` of ASCII in exactly three parts, each the one canonical base64url of its bytes.
    2. The header is exactly ``alg`` EdDSA, ``typ`` of this kind and ``kid``; nothing to spare (no ``crit``).
    3. The key is pinned, and pinned for this purpose.
    4. The signature over the first two parts as they came is good.

    Raises:
        VerificationError: The first step that fails; never another exception, whatever the bytes are.
    """
    header_part, payload_part, signature_part = _split(text, kind.maximum_characters)  # 1
    header_bytes, payload = base64url.decode(header_part), base64url.decode(payload_part)
    signature = base64url.decode(signature_part)

    key_id = _read_header(read_object(header_bytes), kind)  # 2
    key = find_key(key_id, Algorithm.EDDSA, kind.purpose, keys=keys)  # 3
    check_signature(key, signature, f"{header_part}.{payload_part}".encode("ascii"))  # 4
    return Signed(key_id, payload)


def find_key(key_id: str, algorithm: Algorithm, purpose: KeyPurpose, keys: PinnedKeys) -> PinnedKey:
    """Return the pinned key of this name.

    Raises:
        UnknownKeyError: It is not pinned.
        WrongKeyPurposeError: It is pinned for something else.
        WrongTypeError: It is pinned for this, but signs in another way than the header says.
    """
    pinned = keys.by_id.get(key_id)
    if pinned is None:
        raise UnknownKeyError("The text is signed with a key that this program does not know.")
    if pinned.purpose is not purpose:
        raise WrongKeyPurposeError(f"The text is signed with a key that is meant for {pinned.purpose}.")
    if pinned.algorithm is not algorithm:
        raise WrongTypeError("The header names another algorithm than the key has.")
    return pinned


def check_signature(key: PinnedKey, signature: bytes, message: bytes) -> None:
    """Return when the signature over ``message`` is good.

    Raises:
        BadSignatureError: It is not.
    """
    try:
        key.public_key.verify(signature, message)
    except InvalidSignature as error:
        raise BadSignatureError("The signature does not fit: the text was changed after it was signed.") from error


def _split(text: str | bytes, maximum_characters: int) -> list[str]:
    if len(text) > maximum_characters:
        raise MalformedError(f"The text is longer than {maximum_characters} characters.")
    try:
        plain = text.decode("ascii") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise MalformedError("The text has characters outside ASCII.") from error
    parts = plain.split(".")
    if len(parts) != 3:
        raise MalformedError("The text does not have exactly three parts.")
    return parts


def _read_header(header: Mapping[str, object], kind: TokenKind) -> str:
    if header.get("alg") != "EdDSA":
        raise WrongTypeError("The text is not signed with EdDSA.")
    if header.get("typ") != kind.type:
        raise WrongTypeError(f"The text is not of type {kind.type}.")
    key_id = header.get("kid")
    if header.keys() != _HEADER_MEMBERS or not isinstance(key_id, str):
        raise WrongTypeError("The header does not have exactly the members alg, kid and typ.")
    return key_id


def read_object(raw: bytes) -> Mapping[str, object]:
    """Read one JSON object; RecursionError and the limit on digits come from hostile input, not from our bug.

    Raises:
        MalformedError: It is something else, has a member twice, or holds what JSON or a file cannot.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=without_doubles, parse_constant=_refuse, parse_float=_refuse
        )
        # A lone surrogate passes json.loads and breaks the code that prints or stores it later.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise MalformedError("A part does not hold plain JSON.") from error
    if not isinstance(value, dict):
        raise MalformedError("A part does not hold a JSON object.")
    return value


def without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of its members; which of two would count is a matter of taste.

    Raises:
        ValueError: A member appears twice.
    """
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member appears twice")
    return members


def _refuse(spelling: str) -> object:
    raise ValueError(f"{spelling[:20]} is not an integer")
