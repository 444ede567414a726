"""HTTP to one server: set up a connection, exchange one question for one answer, and say why there was none.

Redirects are not followed: a license server does not move at run time, and a captive portal redirects everything.
Beyond the system's certificate authorities the program may name its own (``ca_file``), and a proxy of its own.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from client_stub.machine.clock import SystemClock
from client_stub.session import problems
from client_stub.session.configuration import ConfigurationError, is_loopback
from client_stub.session.pace import Pace, is_foldable, patience_of, unfolded
from client_stub.session.problems import Problem

MAXIMUM_ANSWER_BYTES = 64 * 1024
_LONGEST_ANSWER = 6
"""How often the limit of one pause a whole answer may take; a long one may take longer (``pace``)."""
_NOT_IN_TIME = frozenset({9, 10})
"""OpenSSL's verify codes for a certificate that is not valid yet (9) or not any more (10)."""


class TransportError(Exception):
    """The question was not answered with what was asked for."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


class RefusedError(TransportError):
    """The license server refuses the license, the device or a seat, or ISCDesk the application.

    Args:
        problem: What it said.
        retry_after: When asking again may help, where it said so; at most a day.
    """

    def __init__(self, problem: Problem, retry_after: timedelta | None = None) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


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
class Route:
    """How a server is reached.

    Attributes:
        url: The server, with the path in front of its routes.
        request_timeout: The limit for each phase of a request.
        ca_file: Certificate authorities in addition to the system's.
        proxy: The proxy; None takes the environment's, an empty text none. This very computer is never behind one.
    """

    url: str
    request_timeout: timedelta
    ca_file: Path | None = None
    proxy: str | None = None

    @property
    def uses_proxy(self) -> bool:
        """True when a proxy is between this computer and the server."""
        parts = urlsplit(self.url)
        if is_loopback(parts.hostname or ""):
            return False
        if self.proxy is not None:
            return bool(self.proxy)
        proxies = getproxies()
        return bool(proxies.get(parts.scheme) or proxies.get("all")) and not proxy_bypass(parts.hostname or "")


class Connection:
    """Exchanges questions and answers with one server. Safe to use from several threads.

    Args:
        transport: Another way below HTTP, for tests.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self,
        route: Route,
        *,
        transport: httpx2.BaseTransport | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        is_here = is_loopback(urlsplit(route.url).hostname or "")
        self._route = route
        self._monotonic = monotonic or SystemClock().monotonic
        self._http = httpx2.Client(
            base_url=route.url.rstrip("/"),
            timeout=route.request_timeout.total_seconds(),
            follow_redirects=False,
            headers={"Accept-Encoding": "gzip"},
            limits=httpx2.Limits(max_keepalive_connections=0),  # the watch knows the connection of a new one only
            verify=_trusted(route.ca_file),
            proxy=None if is_here else route.proxy or None,
            trust_env=route.proxy != "" and not is_here,
            transport=transport,
        )

    def exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        maximum: int = MAXIMUM_ANSWER_BYTES,
        timeout: float | None = None,
    ) -> tuple[httpx2.Response, bytes]:
        """Ask, and return the answer with at most ``maximum`` bytes of its body, whatever its status.

        ``timeout`` in seconds takes the place of the route's own.

        Raises:
            UnansweredError: No answer, a longer one, or one that trickles in.
        """
        try:
            limit = self._http.timeout if timeout is None else httpx2.Timeout(timeout)
            pace = Pace(self._monotonic, patience_of(limit.read, _LONGEST_ANSWER))
            ask = self._http.stream(
                method, path, json=body, headers=headers, timeout=limit, extensions={"trace": pace.trace}
            )
            with pace.watched(), ask as response:
                return response, _read_limited(response, maximum, pace)
        # A closed client raises RuntimeError; a host name that IDNA refuses raises outside HTTPError too.
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, RuntimeError) as error:
            raise UnansweredError(connection_problem(error, uses_proxy=self._route.uses_proxy)) from error

    def close(self) -> None:
        """Give connections back. Calls after this fail as unanswered."""
        self._http.close()


def _trusted(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError("ca_file: cannot be read as certificates in PEM form.") from error
    return context


def _read_limited(response: httpx2.Response, maximum: int, pace: Pace) -> bytes:
    is_read = response.is_stream_consumed  # by a transport that reads whole answers, and unfolds them
    encoding = "" if is_read else response.headers.get("Content-Encoding", "")
    if not is_foldable(encoding):
        raise UnansweredError(problems.unexpected(response.status_code))
    raw = bytearray()
    try:
        for chunk in unfolded(_counted(response, pace), encoding, maximum):
            raw += chunk
            if len(raw) > maximum:
                raise UnansweredError(problems.unexpected(response.status_code))
    except zlib.error as error:
        raise UnansweredError(problems.unexpected(response.status_code)) from error
    return bytes(raw)


def _counted(response: httpx2.Response, pace: Pace) -> Iterator[bytes]:
    for chunk in response.iter_bytes() if response.is_stream_consumed else response.iter_raw():
        pace.received(len(chunk))
        yield chunk
        if pace.left() < 0:
            raise UnansweredError(problems.UNREACHABLE)


def connection_problem(error: Exception, *, uses_proxy: bool) -> Problem:
    """Say why there was no connection: the certificate, the computer's clock, the proxy, or the network."""
    refused = next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if refused is not None:
        # Windows and macOS verify by themselves and give no code of OpenSSL.
        return (
            problems.CERTIFICATE_NOT_IN_TIME
            if getattr(refused, "verify_code", 0) in _NOT_IN_TIME
            else problems.NOT_TRUSTED
        )
    if isinstance(error, httpx2.ProxyError) or (uses_proxy and isinstance(error, httpx2.ConnectError)):
        return problems.PROXY_FAILED
    return problems.UNREACHABLE


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that it was raised from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
