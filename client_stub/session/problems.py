"""A refusal or a failure as a value: what the server said (RFC 9457), or what went wrong on the way to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from client_stub.trust import refusals, tokens
from client_stub.trust.errors import VerificationError
from client_stub.trust.verdict import Verdict

SERVER_UNREACHABLE = "SERVER_UNREACHABLE"
SERVER_NOT_TRUSTED = "SERVER_NOT_TRUSTED"
CERTIFICATE_NOT_VALID_NOW = "CERTIFICATE_NOT_VALID_NOW"
PROXY_UNREACHABLE = "PROXY_UNREACHABLE"
STORE_NOT_WRITTEN = "STORE_NOT_WRITTEN"
NO_INSTALL_IDENTITY = "NO_INSTALL_IDENTITY"
STORE_OF_ANOTHER_COMPUTER = "STORE_OF_ANOTHER_COMPUTER"
UNEXPECTED_ANSWER = "UNEXPECTED_ANSWER"
INTERNAL_ERROR = "INTERNAL_ERROR"
DAMAGED_ON_THE_WAY = "DAMAGED_ON_THE_WAY"
FILE_NOT_WRITTEN = "FILE_NOT_WRITTEN"
NO_LICENSE_STRING = "NO_LICENSE_STRING"
NOT_AVAILABLE = "NOT_AVAILABLE"
VERSION_NOT_SET = "VERSION_NOT_SET"
ISCDESK_UNREACHABLE = "ISCDESK_UNREACHABLE"
ISCDESK_REFUSED = "ISCDESK_REFUSED"
LICENSE_NOT_GRANTED = "LICENSE_NOT_GRANTED"
ROLLED_BACK = "ROLLED_BACK"
NEEDS_FULL = "NEEDS_FULL"
NO_SEAT = "NO_SEAT"

_WITHOUT_WORDS = "The license server did not do what was asked, and does not say why."
_LONGEST_SHOWN = 2000
_KNOWN_MEMBERS = {"type", "title", "status", "detail", "code", "action", "request_id"}


@dataclass(frozen=True)
class Problem:
    """Why something was not done.

    Attributes:
        code: Stable, upper snake case: the server's (``DEVICE_LIMIT_REACHED``), a ``VerificationError``'s, or one of
            the constants of this module.
        sentence: For the person.
        action: What the person can do; may be empty.
        status: The HTTP status, 0 when there was no answer.
        request_id: What support asks for; may be empty.
        details: Whatever else the server said, such as the parts of a device that differ.
    """

    code: str
    sentence: str
    action: str = ""
    status: int = 0
    request_id: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


UNREACHABLE = Problem(
    SERVER_UNREACHABLE,
    "The license server cannot be reached.",
    "Check the network connection; if only the license server is missing, try again later.",
)
NOT_TRUSTED = Problem(
    SERVER_NOT_TRUSTED,
    "The certificate of the license server comes from an authority that this computer does not trust.",
    "Ask the administrator of this network which authority signs its connections, and set it as ca_file.",
)
CERTIFICATE_NOT_IN_TIME = Problem(
    CERTIFICATE_NOT_VALID_NOW,
    "The certificate of the license server is not valid at the time that this computer's clock shows.",
    "Check date, time and time zone of this computer; if they are right, inform the vendor's support.",
)
PROXY_FAILED = Problem(
    PROXY_UNREACHABLE,
    "The proxy between this computer and the license server cannot be reached, or refuses the connection.",
    "Check the proxy in the system's settings or the environment (HTTPS_PROXY), or set proxy.",
)
NOT_STORED = Problem(
    STORE_NOT_WRITTEN,
    "The license could not be stored on this computer, so the next start needs the network.",
    "Check the free space, and the permissions of the folder for program data.",
)
NO_STORE = Problem(
    STORE_NOT_WRITTEN,
    "This user has no folder for program data, so nothing is remembered and every start needs the network.",
    "Set store_path to a file that this user can write.",
)
NO_IDENTITY = Problem(
    NO_INSTALL_IDENTITY,
    "This computer has nothing of its own to bind a license to, and no identity of this installation could be kept.",
    "Let the program write to the folder of its store (store_path), and keep that folder when a container is replaced.",
)
COPIED_IDENTITY = Problem(
    STORE_OF_ANOTHER_COMPUTER,
    "The folder of the license was copied from another computer, so this computer counts as a new one.",
    "If it takes the other one's place, give that place back, or ask the vendor's support to do so.",
)
NO_STRING = Problem(
    NO_LICENSE_STRING,
    "The license in use is a file; there is no license string to check in with.",
    "Nothing, if this computer works offline; else connect it to the network.",
)
NO_SEAT_HELD = Problem(
    NO_SEAT, "This program has no seat of the license.", "Check a seat out first; that needs the network."
)
NO_SERVER = Problem(
    NOT_AVAILABLE,
    "This program does not know the license server, which seats and places are asked of.",
    "Set server_url in the configuration.",
)
NO_FILE = Problem(NOT_AVAILABLE, "There is no license file on this computer yet.", "Ask again with network.")
NO_VERSION = Problem(
    VERSION_NOT_SET,
    "The program does not say which product and version it is, so it cannot ask for a newer one.",
    "Set product and client_version in the configuration.",
)
NOT_IN_THE_CLOUD = Problem(
    NOT_AVAILABLE,
    "Files and computing in the cloud are not available here.",
    "Open and save the file on this computer.",
)
NOT_WRITTEN = Problem(
    FILE_NOT_WRITTEN,
    "The license file could not be written where the program asked for it.",
    "Look at the folder's permissions and at the free space, then ask again.",
)

RESET_NOT_READ = Problem(
    NOT_AVAILABLE,
    "The clock reset cannot be read.",
    "Check the path of the file, and ask for it again if it is damaged.",
)
LIST_IS_OLDER = Problem(
    ROLLED_BACK,
    "The revocation list is older than the one that is here already; it was not used.",
    "Carry the newest list to this computer.",
)
LIST_IS_INCOMPLETE = Problem(
    NEEDS_FULL,
    "The file holds what has changed since another revocation list than the one that is here; it was not used.",
    "Carry the whole list to this computer.",
)


def unexpected(status: int) -> Problem:
    """Return the problem of an answer that does not come from a license server."""
    return Problem(
        UNEXPECTED_ANSWER,
        f"Something else than the license server answered (HTTP {status}).",
        "Check whether this network asks for a log-in, or ask its administrator about a proxy.",
        status=status,
    )


def from_error(error: VerificationError) -> Problem:
    """Turn a failed verification into a problem."""
    return Problem(error.code, str(error), error.action)


def from_verdict(verdict: Verdict) -> Problem:
    """Turn a verdict that denies into a problem."""
    return Problem(verdict.reason.value, verdict.sentence, verdict.action)


def from_answer(status: int, content_type: str, body: bytes) -> Problem | None:
    """Read a problem document, or return None when the answer is something else, such as a proxy's page."""
    if not refusals.is_problem_document(content_type):
        return None
    try:
        document = json.loads(body, object_pairs_hook=tokens.without_doubles)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not _text(document, "code"):
        return None
    return Problem(
        code=document["code"],
        sentence=_text(document, "detail") or _text(document, "title") or _WITHOUT_WORDS,
        action=_text(document, "action"),
        status=status,
        request_id=_text(document, "request_id"),
        details={name: value for name, value in document.items() if name not in _KNOWN_MEMBERS},
    )


def _text(document: Mapping[str, object], member: str) -> str:
    """Return what can be shown: a lone surrogate breaks the program that prints it, and a terminal obeys controls."""
    value = document.get(member)
    if not isinstance(value, str):
        return ""
    shown = "".join(letter if letter.isprintable() else " " for letter in value[:_LONGEST_SHOWN])
    return shown.strip()
