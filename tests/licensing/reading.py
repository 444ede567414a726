"""Read license files and revocation lists with code of the tests' own: the third witness of both formats."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

import mldsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FILE = re.compile(
    rb"((?:#(?: [^\n]*)?\n)*)-----BEGIN LICENSE-----\n((?:[A-Za-z0-9+/=]{64}\n)*[A-Za-z0-9+/=]{1,64}\n)"
    rb"-----END LICENSE-----\n"
)
Jwks = dict[str, list[dict[str, str]]]


@dataclass(frozen=True)
class ReadFile:
    comments: str
    document: dict[str, Any]
    headers: list[dict[str, str]]
    claims: dict[str, Any]


@dataclass(frozen=True)
class ReadList:
    head: dict[str, Any]
    add: list[bytes]
    remove: list[bytes]


def decoded(text: str) -> bytes:
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text
    return raw


def key_of(jwks: Jwks, key_id: str, algorithm: str) -> dict[str, str]:
    (key,) = [key for key in jwks["keys"] if key["kid"] == key_id]
    assert (key["alg"], key["purpose"], key["use"]) == (algorithm, "license", "sig")
    return key


def read_file(content: bytes, jwks: Jwks) -> ReadFile:
    """Verify every signature, and each rule of the form."""
    assert len(content) <= 64 * 1024
    found = FILE.fullmatch(content)
    assert found is not None
    body = found[2].replace(b"\n", b"")
    raw = base64.b64decode(body, validate=True)
    assert base64.b64encode(raw) == body
    document = json.loads(raw)
    assert json.dumps(document, separators=(",", ":")).encode() == raw
    assert list(document) == ["payload", "signatures"]
    headers = [_verified(entry, document["payload"], jwks) for entry in document["signatures"]]
    first, *others = headers
    if others:
        entry = document["signatures"][1]
        said = f"{entry['protected']}.{entry['signature']}".encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(said).digest()).rstrip(b"=").decode()
        assert first == {"alg": "EdDSA", "kid": first["kid"], "typ": "license-file+jwt", "second": digest}
        assert others == [{"alg": "ML-DSA-65", "kid": others[0]["kid"], "typ": "license-file+jwt"}]
    else:
        assert first == {"alg": "EdDSA", "kid": first["kid"], "typ": "license-file+jwt"}
    claims = json.loads(decoded(document["payload"]))
    assert decoded(claims["txt"]) == hashlib.sha256(found[1]).digest()
    return ReadFile(found[1].decode(), document, headers, claims)


def _verified(entry: dict[str, str], payload: str, jwks: Jwks) -> dict[str, str]:
    assert list(entry) == ["protected", "signature"]
    header: dict[str, str] = json.loads(decoded(entry["protected"]))
    signed = f"{entry['protected']}.{payload}".encode()
    key = key_of(jwks, header["kid"], header["alg"])
    if header["alg"] == "ML-DSA-65":
        members = {"alg": "ML-DSA-65", "kty": "AKP", "pub": key["pub"]}
        mldsa.VerificationKey(decoded(key["pub"])).verify(decoded(entry["signature"]), signed)
    else:
        members = {"crv": "Ed25519", "kty": "OKP", "x": key["x"]}
        Ed25519PublicKey.from_public_bytes(decoded(key["x"])).verify(decoded(entry["signature"]), signed)
    thumbprint = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    assert base64.urlsafe_b64encode(thumbprint).decode()[:16] == header["kid"]
    return header


def read_list(text: str, jwks: Jwks) -> ReadList:
    protected, payload, signature = text.split(".")
    header = json.loads(decoded(protected))
    assert header == {"alg": "EdDSA", "kid": header["kid"], "typ": "revocations"}
    assert list(header) == ["alg", "kid", "typ"]
    key = Ed25519PublicKey.from_public_bytes(decoded(key_of(jwks, header["kid"], "EdDSA")["x"]))
    key.verify(decoded(signature), f"{protected}.{payload}".encode())
    return read_payload(decoded(payload))


def read_payload(raw: bytes) -> ReadList:
    line, _, entries = raw.partition(b"\n")
    head = json.loads(line)
    assert list(head) == ["v", "iss", "iat", "number", "since", "add", "remove"]
    assert head["v"] == 1
    assert len(entries) == 7 * (head["add"] + head["remove"])
    both = [entries[start : start + 7] for start in range(0, len(entries), 7)]
    add, remove = both[: head["add"]], both[head["add"] :]
    for group in (add, remove):
        assert group == sorted(set(group))
    return ReadList(head, add, remove)


def license_entry(license_id: str) -> bytes:
    return hashlib.sha256(b"license:" + license_id.encode()).digest()[:7]


def string_entry(issued_id: str) -> bytes:
    return hashlib.sha256(b"string:" + issued_id.encode()).digest()[:7]
