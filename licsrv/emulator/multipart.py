"""Reads ``multipart/form-data`` bodies byte for byte (RFC 7578); pure. What the parts mean is not decided here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

MAX_PARTS = 20
_PARAMETER = re.compile(r';\s*([\w!#$&+.^`|~*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))')
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


@dataclass(frozen=True)
class Part:
    """One part of a form.

    Args:
        name: The field's name.
        file_name: Of a file part; None when none is given.
        content_type: As sent; empty when none is given.
        content: The exact bytes.
    """

    name: str
    file_name: str | None
    content_type: str
    content: bytes


def parse_form(content_type: str, body: bytes) -> list[Part]:
    """Return the parts of a form in their order.

    Raises:
        ValueError: It is no ``multipart/form-data``, or is cut, or a part has no name.
    """
    delimiter = b"\r\n--" + _boundary(content_type).encode()
    before, *parts = (b"\r\n" + body).split(delimiter)
    if before or not parts or not parts[-1].startswith(b"--"):
        raise ValueError("the form has no beginning or no end")
    if len(parts) > MAX_PARTS:
        raise ValueError("the form has too many parts")
    return [_part(part) for part in parts[:-1]]


def _boundary(content_type: str) -> str:
    kind, parameters = _header(content_type)
    boundary = parameters.get("boundary", "")
    if kind != "multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
        raise ValueError("the content type is not multipart/form-data with a boundary")
    return boundary


def _part(raw: bytes) -> Part:
    head, separator, content = raw.lstrip(b" \t").partition(b"\r\n\r\n")
    if not separator or not head.startswith(b"\r\n"):
        raise ValueError("a part has no header")
    headers = dict(_header_line(line) for line in head[2:].decode().split("\r\n"))
    disposition, parameters = _header(headers.get("content-disposition", ""))
    if disposition != "form-data" or "name" not in parameters:
        raise ValueError("a part has no name")
    return Part(
        parameters["name"],
        file_name=_file_name(parameters),
        content_type=headers.get("content-type", ""),
        content=content,
    )


def _header_line(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise ValueError("a part's header cannot be read")
    return name.strip().lower(), value.strip()


def _header(value: str) -> tuple[str, dict[str, str]]:
    kind = value.partition(";")[0].strip().lower()
    found = _PARAMETER.findall(value)
    return kind, {name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in found}


def _file_name(parameters: dict[str, str]) -> str | None:
    extended = parameters.get("filename*", "")
    if extended.lower().startswith("utf-8''"):
        return unquote(extended[7:], errors="strict")
    return parameters.get("filename")
