"""Reads the upload of a license: one JSON part with the scalar fields, and for a file a part with its bytes; pure.

Taken from the only published example: the fields travel as one JSON part ``isvUpdateFileReq``; ``file_name`` may be
missing there (the file part's own name is used), ``characters`` may be left out or be surplus for a file.

Source: protocol/online-license-and-sdk.md §5.2.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from licsrv.emulator.errors import OpenApiRefusedError
from licsrv.emulator.json_text import parse_object
from licsrv.emulator.multipart import Part, parse_form
from licsrv.emulator.open_api_codes import CommerceCode
from licsrv.emulator.product_line import Call

FIELDS_PART = "isvUpdateFileReq"
FILE_PART = "file"
LONGEST = 1024


class UploadType(StrEnum):
    """The two forms of a license on its way to the marketplace."""

    CHARACTERS = "CHARACTERS"
    FILE = "FILE"


@dataclass(frozen=True)
class Upload:
    """A license that was uploaded.

    Args:
        type: Its form.
        content: The string in UTF-8, or the bytes of the file.
        file_name: Of a file.
        sha256: Lower-case hex over the content.
    """

    type: UploadType
    content: bytes
    file_name: str | None
    sha256: str


def read_upload(call: Call) -> Upload:
    """Read the form.

    Raises:
        OpenApiRefusedError: A part or field is missing, doubled or too long (CBC.0101); the string is empty, or the
            file is not what its digest says (91381037).
    """
    try:
        parts = parse_form(call.content_type, call.content)
        given = parse_object(_only(parts, FIELDS_PART).content)
        fields = {name: value for name, value in given.items() if value is not None}
        chosen = UploadType(_text(fields, "type"))
        return _characters(fields) if chosen is UploadType.CHARACTERS else _file(fields, _only(parts, FILE_PART))
    except ValueError as error:
        raise OpenApiRefusedError(CommerceCode.PARAMETER_INVALID, str(error)) from error


def _characters(fields: Mapping[str, object]) -> Upload:
    content = _text(fields, "characters").encode()
    if not content.strip():
        raise OpenApiRefusedError(CommerceCode.LICENSE_FORMAT_INVALID, "characters is empty")
    return Upload(UploadType.CHARACTERS, content, file_name=None, sha256=hashlib.sha256(content).hexdigest())


def _file(fields: Mapping[str, object], part: Part) -> Upload:
    name = _text({"file_name": part.file_name or "", **fields}, "file_name")
    digest, declared = hashlib.sha256(part.content).hexdigest(), _text(fields, "sha256")
    if not name:
        raise ValueError("file_name is missing")
    if not hmac.compare_digest(digest.encode(), declared.lower().encode()):
        raise OpenApiRefusedError(CommerceCode.LICENSE_FORMAT_INVALID, "sha256 is not that of the file")
    return Upload(UploadType.FILE, part.content, file_name=name, sha256=digest)


def _only(parts: Sequence[Part], name: str) -> Part:
    found = [part for part in parts if part.name == name]
    if len(found) != 1:
        raise ValueError(f"there must be exactly one part {name}")
    return found[0]


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or len(value) > LONGEST:
        raise ValueError(f"{name} must be a text of at most {LONGEST} characters")
    return value
