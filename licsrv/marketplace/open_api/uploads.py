"""The body of a license's upload: ``multipart/form-data`` as the only printed example has it (online §5.2).

It sends nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import httpx2

CHARACTERS = "CHARACTERS"
FILE = "FILE"
_JSON_PART = "isvUpdateFileReq"


@dataclass(frozen=True, slots=True)
class Upload:
    """A license on its way to the marketplace: as characters, or as a file where ``file_name`` is given."""

    text: str
    file_name: str | None = None


def encode(upload: Upload) -> tuple[bytes, str]:
    """Return the body and its content type.

    GAP: characters have no printed example; they travel as the JSON part alone.
    """
    parts: list[tuple[str, Any]] = []
    if upload.file_name is None:
        fields: dict[str, str] = {"type": CHARACTERS, "characters": upload.text}
    else:
        content = upload.text.encode("utf-8")
        parts.append(("file", (upload.file_name, content, "multipart/form-data")))
        fields = {"type": FILE, "file_name": upload.file_name, "sha256": hashlib.sha256(content).hexdigest()}
    document = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    parts.append((_JSON_PART, (None, document, "application/json")))
    request = httpx2.Request("POST", "https://multipart.invalid/", files=parts)
    return request.read(), request.headers["content-type"]
