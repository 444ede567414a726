"""Read a license file and check its signatures: a JWS in general JSON serialization (RFC 7515 §7.2.1) in an armour.

Three witnesses: server, emulator and this client each implement the format on their own, on purpose. Do not replace
this module by an import.

Pure. What the claims mean is decided in ``claims`` and ``verification``; reading and writing files on disk is
``license_folder``. Stricter than the RFC asks for: one spelling of everything, so the same license has the same bytes.

Two signatures: EdDSA first, ML-DSA-65 as an optional second. The first one's header holds the digest of the second
signature, so the second cannot be removed or exchanged without breaking the first. Every signature is verified
whose algorithm this program has a pinned license key for; an unknown key of such an algorithm is a refusal and not a
signature to pass over, because otherwise a changed key name would switch its check off.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from client_stub.trust import base64url, tokens
from client_stub.trust.armour import open_armour
from client_stub.trust.errors import (
    BadClaimsError,
    BadSignatureError,
    MalformedError,
    UnknownKeyError,
    UnreadableFileError,
    WrongTypeError,
)
from client_stub.trust.keys import KEY_ID_CHARACTERS, Algorithm, KeyPurpose, PinnedKeys
from client_stub.trust.tokens import Token

TYPE = "license-file+jwt"
_ALGORITHMS = (Algorithm.EDDSA, Algorithm.ML_DSA_65)
_KEY_ID = re.compile(rf"[A-Za-z0-9_-]{{{KEY_ID_CHARACTERS}}}")


@dataclass(frozen=True)
class _Signature:
    """One entry of the list of signatures, not verified."""

    algorithm: Algorithm
    key_id: str
    second_digest: str | None
    text: str
    raw: bytes
    message: bytes


def open_file(raw: bytes, keys: PinnedKeys, *, require_both: bool = False) -> Token:
    """Check that ``raw`` is a license file with good signatures of pinned license keys, and return its claims.

    1. The armour is whole (``armour.open_armour``).
    2. It holds ``payload`` and one or two ``signatures`` in their one spelling, and nothing else.
    3. The protected headers are exactly those of the format: EdDSA first, ML-DSA-65 second.
    4. The first header's ``second`` is the digest of the second signature and its header; both are there or neither.
    5. Every signature of an algorithm that a license key is pinned for is good; at least one is.
    6. With ``require_both``, both are.
    7. The claims are one JSON object, and their ``txt`` is the digest of the comment. Another comment over a good
       signature is a file that was changed on its way: mail programs write characters outside ASCII in their own way.

    Raises:
        VerificationError: The first step that fails; never another exception, whatever the bytes are.
    """
    armoured = open_armour(raw)  # 1
    payload, signatures = _read_signatures(armoured.content)  # 2, 3
    _check_second(signatures)  # 4
    verified = _verify(signatures, keys)  # 5
    if require_both:  # 6
        _check_both(signatures, verified)
    claims = tokens.read_object(payload)  # 7
    _check_comment(claims, armoured.comment)
    return Token(verified[0], claims)


def _read_signatures(content: bytes) -> tuple[bytes, list[_Signature]]:
    document = tokens.read_object(content)
    payload, entries = document.get("payload"), document.get("signatures")
    if not isinstance(payload, str) or not isinstance(entries, list) or not 1 <= len(entries) <= len(_ALGORITHMS):
        raise MalformedError("The license is not a payload with one or two signatures.")
    pairs = [_pair(entry) for entry in entries]
    # Written again and compared, so that order, blanks and escapes have one spelling too.
    spelled = {"payload": payload, "signatures": [{"protected": p, "signature": s} for p, s in pairs]}
    if json.dumps(spelled, separators=(",", ":")).encode() != content:
        raise MalformedError("The license is not spelled as the format asks for.")
    decoded = base64url.decode(payload)
    return decoded, [_read(algorithm, payload, *pair) for algorithm, pair in zip(_ALGORITHMS, pairs, strict=False)]


def _pair(entry: object) -> tuple[str, str]:
    protected, signature = (entry.get("protected"), entry.get("signature")) if isinstance(entry, dict) else (None, None)
    if not isinstance(protected, str) or not isinstance(signature, str):
        raise MalformedError("A signature of the license is incomplete.")
    return protected, signature


def _read(algorithm: Algorithm, payload: str, protected: str, signature: str) -> _Signature:
    header_bytes = base64url.decode(protected)
    header = tokens.read_object(header_bytes)
    key_id, second = header.get("kid"), header.get("second")
    expected: dict[str, object] = {"alg": algorithm.value, "kid": key_id, "typ": TYPE}
    if algorithm is Algorithm.EDDSA and isinstance(second, str):
        expected["second"] = second
    is_exact = header_bytes == json.dumps(expected, separators=(",", ":")).encode()
    if not is_exact or not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        raise WrongTypeError("The header of a signature is not exactly the one of a license file.")
    digest = str(second) if "second" in expected else None
    message = f"{protected}.{payload}".encode("ascii")  # both parts are base64url by now
    return _Signature(
        algorithm, key_id, digest, text=f"{protected}.{signature}", raw=base64url.decode(signature), message=message
    )


def _check_second(signatures: Sequence[_Signature]) -> None:
    announced = signatures[0].second_digest
    entry = signatures[1].text.encode("ascii") if len(signatures) > 1 else None
    found = base64url.encode(hashlib.sha256(entry).digest()) if entry is not None else None
    if announced != found:
        raise BadSignatureError("The second signature is not the one that the first one was made with.")


def _verify(signatures: Sequence[_Signature], keys: PinnedKeys) -> list[str]:
    verified = []
    for signature in signatures:
        if keys.has(signature.algorithm, KeyPurpose.LICENSE) or signature.key_id in keys.by_id:
            key = tokens.find_key(signature.key_id, signature.algorithm, KeyPurpose.LICENSE, keys=keys)
            tokens.check_signature(key, signature.raw, signature.message)
            verified.append(signature.key_id)
    if not verified:
        raise UnknownKeyError("The license is signed with keys that this program does not know.")
    return verified


def _check_both(signatures: Sequence[_Signature], verified: Sequence[str]) -> None:
    if len(signatures) < len(_ALGORITHMS):
        raise BadSignatureError("The license has one signature, and this program demands two.")
    if len(verified) < len(_ALGORITHMS):
        raise UnknownKeyError("One of the two signatures is of a kind that this program has no key for.")


def _check_comment(claims: Mapping[str, object], comment: bytes) -> None:
    digest = base64url.encode(hashlib.sha256(comment).digest())
    bound = claims.get("txt")
    if not isinstance(bound, str) or not bound:
        raise BadClaimsError("The claim txt is missing or is not a text.")
    if not hmac.compare_digest(bound.encode(), digest.encode()):
        raise UnreadableFileError("The comment above the license was changed after it was signed.")
