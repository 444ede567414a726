"""Carry questions to licsrv and answers back, straight over HTTPS; believe nothing.

Every answer becomes a value or one of two errors: ``RefusedError`` for a refusal (``trust.refusals`` says which answers
are one), ``UnansweredError`` for everything else: no connection, a time-out, a 5xx, 429, a gateway's 403, a proxy's
log-in page, an answer that makes no sense. What a value is worth is decided where its signature is verified.

The keys that the program believes are pinned in it; ``fetch_keys_for_development`` exists for the bench only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

import httpx2

from client_stub.machine.clock import Clock, SystemClock
from client_stub.session import problems
from client_stub.session.configuration import Configuration, check_server_url
from client_stub.session.connection import Connection, RefusedError, Route, TransportError, UnansweredError
from client_stub.session.problems import Problem
from client_stub.trust import refusals, tokens
from client_stub.trust.revocations import MAXIMUM_CHARACTERS

MAXIMUM_LIST_BYTES = MAXIMUM_CHARACTERS
LONGEST_RETRY_AFTER = timedelta(days=1)
LONGEST_FOREIGN_WAIT = timedelta(seconds=90)
"""How long a gateway or a portal can put the next question off, which is not the license server."""
_PLAIN_TIMEOUT = timedelta(seconds=5)
_SHA256_DIGEST = re.compile(r"(?:^|[,\s])sha-256=:([A-Za-z0-9+/=]*):")


@dataclass(frozen=True)
class IssuedString:
    """The answer to a request for a license string, not verified; ``refresh_after`` is a hint, None if unreadable."""

    license_string: str
    refresh_after: datetime | None


@dataclass(frozen=True)
class FetchedList:
    """A revocation list, not verified, and the name of this very answer for the next question."""

    text: bytes
    etag: str


@dataclass(frozen=True)
class VersionQuestion:
    """Which program asks for a newer version of itself, and the random that the signed answer has to carry."""

    product: str
    version: str
    channel: str
    platform: str
    nonce: str


@dataclass(frozen=True)
class VersionAnswer:
    """Whether there is one; the manifest is not verified, and the notes (by language) are not signed."""

    is_available: bool
    manifest: str
    notes: Mapping[str, str]


class Transport(Protocol):
    """A way to the license server. With ISCDesk licenses come through it, and this is for check-ins only."""

    def request_license(self, device_info: str, nonce: str, *, move_from: str = "") -> IssuedString:
        """Ask for a license string for this device; ``move_from`` is the device whose place it takes, or empty.

        Raises:
            TransportError: Refused, or not answered.
        """
        ...

    def request_license_file(self, device_info: str, nonce: str, file_name: str, *, move_from: str = "") -> bytes:
        """Ask for a license file for this device; ``file_name`` is the name that it will have, or empty.

        Raises:
            TransportError: Refused, or not answered.
        """
        ...

    def fetch_revocations(self, since: int, etag: str) -> FetchedList | None:
        """Fetch what has changed since list number ``since`` (0: all); None when nothing has since ``etag``.

        Raises:
            TransportError: Refused, or not answered.
        """
        ...

    def check_version(self, question: VersionQuestion, license_string: str) -> VersionAnswer:
        """Ask for a newer version; ``license_string`` may be empty.

        Raises:
            TransportError: Refused, or not answered.
        """
        ...

    def send_heartbeat(self, license_string: str, device_info: str, nonce: str, *, link: str = "") -> str:
        """Check in, and return the text of the lease; ``link`` is that of the newest lease that is kept.

        Raises:
            TransportError: Refused, or not answered.
        """
        ...

    def ask(self, question: str, license_string: str, body: Mapping[str, object]) -> Mapping[str, object]:
        """Ask about seats or devices of the license that the string belongs to; ``question`` is the end of the path.

        Raises:
            TransportError: Refused, or not answered.
        """
        ...

    def close(self) -> None:
        """Give connections back. Calls after this fail as unanswered."""
        ...


class DirectTransport:
    """Straight to licsrv. Safe to use from several threads.

    Args:
        configuration: Where to, with which code, as which client.
        transport: Another way below HTTP, for tests.
        clock: Reads dates in ``Retry-After`` against its time.
    """

    def __init__(
        self, configuration: Configuration, *, transport: httpx2.BaseTransport | None = None, clock: Clock | None = None
    ) -> None:
        self._configuration = configuration
        self._clock = clock or SystemClock()
        self._connection = Connection(
            Route(
                configuration.server_url,
                configuration.request_timeout,
                configuration.ca_file,
                proxy=configuration.proxy,
            ),
            transport=transport,
            monotonic=self._clock.monotonic,
        )

    def request_license(self, device_info: str, nonce: str, *, move_from: str = "") -> IssuedString:
        """Ask for a license string for this device (``POST /v1/licenses/string``).

        Raises:
            TransportError: Refused, or not answered.
        """
        answer = self._post("/v1/licenses/string", self._wish(device_info, nonce, move_from))
        return IssuedString(_member(answer, "license_string"), _moment(answer.get("refresh_after")))

    def request_license_file(self, device_info: str, nonce: str, file_name: str, *, move_from: str = "") -> bytes:
        """Ask for a license file for this device (``POST /v1/licenses/file``).

        Raises:
            TransportError: Refused, not answered, or damaged on the way (``Content-Digest``, RFC 9530).
        """
        body = self._wish(device_info, nonce, move_from)
        response, raw = self._connection.exchange(
            "POST", "/v1/licenses/file", body | ({"file_name": file_name} if file_name else {})
        )
        if response.status_code != 200:
            raise _failure(response, raw, now=self._clock.now())
        _check_digest(response, raw)
        return raw

    def fetch_revocations(self, since: int, etag: str) -> FetchedList | None:
        """Fetch the revocation list, or what has changed since number ``since`` (``GET /v1/revocations``).

        Raises:
            TransportError: Refused, or not answered.
        """
        path = f"/v1/revocations?since={since}" if since else "/v1/revocations"
        headers = {"If-None-Match": etag} if etag else None
        response, raw = self._connection.exchange("GET", path, headers=headers, maximum=MAXIMUM_LIST_BYTES)
        if response.status_code == 304 and etag:
            return None
        if response.status_code != 200:
            raise _failure(response, raw, now=self._clock.now())
        return FetchedList(raw, response.headers.get("ETag", ""))

    def check_version(self, question: VersionQuestion, license_string: str) -> VersionAnswer:
        """Ask for a newer version of the program (``POST /v1/versions/check``).

        Raises:
            TransportError: Refused, or not answered.
        """
        headers = {"Authorization": f"Bearer {license_string}"} if license_string else None
        return _read_version(self._post("/v1/versions/check", asdict(question), headers))

    def send_heartbeat(self, license_string: str, device_info: str, nonce: str, *, link: str = "") -> str:
        """Check in (``POST /v1/heartbeats``) and return the text of the lease.

        Raises:
            TransportError: Refused, or not answered.
        """
        headers = {"Authorization": f"Bearer {license_string}"}
        body = self._body(device_info, nonce) | ({"link": link} if link else {})
        answer = self._post("/v1/heartbeats", body, headers)
        return _member(answer, "lease")

    def ask(self, question: str, license_string: str, body: Mapping[str, object]) -> Mapping[str, object]:
        """Ask about seats or devices of the license that the string belongs to (``POST /v1/{question}``).

        Raises:
            TransportError: Refused, or not answered.
        """
        headers = {"Authorization": f"Bearer {license_string}"}
        return self._post(f"/v1/{question}", body, headers, codes=refusals.ALL_CODES)

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def _wish(self, device_info: str, nonce: str, move_from: str) -> dict[str, object]:
        body = {"code": self._configuration.code, **self._body(device_info, nonce)}
        return body | ({"move_from": move_from} if move_from else {})

    def _body(self, device_info: str, nonce: str) -> dict[str, object]:
        client = self._configuration.described
        return {"device_info": device_info, "nonce": nonce} | ({"client": client} if client else {})

    def _post(
        self,
        path: str,
        body: Mapping[str, object],
        headers: Mapping[str, str] | None = None,
        *,
        codes: frozenset[str] = refusals.CODES,
    ) -> Mapping[str, object]:
        response, raw = self._connection.exchange("POST", path, body, headers=headers)
        if response.status_code != 200:
            raise _failure(response, raw, now=self._clock.now(), codes=codes)
        return _read_object(response.status_code, raw)


def fetch_keys_for_development(server_url: str, *, transport: httpx2.BaseTransport | None = None) -> dict[str, object]:
    """Fetch the server's key set once, to try things out with.

    A product must not do this: an impostor of the server would bring its own keys. Pin the keys.

    Raises:
        ConfigurationError: The URL is not safe.
        UnansweredError: No usable answer.
    """
    check_server_url(server_url)
    connection = Connection(Route(server_url, _PLAIN_TIMEOUT), transport=transport)
    try:
        response, raw = connection.exchange("GET", "/.well-known/jwks.json")
    finally:
        connection.close()
    return _read_object(response.status_code, raw)


def _failure(
    response: httpx2.Response, raw: bytes, *, now: datetime, codes: frozenset[str] = refusals.CODES
) -> TransportError:
    """Distinguish a refusal from an answer that may be different next time (``trust.refusals``)."""
    status, content_type = response.status_code, response.headers.get("Content-Type", "")
    problem = problems.from_answer(status, content_type, raw)
    wait = read_retry_after(response.headers.get("Retry-After"), now)
    if problem is not None and refusals.is_refusal(status, content_type, problem.code, codes=codes):
        return RefusedError(problem, wait)
    if problem is None:  # a portal's day would outlast its own stay
        return UnansweredError(problems.unexpected(status), min(wait, LONGEST_FOREIGN_WAIT) if wait else None)
    return UnansweredError(problem, wait)


def _check_digest(response: httpx2.Response, raw: bytes) -> None:
    """Notice a file that was damaged on the way; one without a digest is left to its signature."""
    named = _SHA256_DIGEST.search(response.headers.get("Content-Digest", ""))
    if named and named[1] != base64.b64encode(hashlib.sha256(raw).digest()).decode("ascii"):
        raise UnansweredError(
            Problem(
                problems.DAMAGED_ON_THE_WAY,
                "The license file was damaged on its way from the server.",
                "Try again; if it happens again, ask the administrator of this network about a proxy.",
                status=response.status_code,
            )
        )


def _read_version(answer: Mapping[str, object]) -> VersionAnswer:
    available, notes = answer.get("available"), answer.get("notes")
    if not isinstance(available, bool):
        raise UnansweredError(problems.unexpected(200))
    texts = {name: text for name, text in notes.items() if isinstance(text, str)} if isinstance(notes, dict) else {}
    return VersionAnswer(available, _member(answer, "manifest") if available else "", texts)


def read_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read ``Retry-After`` (RFC 9110 §10.2.3): seconds or a date; None when absent, unreadable or in the past."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        # Ten digits are 300 years already; int() has a limit on digits, and a server could find it.
        return min(timedelta(seconds=int(text[:10])), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
        span = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
    return min(span, LONGEST_RETRY_AFTER) if span > timedelta(0) else None


def _read_object(status: int, raw: bytes) -> dict[str, object]:
    try:
        answer = json.loads(raw, object_pairs_hook=tokens.without_doubles) if status == 200 else None
    except (ValueError, RecursionError) as error:
        raise UnansweredError(problems.unexpected(status)) from error
    if not isinstance(answer, dict):
        raise UnansweredError(problems.unexpected(status))
    return answer


def _member(answer: Mapping[str, object], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str):
        raise UnansweredError(problems.unexpected(200))
    return value


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
