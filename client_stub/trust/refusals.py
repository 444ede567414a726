"""Which unsigned answers count as a refusal: a problem document of the license server with a code of a closed list.

Three witnesses: ``tests/vectors/refusals.json`` binds the server's codes, this client and clients to come. Do not
replace this module by an import.

Pure. Gateways, proxies and portals answer 4xx too, and so does the server itself when a path was cut or a body was
changed on the way. None of that says anything about a license, so it is no answer: the program continues with what
is signed. A code that a later server adds is no answer either, until the client knows it.
"""

from __future__ import annotations

MEDIA_TYPE = "application/problem+json"
CODES = frozenset(
    {
        "LICENSE_NOT_FOUND",
        "LICENSE_NOT_RECEIVED",
        "LICENSE_EXPIRED",
        "LICENSE_FROZEN",
        "LICENSE_REVOKED",
        "LICENSE_RELEASED",
        "DEVICE_LIMIT_REACHED",
        "DEVICE_MISMATCH",
        "DEVICE_NOT_ALLOWED",
    }
)
SEAT_CODES = frozenset(
    {
        "NOT_FLOATING",
        "NO_SEAT_FREE",
        "SEAT_NOT_FOUND",
        "SEAT_ENDED",
        "SEAT_BORROWED",
        "BORROW_TOO_LONG",
        "BORROW_LIMIT_REACHED",
    }
)
"""What refuses a question about a seat, and no license: a seat that is held counts until its signed end."""
MOVE_CODES = frozenset({"MOVE_LIMIT_REACHED", "MOVE_NOT_ALLOWED"})
"""What refuses to move a place, and no license."""
ALL_CODES = CODES | SEAT_CODES | MOVE_CODES
_TRY_AGAIN_STATUSES = frozenset({408, 425, 429})


def is_problem_document(content_type: str) -> bool:
    """Return True when the header ``Content-Type`` names a problem document (RFC 9457 §3)."""
    return content_type.partition(";")[0].strip().lower() == MEDIA_TYPE


def is_refusal(status: int, content_type: str, code: str, *, codes: frozenset[str] = CODES) -> bool:
    """Return True when the license server refuses with a code of a closed list.

    With the list of licenses and devices, the usual one, the program has to stop.
    """
    if not 400 <= status < 500 or status in _TRY_AGAIN_STATUSES:
        return False
    return is_problem_document(content_type) and code in codes
