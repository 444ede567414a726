"""Read the envelope of an open API answer and say what its ``error_code`` means (protocol §2.1, §3, §8).

Pure. It knows the codes; which host is asked, and how often, is the client's and the outbox's part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from licsrv.errors import MarketplaceAuthenticationError, MarketplaceRefusedError, MarketplaceUnansweredError
from licsrv.platform.strict_json import MalformedJsonError, loads_object

SUCCESS = "92020000"
_SUCCESSES = frozenset({SUCCESS, "CBC.0000"})
INTERNAL_ERROR = "92020001"
INVALID_PARAMETER = "92020002"
ILLEGAL_STATE = "92020003"
NOT_RECEIVED = "92020004"
UNKNOWN_LICENSE = "92020005"
NOT_ACTIVATED = "92020011"
INVALID_LICENSE_IN_BATCH = "92020020"

REFUSALS = {
    INVALID_PARAMETER: "a parameter is invalid",
    ILLEGAL_STATE: "the code is in a state that does not allow this; an activated code cannot be activated again",
    NOT_RECEIVED: "the buyer has not received the code yet",
    UNKNOWN_LICENSE: "the code does not exist",
    NOT_ACTIVATED: "the code has not been activated",
    INVALID_LICENSE_IN_BATCH: "one of the codes is invalid",
    "95000001": "a parameter breaks its rule",
    "95000002": "the HTTP method is not supported",
    "95000003": "the content type is not application/json",
    "95000004": "the body is not readable as JSON",
    "CBC.0100": "the input is out of range or malformed",
    "CBC.0101": "a parameter is missing, wrong or one too many",
    "CBC.0150": "this is not allowed, as for a product of another seller",
    "CBC.0199": "a parameter breaks its rule",
    "91381033": "the license resource is not available",
    "91381034": "the application for a license is not valid",
    "91381035": "the period of the license has no amount left",
    "91381037": "the form of the license is invalid",
    "91381038": "the application for a license was denied",
    "91380150": "the account has not the role for this",
}
"""The documented codes that mean no, until something changes on either side (§3.1; online §5.2, §5.3).

CBC.0150 is printed as "authentication failed" too, but the gateway has checked the key pair before: it does not count
towards the lock of the pair.
"""
_REFUSED_ACCOUNT = frozenset({"CBC.0151", "CBC.0154"})  # no authority, illegal token (online §5.3)

MAX_ANSWER_BYTES = 1024 * 1024

_GATEWAY_PREFIX = "APIG"  # APIG.0301 and APIGW.0301 are both in print
_AUTHENTICATION_SUFFIXES = (".0301", ".0303")
_LOCKED = "failed to reach the limit"  # "AK access failed to reach the limit,forbidden." (§3.2)
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_OTHER_FAMILY, _FAMILY = "MKT.", "CBC."
_BLANKS = re.compile(r"^\s+|\s+$|(?<=\.)\s+")  # "MKT. 0250" is in print
_CODE = re.compile(r"[!-~]{1,64}")  # 16 by the table; new ones may be longer, and are stored
_NOT_ONE_LINE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_SHOWN_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every answer has (§2.1), and the whole of it in ``members``; unknown members are let through."""

    error_code: str
    error_msg: str
    data: object
    members: dict[str, object]


def read_envelope(body: bytes) -> Envelope | None:
    """Recognise an answer by its ``error_code``; ``None`` for anything else, such as a proxy's error page.

    Order query says ``resultCode`` and ``resultMsg`` for the same (online §5.3).
    """
    try:
        members = loads_object(body, max_depth=32, max_bytes=MAX_ANSWER_BYTES)
    except MalformedJsonError:
        return None
    code = members.get("error_code", members.get("resultCode"))
    if isinstance(code, int) and not isinstance(code, bool):
        code = str(code)  # the table says String; a number cannot mean anything else
    if not isinstance(code, str) or not _CODE.fullmatch(code := _BLANKS.sub("", code)):
        return None
    message = members.get("error_msg", members.get("resultMsg"))
    return Envelope(code, message if isinstance(message, str) else "", members.get("data"), members=members)


def check(envelope: Envelope, *, http_status: int) -> None:
    """Return when the answer is a success, raise what it means otherwise.

    The code decides, whatever the HTTP status: business errors came with 200 and with 4xx (§8). A code that is not
    documented is "other error" (§2.7 c) and counts as unanswered, so that it is asked again.

    Raises:
        MarketplaceRefusedError: A documented no.
        MarketplaceAuthenticationError: The key pair is not accepted, or is locked.
        MarketplaceUnansweredError: An internal error, a gateway failure, or an undocumented code.
    """
    code, meaning = envelope.error_code, family_of(envelope.error_code)
    if meaning in _SUCCESSES:
        return
    if meaning in REFUSALS:
        raise MarketplaceRefusedError(f"The marketplace refused ({code}): {REFUSALS[meaning]}.", error_code=code)
    if is_authentication_failure(code, http_status):
        message = f"The marketplace does not accept our key pair ({_described(envelope)})."
        raise MarketplaceAuthenticationError(message, error_code=code, locked=_LOCKED in envelope.error_msg.lower())
    raise MarketplaceUnansweredError(
        f"The marketplace could not answer ({_described(envelope)}).",
        error_code=code,
        is_outage=http_status >= _SERVER_ERROR or code == INTERNAL_ERROR,
    )


def family_of(code: str) -> str:
    """Return the code whose meaning this one has: the same tables are printed with ``CBC.`` and with ``MKT.``."""
    code = code.upper()
    return _FAMILY + code.removeprefix(_OTHER_FAMILY) if code.startswith(_OTHER_FAMILY) else code


def is_outage(http_status: int) -> bool:
    """Say whether an answer that cannot be read is the marketplace's own failure: a 5xx, or a damaged success.

    A 4xx (429 above all) answers this request, and a caller who sends many requests can provoke it.
    """
    return http_status >= _SERVER_ERROR or http_status < _CLIENT_ERROR


def is_authentication_failure(code: str, http_status: int) -> bool:
    """Say whether the code means that the key pair is not accepted.

    92020001 is "internal error" in the current table and "Unauthorized" with HTTP 403 in the older one (§3.1). GAP:
    the failure example of activate starts with HTTP 401 and breaks off, so 401 is read like 403.
    """
    denied = http_status in {_UNAUTHORIZED, _FORBIDDEN}
    if code.startswith(_GATEWAY_PREFIX):
        return denied or code.endswith(_AUTHENTICATION_SUFFIXES)
    return family_of(code) in _REFUSED_ACCOUNT or (denied and code == INTERNAL_ERROR)


def _described(envelope: Envelope) -> str:
    """One printable line: the gateway may echo whole requests (§3.2)."""
    message = one_line(envelope.error_msg)
    return f"{envelope.error_code}: {message}" if message else envelope.error_code


def one_line(text: str) -> str:
    """Shorten foreign text to one printable line for messages and logs."""
    line = _NOT_ONE_LINE.sub(" ", text).strip()
    return line if len(line) <= _SHOWN_LENGTH else line[:_SHOWN_LENGTH] + "..."
