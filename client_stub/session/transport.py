"""Carry questions to licsrv and answers back, straight over HTTPS; believe nothing.

Every answer becomes a value or one of two errors: ``RefusedError`` for a refusal (``trust.refusals`` says which answers
are one), ``UnansweredError`` for everything else: no connection, a time-out, a 5xx, 429, a gateway's 403, a proxy's
log-in page, an answer that makes no sense. What a value is worth is decided where its signature is verified.

Redirects are not followed: a license server does not move at run time, and a captive portal redirects everything.
The keys that the program believes are pinned in it; ``fetch_keys_for_development`` exists for the bench only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import urlsplit

import httpx2

from client_stub.machine.clock import Clock, SystemClock
from client_stub.session import problems
from client_stub.session.configuration import Configuration, check_server_url, is_loopback
from client_stub.session.problems import Problem
from client_stub.trust import refusals
from client_stub.trust.revocations import MAXIMUM_CHARACTERS

MAXIMUM_ANSWER_BYTES = 64 * 1024
MAXIMUM_LIST_BYTES = MAXIMUM_CHARACTERS
LONGEST_RETRY_AFTER = timedelta(days=1)
_PLAIN_TIMEOUT = 5.0
_LONGEST_ANSWER = 6
"""How often the limit of one pause a whole answer may take, and what a long one has to bring in a second beyond it."""
_LEAST_BYTES_PER_SECOND = 1024
_SHA256_DIGEST = re.compile(r"(?:^|[,\s])sha-256=:([A-Za-z0-9+/=]*):")


class TransportError(Exception):
    """The question was not answered with what was asked for."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


class RefusedError(TransportError):
    """The license server refuses the license or the device, or ISCDesk the application."""


class UnansweredError(TransportError):
    """No usable answer; asking again may help.

    Args:
        problem: What was seen.
        retry_after: How long the server wants to be left alone, where it said so; at most a day.
    """

    def __init__(self, problem: Problem, retry_after: timedelta | None = None) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


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

    def request_license(self, device_info: str, nonce: str) -> IssuedString:
        """Ask for a license string for this device.

        Raises:
            TransportError: Refused, or not answered.
        """
        ...

    def request_license_file(self, device_info: str, nonce: str, file_name: str) -> bytes:
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

    def send_heartbeat(self, license_string: str, device_info: str, nonce: str) -> str:
        """Check in, and return the text of the lease.

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
        self._http = httpx2.Client(
            base_url=configuration.server_url.rstrip("/"),
            timeout=configuration.request_timeout.total_seconds(),
            follow_redirects=False,
            # A proxy of the environment is right for the outside and wrong for this very computer.
            trust_env=not is_loopback(urlsplit(configuration.server_url).hostname or ""),
            transport=transport,
        )

    def request_license(self, device_info: str, nonce: str) -> IssuedString:
        """Ask for a license string for this device (``POST /v1/licenses/string``).

        Raises:
            TransportError: Refused, or not answered.
        """
        body = {"code": self._configuration.code, **self._body(device_info, nonce)}
        answer = self._post("/v1/licenses/string", body)
        return IssuedString(_member(answer, "license_string"), _moment(answer.get("refresh_after")))

    def request_license_file(self, device_info: str, nonce: str, file_name: str) -> bytes:
        """Ask for a license file for this device (``POST /v1/licenses/file``).

        Raises:
            TransportError: Refused, not answered, or damaged on the way (``Content-Digest``, RFC 9530).
        """
        body = {"code": self._configuration.code, **self._body(device_info, nonce)}
        response, raw = self._exchange(
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
        response, raw = self._exchange("GET", path, headers=headers, maximum=MAXIMUM_LIST_BYTES)
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

    def send_heartbeat(self, license_string: str, device_info: str, nonce: str) -> str:
        """Check in (``POST /v1/heartbeats``) and return the text of the lease.

        Raises:
            TransportError: Refused, or not answered.
        """
        headers = {"Authorization": f"Bearer {license_string}"}
        answer = self._post("/v1/heartbeats", self._body(device_info, nonce), headers)
        return _member(answer, "lease")

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _body(self, device_info: str, nonce: str) -> dict[str, object]:
        described = {"name": self._configuration.client_name, "version": self._configuration.client_version}
        client = {name: value for name, value in described.items() if value}
        return {"device_info": device_info, "nonce": nonce} | ({"client": client} if client else {})

    def _post(
        self, path: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> Mapping[str, object]:
        response, raw = self._exchange("POST", path, body, headers)
        if response.status_code != 200:
            raise _failure(response, raw, now=self._clock.now())
        return _read_object(response.status_code, raw)

    def _exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        maximum: int = MAXIMUM_ANSWER_BYTES,
    ) -> tuple[httpx2.Response, bytes]:
        clock = self._clock.monotonic
        return exchange(self._http, method, path, body, headers, maximum=maximum, monotonic=clock)


def exchange(
    http: httpx2.Client,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    maximum: int = MAXIMUM_ANSWER_BYTES,
    timeout: float | None = None,
    monotonic: Callable[[], float] | None = None,
) -> tuple[httpx2.Response, bytes]:
    """Ask, and return the answer with at most ``maximum`` bytes of its body, whatever its status.

    ``timeout`` in seconds takes the place of the client's own.

    Raises:
        UnansweredError: No answer, a longer one, or one that trickles in.
    """
    try:
        limit = http.timeout if timeout is None else httpx2.Timeout(timeout)
        with http.stream(method, path, json=body, headers=headers, timeout=limit) as response:
            pace = _Pace(monotonic or SystemClock().monotonic, (limit.read or math.inf) * _LONGEST_ANSWER)
            return response, _read_limited(response, maximum, pace)
    # A closed client raises RuntimeError; a host name that IDNA refuses raises outside HTTPError too.
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, RuntimeError) as error:
        raise UnansweredError(_unreachable()) from error


def fetch_keys_for_development(server_url: str, *, transport: httpx2.BaseTransport | None = None) -> dict[str, object]:
    """Fetch the server's key set once, to try things out with.

    A product must not do this: an impostor of the server would bring its own keys. Pin the keys.

    Raises:
        ConfigurationError: The URL is not safe.
        UnansweredError: No usable answer.
    """
    check_server_url(server_url)
    trust_env = not is_loopback(urlsplit(server_url).hostname or "")
    with httpx2.Client(timeout=_PLAIN_TIMEOUT, trust_env=trust_env, transport=transport) as http:
        try:
            with http.stream("GET", server_url.rstrip("/") + "/.well-known/jwks.json") as response:
                raw = _read_limited(response, MAXIMUM_ANSWER_BYTES)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise UnansweredError(_unreachable()) from error
    return _read_object(response.status_code, raw)


class _Pace:
    """How slowly an answer may come in: the HTTP client's limit restarts with every byte, this one does not."""

    def __init__(self, monotonic: Callable[[], float], patience: float) -> None:
        self._monotonic = monotonic
        self._ends_at = monotonic() + patience

    def allows(self, received: int) -> bool:
        """Return False when so many bytes should have been here long ago; a long answer may take longer."""
        return self._monotonic() <= self._ends_at + received / _LEAST_BYTES_PER_SECOND


def _read_limited(response: httpx2.Response, maximum: int, pace: _Pace | None = None) -> bytes:
    raw = bytearray()
    for chunk in response.iter_bytes():
        raw += chunk
        if len(raw) > maximum:
            raise UnansweredError(_unexpected(response.status_code))
        if pace is not None and not pace.allows(len(raw)):
            raise UnansweredError(_unreachable())
    return bytes(raw)


def _failure(response: httpx2.Response, raw: bytes, *, now: datetime) -> TransportError:
    """Distinguish a refusal from an answer that may be different next time (``trust.refusals``)."""
    status, content_type = response.status_code, response.headers.get("Content-Type", "")
    problem = problems.from_answer(status, content_type, raw)
    if problem is not None and refusals.is_refusal(status, content_type, problem.code):
        return RefusedError(problem)
    return UnansweredError(problem or _unexpected(status), read_retry_after(response.headers.get("Retry-After"), now))


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
        raise UnansweredError(_unexpected(200))
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
        answer = json.loads(raw) if status == 200 else None
    except (ValueError, RecursionError) as error:
        raise UnansweredError(_unexpected(status)) from error
    if not isinstance(answer, dict):
        raise UnansweredError(_unexpected(status))
    return answer


def _member(answer: Mapping[str, object], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str):
        raise UnansweredError(_unexpected(200))
    return value


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _unreachable() -> Problem:
    return Problem(
        problems.SERVER_UNREACHABLE,
        "The license server cannot be reached.",
        "Check the network connection; if only the license server is missing, try again later.",
    )


def _unexpected(status: int) -> Problem:
    return Problem(
        problems.UNEXPECTED_ANSWER,
        f"Something else than the license server answered (HTTP {status}).",
        "Check whether this network asks for a log-in, or ask its administrator about a proxy.",
        status=status,
    )
