"""Carry the SDK's questions to ISCDesk and its events back, over HTTP on this computer; believe nothing.

How the SDK talks to the real ISCDesk was not found (GAP, protocol/online-license-and-sdk.md §10); this is the interface
that the marketplace emulator serves in its place. ISCDesk answers a question with "accepted" at once; what comes of it
arrives as an event, in order and numbered, through a question that ISCDesk leaves open until something happens.

Safe to use from several threads. The errors are those of ``connection``.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import httpx2

from client_stub.session import problems
from client_stub.session.configuration import Configuration
from client_stub.session.connection import Connection, RefusedError, Route, TransportError, UnansweredError
from client_stub.session.events import LicenseType
from client_stub.session.problems import Problem
from client_stub.trust.armour import MAXIMUM_BYTES

LONGEST_WAIT = 20
"""Seconds for which ISCDesk leaves a question for events open."""
_MAXIMUM_ANSWER_BYTES = 2 * 1024 * 1024
_MARGIN = 5.0


@dataclass(frozen=True)
class IscdeskEvent:
    """Something that happened. ``file`` holds a license file's bytes, None when there is none (or it is damaged)."""

    number: int
    event: str
    text: str
    file: bytes | None


class IscdeskTransport:
    """One running program's connection to ISCDesk; a session is opened when one is needed.

    Args:
        configuration: Where ISCDesk is, which instance (``code``), and which program.
        transport: Another way below HTTP, for tests.
        wait: Seconds for which a question for events may stay open, 20 at most.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        transport: httpx2.BaseTransport | None = None,
        wait: int = LONGEST_WAIT,
    ) -> None:
        self._configuration = configuration
        self._wait = min(wait, LONGEST_WAIT)
        route = Route(configuration.iscdesk_url, configuration.request_timeout)
        self._connection = Connection(route, transport=transport)
        self._lock = threading.Lock()
        self._session = ""
        self._after = 0
        self._is_left = False

    def apply(self, kind: LicenseType, device_info: str, file_name: str) -> None:
        """Apply for a license; an event follows when the merchant has decided.

        Raises:
            TransportError: Refused, or not answered.
        """
        self._send("licenses", {"kind": kind.word, "device_info": device_info, "file_name": file_name})

    def offer_after_trial(self, kind: LicenseType, device_info: str, file_name: str) -> None:
        """Have ISCDesk ask the user whether to apply, because the trial is over.

        Raises:
            TransportError: Refused, or not answered.
        """
        self._send("trial-expirations", {"kind": kind.word, "device_info": device_info, "file_name": file_name})

    def report_verdict(self, *, is_accepted: bool, message: str) -> None:
        """Pass on what the program thinks of the license.

        Raises:
            TransportError: Refused, or not answered.
        """
        self._send("verdicts", {"result": is_accepted, "error": message})

    def check_versions(self) -> None:
        """Ask for a newer version; events follow.

        Raises:
            TransportError: Refused, or not answered.
        """
        self._send("version-checks", {})

    def answer_upgrade(self, *, is_wanted: bool) -> None:
        """Say whether the program wants the upgrade that was offered.

        Raises:
            TransportError: Refused, or not answered.
        """
        self._send("upgrades", {"upgrade": is_wanted})

    def next_events(self) -> list[IscdeskEvent]:
        """Return what has happened since the last call, in order; waits until something does, or comes back empty.

        A session that ISCDesk has forgotten is opened again by the next call. Called from one thread only.

        Raises:
            TransportError: Refused, or not answered.
        """
        session = self._opened()
        path = f"/iscdesk/sessions/{quote(session, safe='')}/events?after={self._after}&wait={self._wait}"
        answer = self._ask("GET", path, timeout=self._wait + _MARGIN)
        listed = answer.get("events")
        read = [_read_event(entry) for entry in listed] if isinstance(listed, list) else []
        events = sorted((event for event in read if event and event.number > self._after), key=lambda one: one.number)
        if events and session == self._session:
            self._after = events[-1].number
        return events

    def leave(self) -> None:
        """End the session for good, so that ISCDesk closes the question that is open. Never raises."""
        with self._lock:
            session, self._session, self._is_left = self._session, "", True
        if session:
            try:
                self._connection.exchange("DELETE", f"/iscdesk/sessions/{quote(session, safe='')}")
            except TransportError:
                return  # it finds out by itself

    def close(self) -> None:
        """Give connections back. Calls after this fail as unanswered."""
        self._connection.close()

    def _send(self, what: str, body: Mapping[str, object]) -> None:
        self._ask("POST", f"/iscdesk/sessions/{quote(self._opened(), safe='')}/{what}", body)

    def _opened(self) -> str:
        with self._lock:
            if self._is_left:
                raise UnansweredError(_unreachable())
            if not self._session:
                self._session, self._after = self._open(), 0
            return self._session

    def _open(self) -> str:
        known = self._configuration
        application = known.product or known.client_name or "application"
        body = {"instance_id": known.code, "application": application, "version": known.client_version or "0"}
        session = self._ask("POST", "/iscdesk/sessions", body).get("session")
        if not isinstance(session, str) or not session:
            raise UnansweredError(_unexpected(201))
        return session

    def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, timeout: float | None = None
    ) -> Mapping[str, object]:
        try:
            response, raw = self._connection.exchange(
                method, path, body, maximum=_MAXIMUM_ANSWER_BYTES, timeout=timeout
            )
        except UnansweredError as error:
            raise UnansweredError(_unreachable()) from error
        answer = _object(raw)
        if 200 <= response.status_code < 300:
            return answer
        if response.status_code == 404 and path != "/iscdesk/sessions":
            self._forget()
            raise UnansweredError(_unexpected(404))
        raise _refusal(response.status_code, answer)

    def _forget(self) -> None:
        with self._lock:
            self._session = ""


def _read_event(entry: object) -> IscdeskEvent | None:
    if not isinstance(entry, dict):
        return None
    number, event, text = entry.get("number"), entry.get("event"), entry.get("text")
    if type(number) is not int or not isinstance(event, str) or not isinstance(text, str):
        return None
    return IscdeskEvent(number, event, text, file=_read_content(entry.get("file")))


def _read_content(file: object) -> bytes | None:
    content = file.get("content") if isinstance(file, dict) else None
    if not isinstance(content, str) or len(content) > 2 * MAXIMUM_BYTES:
        return None
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None


def _object(raw: bytes) -> Mapping[str, object]:
    try:
        answer = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(status: int, answer: Mapping[str, object]) -> TransportError:
    sentence = answer.get("error")
    if isinstance(sentence, str) and 400 <= status < 500:
        action = "Check which instance this program was started for, and its order at the marketplace."
        return RefusedError(Problem(problems.ISCDESK_REFUSED, sentence, action, status=status))
    return UnansweredError(_unexpected(status))


def _unreachable() -> Problem:
    return Problem(
        problems.ISCDESK_UNREACHABLE, "ISCDesk cannot be reached.", "Start ISCDesk, and start the program from there."
    )


def _unexpected(status: int) -> Problem:
    return Problem(
        problems.ISCDESK_UNREACHABLE,
        f"ISCDesk did not answer as expected (HTTP {status}).",
        "Start ISCDesk again, and start the program from there.",
        status=status,
    )
