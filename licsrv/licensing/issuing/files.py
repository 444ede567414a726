"""License files: claims to signed, armoured text. Pure but for the ML-DSA signature, which is never twice the same.

::

    # comment lines for people, in English and Chinese
    -----BEGIN LICENSE-----
    base64 of a JWS in general JSON serialization (RFC 7515 §7.2.1), 64 characters a line
    -----END LICENSE-----

``txt``, the digest of the comments, binds them to the signed claims; no program reads facts from them. The first
signature is EdDSA (RFC 8037). An optional second one is ML-DSA-65 (FIPS 204, named as in draft-ietf-cose-dilithium):
the protected header of the first holds its digest, so that its removal is noticed. ``client_stub`` and the tests read
files with code of their own on purpose (three witnesses). Where a file is kept is not known here.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from licsrv.errors import InvalidRequestError
from licsrv.licensing.fingerprints import MAX_VALUES, DeviceFacts
from licsrv.licensing.issuing import strings
from licsrv.licensing.issuing.strings import LicenseTerms
from licsrv.licensing.signing import (
    FILE_TYPE,
    SecondKey,
    SecondSignature,
    SigningKey,
    b64,
    encoded,
    second_header,
    seconds,
)

DEFAULT_NAME = "license.lic"
MAX_FILE = 64 * 1024
_BEGIN, _END = "-----BEGIN LICENSE-----", "-----END LICENSE-----"
_LINE = 64
_FORBIDDEN = frozenset('/\\:*?"<>|')
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
)
_NO_END = "without an end / 永久有效"


@dataclass(frozen=True)
class FileDetails:
    """What a file says that a string has no room for; ``device_name`` is in its comments only."""

    order_id: str = ""
    file_name: str | None = None
    device_name: str = ""


@dataclass(frozen=True)
class SignedFile:
    """A license file, what it claims, and its second signature where it has one."""

    text: str
    claims: dict[str, Any]
    second: SecondSignature | None


def sign_file(
    terms: LicenseTerms,
    details: FileDetails,
    facts: DeviceFacts,
    *,
    salt: bytes,
    key: SigningKey,
    second: SecondKey | None = None,
) -> SignedFile:
    """Return a license file for a device.

    Raises:
        InvalidRequestError: It would be longer than a verifier reads.
    """
    comments = comment_lines(terms, details)
    claims = file_claims(terms, details) | {
        "dev": strings.device_claim(facts, salt=salt, most=MAX_VALUES, is_floating=terms.is_floating),
        "txt": comments_digest(comments),
    }
    payload = strings.payload(claims)
    signature = second.sign(payload) if second is not None else None
    text = armoured(comments, payload, key=key, second=signature)
    if len(text.encode("utf-8")) > MAX_FILE:
        raise InvalidRequestError(
            f"A license file of this product is longer than {MAX_FILE} bytes.",
            action="Give the product fewer features.",
        )
    return SignedFile(text, claims, signature)


def file_claims(terms: LicenseTerms, details: FileDetails) -> dict[str, Any]:
    """Return the claims apart from the device and the digest of the comments."""
    claims = terms.claims()
    if details.order_id:
        claims["order"] = details.order_id
    if details.file_name is not None:
        claims["file"] = details.file_name
    return claims


def armoured(comments: str, payload: bytes, *, key: SigningKey, second: SecondSignature | None = None) -> str:
    """Return the text of a file; the same for the same arguments, as Ed25519 signs the same bytes the same way."""
    signatures = [_signature(_first_header(key, second), payload, key)]
    if second is not None:
        signatures.append({"protected": second_header(second.key_id), "signature": b64(second.value)})
    document = json.dumps({"payload": b64(payload), "signatures": signatures}, separators=(",", ":"))
    body = base64.b64encode(document.encode("ascii")).decode("ascii")
    lines = [body[start : start + _LINE] for start in range(0, len(body), _LINE)]
    return comments + "".join(f"{line}\n" for line in (_BEGIN, *lines, _END))


def _signature(header: str, payload: bytes, key: SigningKey) -> dict[str, str]:
    signature = key.private.sign(f"{header}.{b64(payload)}".encode("ascii"))
    return {"protected": header, "signature": b64(signature)}


def _first_header(key: SigningKey, second: SecondSignature | None) -> str:
    header = {"alg": "EdDSA", "kid": key.key_id, "typ": FILE_TYPE}
    if second is not None:
        entry = f"{second_header(second.key_id)}.{b64(second.value)}"  # its header too: nothing of it may be changed
        header["second"] = b64(hashlib.sha256(entry.encode("ascii")).digest())
    return encoded(header)


def comments_digest(comments: str) -> str:
    """Return what ``txt`` says of the comment block."""
    return b64(hashlib.sha256(comments.encode("utf-8")).digest())


def comment_lines(terms: LicenseTerms, details: FileDetails) -> str:
    """Return the comment block: what a person who opens the file wants to know; never a raw device fact."""
    return "".join(f"# {line}\n" if line else "#\n" for line in _lines(terms, details))


def _lines(terms: LicenseTerms, details: FileDetails) -> Iterator[str]:
    yield "License file / 许可证文件"
    yield ""
    for name, value in _facts(terms, details):
        if value:
            yield f"{name}: {_printable(value)}"
    yield ""
    yield "Any change to this file makes it invalid. / 请勿修改本文件，任何改动都会使其失效。"


def _facts(terms: LicenseTerms, details: FileDetails) -> Sequence[tuple[str, str]]:
    return (
        ("Product / 产品", terms.product_name or terms.product),
        ("License code / 授权码", terms.code),
        ("Device / 设备", details.device_name),
        ("Valid from / 有效期自", _later_beginning(terms)),
        ("Valid until / 有效期至", _moment(terms.ends_at) if terms.ends_at is not None else _NO_END),
        ("Updates until / 更新维护至", _moment(terms.maintenance_until) if terms.maintenance_until is not None else ""),
        ("Issued at / 签发时间", _moment(terms.issued_at)),
        ("Issuer / 签发方", terms.issuer),
        ("Kind / 类型", _kind(terms)),
    )


def _later_beginning(terms: LicenseTerms) -> str:
    """Return from when it counts, where that is not at once."""
    if terms.starts_at is None or seconds(terms.starts_at) <= seconds(terms.issued_at):
        return ""
    return _moment(terms.starts_at)


def _kind(terms: LicenseTerms) -> str:
    if terms.is_test:
        return "test license / 测试许可证"
    return "provisional / 临时许可证" if terms.is_provisional else ""


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _printable(text: str) -> str:
    """Return a name that can neither begin a line of its own nor turn the reading direction."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def is_safe_name(name: str) -> bool:
    """Whether a name can be given to a file on every system: no path, nothing invisible, no device of Windows."""
    stem = name.partition(".")[0].strip().upper()
    return (
        name.isprintable()
        and name == name.strip()
        and not name.endswith(".")
        and _FORBIDDEN.isdisjoint(name)
        and stem not in _DEVICES
    )


def content_disposition(file_name: str) -> str:
    """Return the header that names a download (RFC 6266): with what ASCII can say, and whole (RFC 8187)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in file_name)
    value = f'attachment; filename="{plain}"'
    return value if plain == file_name else f"{value}; filename*=UTF-8''{quote(file_name, safe='')}"


def content_digest(content: bytes) -> str:
    """Return the header by which a download is checked (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode('ascii')}:"
