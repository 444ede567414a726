"""Take a license file's text apart: comments for people, and the base64 between its BEGIN and END lines.

Pure. Knows nothing about what is inside: that is ``license_files``. Strict to the byte, because what one
verifier overlooks another reads differently: LF only, no byte order mark, full lines, nothing before, between or after.

::

    # Comment lines begin with "# " or are exactly "#".
    -----BEGIN LICENSE-----
    <base64 in lines of exactly 64 characters; the last one may be shorter>
    -----END LICENSE-----
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from client_stub.trust.errors import MalformedError, UnreadableFileError

MAXIMUM_BYTES = 64 * 1024
LINE_CHARACTERS = 64
_BEGIN = b"-----BEGIN LICENSE-----"
_END = b"-----END LICENSE-----"
_MARK = b"BEGIN LICENSE"
_STRING, _STRING_DOTS = b"eyJ", 2  # how every signed string begins, and what separates its parts


@dataclass(frozen=True)
class ArmouredText:
    """What a license file holds: all bytes before its BEGIN line, and the decoded bytes of its base64."""

    comment: bytes
    content: bytes


def open_armour(raw: bytes) -> ArmouredText:
    """Take the text of a license file apart.

    A text that fails but has a BEGIN mark, in UTF-16 as well, was a license file before it was changed on its way.

    1. At most 64 KiB; looked at before anything else, so that garbage costs nothing.
    2. UTF-8 with LF line ends; the last line ends too.
    3. Comment lines, then the BEGIN line, at least one line of base64, and the END line as the very last.
    4. Lines of 64 characters, and the one canonical base64 of their bytes.

    Raises:
        UnreadableFileError: A step after the first fails, and there is a BEGIN mark.
        MalformedError: The first step that fails; never another exception, whatever the bytes are.
    """
    if len(raw) > MAXIMUM_BYTES:  # 1
        raise MalformedError(f"The file is larger than {MAXIMUM_BYTES} bytes.")
    try:
        return _open(raw)
    except MalformedError as error:
        if _MARK in raw.replace(b"\0", b""):
            raise UnreadableFileError(f"The license file was changed on its way here. {error}") from error
        raise


def _open(raw: bytes) -> ArmouredText:
    if raw.startswith(_STRING) and raw.count(b".") == _STRING_DOTS:
        raise MalformedError("This is a license string or a lease, not a license file.")
    lines = _lines(raw)  # 2
    begin = next((number for number, line in enumerate(lines) if not _is_comment(line)), len(lines))  # 3
    if lines[begin : begin + 1] != [_BEGIN] or lines[-1] != _END or len(lines) < begin + 3:
        raise MalformedError("The file is not comment lines and one license between its BEGIN and END lines.")
    comment = b"".join(line + b"\n" for line in lines[:begin])
    return ArmouredText(comment, _decode(lines[begin + 1 : -1]))  # 4


def _lines(raw: bytes) -> list[bytes]:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("The file is not UTF-8.") from error
    *lines, rest = raw.split(b"\n")
    if rest or not lines or b"\r" in raw:
        raise MalformedError("The file does not consist of whole lines that end in LF.")
    return lines


def _is_comment(line: bytes) -> bool:
    return line == b"#" or line.startswith(b"# ")


def _decode(lines: list[bytes]) -> bytes:
    full, last = lines[:-1], lines[-1]
    if any(len(line) != LINE_CHARACTERS for line in full) or not 0 < len(last) <= LINE_CHARACTERS:
        raise MalformedError(f"The license is not in lines of {LINE_CHARACTERS} characters.")
    text = b"".join(lines)
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("The license is not base64.") from error
    if base64.b64encode(content) != text:
        raise MalformedError("The license is not the canonical base64 of its bytes.")
    return content
