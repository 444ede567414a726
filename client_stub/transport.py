"""Carry questions to licsrv and answers back, straight over HTTPS; believe nothing.

Every answer becomes a value or one of two errors: ``RefusedError`` when the server said no and means it,
``UnansweredError`` for everything that may be different next time: no connection, a time-out, a 5xx, 429, a proxy's
log-in page, an answer that makes no sense. What a value is worth is decided where its signature is verified.

Redirects are not followed: a license server does not move at run time, and a captive portal redirects everything.
The keys that the program believes are pinned in it; ``fetch_keys_for_development`` exists for the bench only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import urlsplit

import httpx2

from client_stub import problems
from client_stub.clock import Clock, SystemClock
from client_stub.configuration import Configuration, check_server_url, is_loopback
from client_stub.problems import Problem

MAXIMUM_ANSWER_BYTES = 64 * 1024
LONGEST_RETRY_AFTER = timedelta(days=1)
_TRY_AGAIN_STATUSES = frozenset({408, 425, 429})
_PLAIN_TIMEOUT = 5.0


class TransportError(Exception):
    """The question was not answered with what was asked for."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


class RefusedError(TransportError):
    """The server said no, with a problem document; asking the same again gives the same answer."""


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


class Transport(Protocol):
    """A way to the license server; another one goes through ISCDesk."""

    def request_license(self, device_info: str, nonce: str) -> IssuedString:
        """Ask for a license string for this device.

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
        try:
            with self._http.stream("POST", path, json=body, headers=headers) as response:
                raw = _read_limited(response)
        # A closed client raises RuntimeError; a host name that IDNA refuses raises outside HTTPError too.
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, RuntimeError) as error:
            raise UnansweredError(_unreachable()) from error
        return _read_answer(response, raw, now=self._clock.now())


def fetch_keys_for_development(server_url: str, *, transport: httpx2.BaseTransport | None = None) -> dict[str, object]:
    """Fetch the server's key set once, to try things out with.

    A product must not do this: whoever answers in the server's place would bring keys of their own. Pin the keys.

    Raises:
        ConfigurationError: The URL is not safe.
        UnansweredError: No usable answer.
    """
    check_server_url(server_url)
    trust_env = not is_loopback(urlsplit(server_url).hostname or "")
    with httpx2.Client(timeout=_PLAIN_TIMEOUT, trust_env=trust_env, transport=transport) as http:
        try:
            with http.stream("GET", server_url.rstrip("/") + "/.well-known/jwks.json") as response:
                raw = _read_limited(response)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise UnansweredError(_unreachable()) from error
    return _read_object(response.status_code, raw)


def _read_limited(response: httpx2.Response) -> bytes:
    raw = b""
    for chunk in response.iter_bytes():
        raw += chunk
        if len(raw) > MAXIMUM_ANSWER_BYTES:
            raise UnansweredError(_unexpected(response.status_code))
    return raw


def _read_answer(response: httpx2.Response, raw: bytes, *, now: datetime) -> Mapping[str, object]:
    status = response.status_code
    if status == 200:
        return _read_object(status, raw)

    problem = problems.from_answer(status, raw)
    # Only the server's own problem document is a refusal. A bare 403 comes from whatever stands in between.
    if problem is not None and 400 <= status < 500 and status not in _TRY_AGAIN_STATUSES:
        raise RefusedError(problem)
    raise UnansweredError(problem or _unexpected(status), read_retry_after(response.headers.get("Retry-After"), now))


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
