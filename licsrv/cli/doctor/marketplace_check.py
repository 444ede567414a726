"""Can the marketplace be reached, is its certificate good, and do its clock and ours agree?

Each host is asked for its root without a key pair: that proves the way, and can never count as a failed
authentication, five of which lock the pair (protocol/authorization-code.md §3.2); key_pair_check tries the pair.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx2

from licsrv.cli.doctor.diagnosis import Diagnosis, ok, problem, warning
from licsrv.platform import moments

AREA = "marketplace"
TIME_LIMIT = timedelta(seconds=6)
CERTIFICATE_SHORT = timedelta(days=14)
# A callback is good for 60 s (protocol §5.1), a signed call for 15 min (§3.2).
CLOCK_OFF, CLOCK_WRONG = timedelta(seconds=60), timedelta(minutes=10)


@dataclass(frozen=True)
class Answer:
    """What a host answered to a call without a signature."""

    status: int
    date: str | None
    certificate_ends_at: datetime | None
    received_at: datetime


def check(urls: Sequence[str], *, clock: Callable[[], datetime], time_limit: timedelta = TIME_LIMIT) -> list[Diagnosis]:
    """Ask all hosts side by side; none is waited for longer than the time limit."""
    answers: dict[str, list[Diagnosis]] = {}

    def look(url: str) -> None:
        answers[url] = list(_host(url, clock, time_limit))

    # Daemon threads do not delay the exit: looking up a name cannot be interrupted.
    threads = [threading.Thread(target=look, args=(url,), daemon=True) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(time_limit.total_seconds() + 1)
    silent = "gave no answer in time"
    return [diagnosis for url in urls for diagnosis in answers.get(url, [_unreached(url, silent)])]


def _host(url: str, clock: Callable[[], datetime], time_limit: timedelta) -> Iterator[Diagnosis]:
    try:
        answer = _ask(url, clock, time_limit)
    except (httpx2.HTTPError, OSError, ValueError) as error:
        yield _unreached(url, _why(error))
        return
    yield ok(AREA, f"{url} answers (HTTP {answer.status}).")
    yield from _certificate(url, answer)
    yield _clock(url, answer)


def _unreached(url: str, why: str) -> Diagnosis:
    return problem(AREA, f"{url} cannot be reached: {why}.", "Check name service, firewall, proxy and time.")


def _why(error: Exception) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "no answer in time"
    return (str(error) or type(error).__name__)[:200]


def _ask(url: str, clock: Callable[[], datetime], time_limit: timedelta) -> Answer:
    """Ask for the root of a host, the way the service would go: the same proxies, the same trust in certificates."""
    with (
        httpx2.Client(trust_env=True, timeout=time_limit.total_seconds(), follow_redirects=False) as client,
        client.stream("HEAD", url) as response,
    ):
        stream = response.extensions.get("network_stream")
        secured = stream.get_extra_info("ssl_object") if stream is not None else None
        return Answer(response.status_code, response.headers.get("date"), _ends_at(secured), received_at=clock())


def _ends_at(secured: ssl.SSLObject | None) -> datetime | None:
    certificate = secured.getpeercert() if secured is not None else None
    if not certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


def _certificate(url: str, answer: Answer) -> Iterator[Diagnosis]:
    ends_at = answer.certificate_ends_at
    if ends_at is None:
        return
    left = moments.span(ends_at - answer.received_at)
    if ends_at - answer.received_at < CERTIFICATE_SHORT:
        yield warning(AREA, f"The certificate of {url} ends in {left}.", "The marketplace has to renew it.")
    else:
        yield ok(AREA, f"The certificate of {url} is good for {left}.")


def _clock(url: str, answer: Answer) -> Diagnosis:
    try:
        theirs = parsedate_to_datetime(answer.date or "")
    except (ValueError, TypeError):
        return warning(AREA, f"{url} does not say what time it has.")
    off = answer.received_at - (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC))
    found = f"Our clock is {moments.span(off)} {'ahead of' if off > timedelta() else 'behind'} that of {url}"
    if abs(off) > CLOCK_WRONG:
        return problem(AREA, f"{found}: signed calls are refused.", "Set the clock; use NTP.")
    if abs(off) > CLOCK_OFF:
        return warning(AREA, f"{found}: callbacks can look too old or too new.", "Set the clock; use NTP.")
    return ok(AREA, f"{found}.")
