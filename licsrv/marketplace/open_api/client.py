"""Ask the marketplace's open API (protocol/authorization-code.md §2 to §4, §8; online-license-and-sdk.md §5).

``OpenApi`` signs a call, tries the hosts in order within one time limit, recognises the answer and turns what is not
a success into an error of ``licsrv.errors``. It does not repeat a call later (the outbox does) and keeps no state but
the last difference between the marketplace's clock and ours. The secret key, signatures and bodies are never logged.

The certificate check is httpx2's strict default; the caller that builds the ``AsyncClient`` must not weaken it (§2.1).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeAlias
from urllib.parse import quote

import httpx2

from licsrv.errors import MarketplaceAuthenticationError, MarketplaceUnansweredError
from licsrv.marketplace import compact_time
from licsrv.marketplace.open_api import aksk, code_answers, codes, order_answers, uploads
from licsrv.marketplace.open_api.aksk import KeyPair
from licsrv.marketplace.open_api.auth import KeyPairAuth
from licsrv.marketplace.open_api.code_answers import Activation, CodeState, ReportedStatus, Usage, UsageResult
from licsrv.marketplace.open_api.codes import Envelope
from licsrv.marketplace.open_api.order_answers import Order
from licsrv.marketplace.open_api.uploads import Upload

__all__ = ["Activation", "Call", "CodeState", "KeyPair", "OpenApi", "ReportedStatus", "Usage", "UsageResult"]

PREFIX = "/api/mkp-openapi-public/global"
FIRST_HOST_SHARE = 0.6
"""How much of the remaining time a host may use while another one waits behind it."""

_UNAUTHORIZED = 401
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the open API; ``path`` comes after the fixed prefix and needs no percent-encoding."""

    method: str
    path: str
    body: bytes = b""
    query: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class _NoAnswer:
    """Why a host gave nothing that can be recognised, in a few words for the log."""

    reason: str
    is_outage: bool = True


_Attempt: TypeAlias = _Answer | _NoAnswer


class OpenApi:
    """The open API, seen from the merchant's side.

    Args:
        http: The connection pool; owned and closed by the caller.
        base_urls: The hosts, the first is asked first.
        key_pair: The seller account's AK/SK; without it every call fails before it is made.
        clock: Gives the moment that is signed.

    Every call raises:
        MarketplaceRefusedError: The marketplace said no; ``error_code`` says why.
        MarketplaceAuthenticationError: It does not accept the key pair. Do not repeat: more than five failures in a
            row lock the pair for five minutes (§3.2).
        MarketplaceUnansweredError: No host answered in time, or the answer means "try again". Whether the call took
            effect is not known.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        base_urls: Sequence[str],
        key_pair: KeyPair | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._http = http
        self._base_urls = tuple(httpx2.URL(url) for url in base_urls)
        self._auth = KeyPairAuth(key_pair, clock=clock) if key_pair is not None else None
        self._clock = clock
        self._clock_difference: timedelta | None = None

    @property
    def last_clock_difference(self) -> timedelta | None:
        """The marketplace's clock minus ours at the last answer with a ``Date``; signing fails beyond 15 minutes."""
        return self._clock_difference

    async def activate(self, code: str, *, effective_at: datetime | None = None, time_limit: timedelta) -> Activation:
        """Activate a code (v1, §2.2).

        Not idempotent: ``92020003`` may mean that an earlier call whose answer was lost, even one to the host before
        in this very call, has activated the code. ``query`` answers that.

        Raises:
            ValueError: ``effective_at`` has no time zone.
        """
        payload: dict[str, object] = {"license": code}
        if effective_at is not None:
            payload["real_effect_time"] = compact_time.render(effective_at)
        envelope = await self.call(_post("/v1/license/activate", payload), time_limit=time_limit)
        return code_answers.activation(envelope.data)

    async def query(self, code: str, *, time_limit: timedelta) -> CodeState:
        """Ask for the authoritative state of a code (heartbeat v1, §2.3); to be asked on each day of use.

        ``heartbeatInfo`` is left out: it is optional and to be retired (§8).
        """
        envelope = await self.call(_post("/v1/license/heartbeat", {"license": code}), time_limit=time_limit)
        return code_answers.code_state(envelope.data)

    async def report_usage(self, usages: Sequence[Usage], *, time_limit: timedelta) -> UsageResult:
        """Report today's active clients, at most 100 codes with at most 100 clients each (§2.4).

        Nothing to report makes no call.

        Raises:
            ValueError: The report is too large, or has a code without clients.
        """
        payload = code_answers.usage_payload(usages)
        if not usages:
            return UsageResult((), complete=True, raw={})
        envelope = await self.call(_post("/v2/license/software-usage-info", payload), time_limit=time_limit)
        return code_answers.usage_result(envelope.data, [usage.code for usage in usages])

    async def query_order(self, order_id: str, order_line_id: str, *, time_limit: timedelta) -> Order:
        """Ask what was bought with an order line (online §5.3)."""
        query = (("orderId", order_id), ("orderLineId", order_line_id))
        call = Call("GET", "/v1/order/query", query=query[: 2 if order_line_id else 1])
        envelope = await self.call(call, time_limit=time_limit)
        return order_answers.order(envelope.members, order_line_id)

    async def upload(self, event_id: str, upload: Upload, *, time_limit: timedelta) -> None:
        """Send the license that an application asked for (online §5.2). GAP: a second upload is not documented."""
        body, content_type = uploads.encode(upload)
        path = f"/v1/market-event/{quote(event_id, safe='')}/file"
        await self.call(Call("POST", path, body, content_type=content_type), time_limit=time_limit)

    async def call(self, call: Call, *, time_limit: timedelta) -> Envelope:
        """Make any call of the open API and return the envelope of a success.

        1. Without a key pair nothing is sent.
        2. The hosts are tried in order within ``time_limit`` (of a clock that never jumps). While another host waits
           behind it, a host gets at most 60 % of what is left.
        3. The next host is tried when there is no connection, no answer in time, or nothing recognisable in it. An
           answer that is recognised is final, whatever it says.
        4. A recognised answer is judged by its ``error_code``.
        """
        if self._auth is None:  # 1
            raise MarketplaceAuthenticationError("No key pair (AK/SK) for the marketplace is configured.")
        answer = await self._first_answer(call, time_limit)  # 2, 3
        codes.check(answer.envelope, http_status=answer.status)  # 4
        return answer.envelope

    async def _first_answer(self, call: Call, time_limit: timedelta) -> _Answer:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + time_limit.total_seconds()
        failures = []
        for waiting, base_url in zip(reversed(range(len(self._base_urls))), self._base_urls, strict=True):
            left = max(deadline - loop.time(), 0.0)
            attempt = await self._attempt(base_url, call, left * FIRST_HOST_SHARE if waiting else left)
            if isinstance(attempt, _Answer):
                return attempt
            _log.warning("The marketplace host %s gave no answer to %s: %s.", base_url.host, call.path, attempt.reason)
            failures.append((f"{base_url.host}: {attempt.reason}", attempt.is_outage))
        reasons = "; ".join(reason for reason, _ in failures)
        raise MarketplaceUnansweredError(
            f"No marketplace host answered {call.path} ({reasons}).",
            is_outage=all(is_outage for _, is_outage in failures),
        )

    async def _attempt(self, base_url: httpx2.URL, call: Call, seconds: float) -> _Attempt:
        """Ask one host; the outer time limit also ends an answer that comes byte by byte."""
        request = self._request(base_url, call, seconds)
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(request)
        except (TimeoutError, httpx2.TimeoutException):
            return _NoAnswer(f"no answer within {seconds:.1f} s")
        except httpx2.HTTPError as error:
            return _NoAnswer(f"{type(error).__name__} {codes.one_line(str(error))}".strip())

    def _request(self, base_url: httpx2.URL, call: Call, seconds: float) -> httpx2.Request:
        # A compressed answer could grow beyond any limit in one step, so none is asked for.
        headers = {"content-type": call.content_type, "accept": "application/json", "accept-encoding": "identity"}
        return self._http.build_request(
            call.method, _url(base_url, call), content=call.body, headers=headers, timeout=seconds
        )

    async def _exchange(self, request: httpx2.Request) -> _Attempt:
        response = await self._http.send(request, stream=True, auth=self._auth, follow_redirects=False)
        try:
            self._note_clock(response.headers.get("date"))
            body = await _limited_body(response)
        finally:
            await response.aclose()
        return _recognised(response.status_code, body)

    def _note_clock(self, date: str | None) -> None:
        theirs = _http_date(date)
        if theirs is not None:
            self._clock_difference = theirs - self._clock()


def _post(path: str, payload: dict[str, object]) -> Call:
    return Call("POST", path, json.dumps(payload, separators=(",", ":")).encode("ascii"))


def _url(base_url: httpx2.URL, call: Call) -> httpx2.URL:
    query = aksk.canonical_query(call.query)
    path = base_url.copy_with(path=base_url.path.rstrip("/") + PREFIX + call.path).raw_path
    return base_url.copy_with(raw_path=path + (f"?{query}".encode("ascii") if query else b""))


async def _limited_body(response: httpx2.Response) -> bytes | None:
    """Read the answer; ``None`` when it is longer than 1 MiB or compressed."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return None
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > codes.MAX_ANSWER_BYTES:
            return None
    return bytes(body)


def _recognised(status: int, body: bytes | None) -> _Attempt:
    envelope = None if body is None else codes.read_envelope(body)
    if envelope is not None:
        return _Answer(status, envelope)
    if status == _UNAUTHORIZED:
        # Not worth another host: the same key pair would fail there too, and count towards its lock.
        raise MarketplaceAuthenticationError("The marketplace does not accept our key pair (HTTP 401).")
    reason = f"HTTP {status} with a body that is {'too long' if body is None else 'not an answer'}"
    return _NoAnswer(reason, codes.is_outage(status))


def _http_date(date: str | None) -> datetime | None:
    """Read a ``Date`` header; ``None`` for a missing or damaged one."""
    try:
        moment = parsedate_to_datetime(date or "")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
