"""The open API client: what is sent, what each answer means, which host is asked, and within what time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone

import httpx2
import pytest

from licsrv.errors import (
    MarketplaceAuthenticationError,
    MarketplaceError,
    MarketplaceRefusedError,
    MarketplaceUnansweredError,
)
from licsrv.marketplace.open_api import aksk, codes
from licsrv.marketplace.open_api.client import (
    Activation,
    Call,
    CodeState,
    KeyPair,
    OpenApi,
    ReportedStatus,
    Usage,
    UsageResult,
)

PAIR = KeyPair("TESTAK", "testsecret")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTS = ("https://mkt.myhuaweicloud.com", "https://mkt.myhuaweicloud.cn")
GLOBAL = "/api/mkp-openapi-public/global"
PLENTY = timedelta(seconds=30)
ALIVE = {"status": "ALIVE", "expire_time": "20230726121646", "product_id": "12345", "amount": 2, "order_id": "CS123"}
EXPIRES_AT = datetime(2023, 7, 26, 12, 16, 46, tzinfo=UTC)

Handler = (
    Callable[[httpx2.Request], httpx2.Response] | Callable[[httpx2.Request], Coroutine[None, None, httpx2.Response]]
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Marketplace:
    """Answers every host with the same envelope, or as ``by_host`` says, and remembers what it was asked."""

    def __init__(self, answer: object = None, *, status: int = 200, **by_host: Handler) -> None:
        self.requests: list[httpx2.Request] = []
        self._answer = answer if answer is not None else {"error_code": "92020000", "error_msg": "success"}
        self._status = status
        self._by_host = by_host

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        handler = self._by_host.get(request.url.host.rpartition(".")[2])
        if handler is None:
            return httpx2.Response(self._status, json=self._answer)
        response = handler(request)
        return response if isinstance(response, httpx2.Response) else await response

    @property
    def hosts(self) -> list[str]:
        return [request.url.host for request in self.requests]

    @property
    def body(self) -> object:
        return json.loads(self.requests[-1].content)


@asynccontextmanager
async def api_of(
    marketplace: Handler, *, base_urls: tuple[str, ...] = HOSTS, key_pair: KeyPair | None = PAIR
) -> AsyncIterator[OpenApi]:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(marketplace)) as http:
        yield OpenApi(http, base_urls=base_urls, key_pair=key_pair, clock=lambda: NOW)


async def query(marketplace: Handler, *, time_limit: timedelta = PLENTY) -> CodeState:
    async with api_of(marketplace) as api:
        return await api.query("PL0000000001", time_limit=time_limit)


async def failure(marketplace: Handler, *, time_limit: timedelta = PLENTY) -> MarketplaceError:
    with pytest.raises(MarketplaceError) as failed:
        await query(marketplace, time_limit=time_limit)
    return failed.value


def success(**data: object) -> dict[str, object]:
    return {"error_code": "92020000", "error_msg": "success", "data": data}


# What is sent


async def test_activation_sends_the_documented_request() -> None:
    marketplace = Marketplace()

    async with api_of(marketplace) as api:
        await api.activate("PL0000000001", time_limit=PLENTY)

    request = marketplace.requests[0]
    assert (request.method, str(request.url)) == ("POST", f"{HOSTS[0]}{GLOBAL}/v1/license/activate")
    assert request.content == b'{"license":"PL0000000001"}'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-sdk-date"] == "20260101T000000Z"
    # The vector of protocol/authorization-code.md §4.2 for exactly this call.
    assert request.headers["authorization"] == (
        "SDK-HMAC-SHA256 Access=TESTAK, SignedHeaders=content-type;host;x-sdk-date, "
        "Signature=1ca56ecc3e393d70a9cee53c534967d074a5987227facf5313bd399cb90595cb"
    )


async def test_the_time_of_effect_is_sent_in_utc() -> None:
    marketplace = Marketplace()
    shanghai = timezone(timedelta(hours=8))

    async with api_of(marketplace) as api:
        await api.activate("PL1", effective_at=datetime(2026, 1, 2, 23, 35, 55, tzinfo=shanghai), time_limit=PLENTY)

    assert marketplace.body == {"license": "PL1", "real_effect_time": "20260102153555"}


async def test_a_time_of_effect_without_a_zone_is_refused_before_any_call() -> None:
    marketplace = Marketplace()

    async with api_of(marketplace) as api:
        with pytest.raises(ValueError, match="time zone"):
            await api.activate("PL1", effective_at=datetime(2026, 1, 2), time_limit=PLENTY)

    assert not marketplace.requests


async def test_a_query_sends_the_code_alone() -> None:
    marketplace = Marketplace()

    await query(marketplace)

    assert marketplace.requests[0].url.path == f"{GLOBAL}/v1/license/heartbeat"
    assert marketplace.body == {"license": "PL0000000001"}


async def test_a_usage_report_sends_every_client_of_every_code() -> None:
    marketplace = Marketplace()

    async with api_of(marketplace) as api:
        await api.report_usage([Usage("PL1", ("a", "b")), Usage("PL2", ("授",))], time_limit=PLENTY)

    assert marketplace.requests[0].url.path == f"{GLOBAL}/v2/license/software-usage-info"
    assert marketplace.body == {
        "usage_info": [
            {"license": "PL1", "software_usage_Info": [{"id": "a"}, {"id": "b"}]},
            {"license": "PL2", "software_usage_Info": [{"id": "授"}]},
        ]
    }


@pytest.mark.parametrize(
    ("base_url", "host_header", "path"),
    [
        ("https://mkt.myhuaweicloud.com", "mkt.myhuaweicloud.com", GLOBAL),
        ("https://mkt.myhuaweicloud.com:443/", "mkt.myhuaweicloud.com", GLOBAL),
        ("https://mkt.myhuaweicloud.com:8443", "mkt.myhuaweicloud.com:8443", GLOBAL),
        ("http://127.0.0.1:8001", "127.0.0.1:8001", GLOBAL),
        ("http://127.0.0.1:8001/behind/a%20proxy/", "127.0.0.1:8001", "/behind/a%20proxy" + GLOBAL),
    ],
)
async def test_what_is_signed_is_what_is_sent(base_url: str, host_header: str, path: str) -> None:
    marketplace = Marketplace()
    call = Call("GET", "/v1/order/query", query=(("orderId", "CS 1/+"), ("orderLineId", "单-1"), ("a", "~-_.")))

    async with api_of(marketplace, base_urls=(base_url,)) as api:
        await api.call(call, time_limit=PLENTY)

    request = marketplace.requests[0]
    assert request.headers["host"] == host_header
    sent = f"{path}/v1/order/query?a=~-_.&orderId=CS%201%2F%2B&orderLineId=%E5%8D%95-1"
    assert request.url.raw_path.decode() == sent
    signed = {name: request.headers[name] for name in ("host", "content-type", "x-sdk-date")}
    assert request.headers["authorization"] == aksk.authorization(
        PAIR, method="GET", path=f"{path}/v1/order/query", query=call.query, headers=signed, body=b""
    )


async def test_without_a_key_pair_nothing_is_sent() -> None:
    marketplace = Marketplace()

    async with api_of(marketplace, key_pair=None) as api:
        with pytest.raises(MarketplaceAuthenticationError, match="key pair") as failed:
            await api.query("PL1", time_limit=PLENTY)

    assert not failed.value.locked
    assert not marketplace.requests


async def test_a_usage_report_that_is_too_large_is_not_sent() -> None:
    marketplace = Marketplace()

    async with api_of(marketplace) as api:
        with pytest.raises(ValueError, match="at most 100"):
            await api.report_usage([Usage(f"PL{i}", ("a",)) for i in range(101)], time_limit=PLENTY)

    assert not marketplace.requests


async def test_a_usage_report_returns_what_failed() -> None:
    async with api_of(Marketplace(success(check_fail_list=["PL2"]))) as api:
        result = await api.report_usage([Usage("PL1", ("a",)), Usage("PL2", ("a",))], time_limit=PLENTY)

    assert (result.failed_codes, result.complete) == (("PL2",), True)


async def test_an_empty_usage_report_makes_no_call() -> None:
    marketplace = Marketplace()

    async with api_of(marketplace) as api:
        assert await api.report_usage([], time_limit=PLENTY) == UsageResult((), complete=True, raw={})

    assert not marketplace.requests


# What a success says


async def test_an_activation_reads_the_json_inside_the_string() -> None:
    info = json.dumps(ALIVE)

    async with api_of(Marketplace(success(license_code_info=info))) as api:
        activation = await api.activate("PL1", time_limit=PLENTY)

    assert activation == Activation(ReportedStatus.ALIVE, EXPIRES_AT, "12345", "CS123", 2, info)


async def test_a_query_tells_the_authoritative_state() -> None:
    data = {"license_code": "PL0000000001", "activate_time": "20230426121646", "new_member": [1], **ALIVE}

    state = await query(Marketplace(success(**data)))

    activated_at = datetime(2023, 4, 26, 12, 16, 46, tzinfo=UTC)
    assert state == CodeState(ReportedStatus.ALIVE, EXPIRES_AT, activated_at, "12345", "CS123", 2, data)


# What anything else says


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("92020005", MarketplaceRefusedError),
        ("92020001", MarketplaceUnansweredError),
        ("APIG.0201", MarketplaceUnansweredError),
        ("APIGW.0301", MarketplaceAuthenticationError),
    ],
)
async def test_a_recognised_answer_is_final_and_keeps_its_code(code: str, kind: type[MarketplaceError]) -> None:
    marketplace = Marketplace({"error_code": code, "error_msg": "no"}, status=500)

    error = await failure(marketplace)

    assert (type(error), error.error_code) == (kind, code)
    assert marketplace.hosts == ["mkt.myhuaweicloud.com"]


# Which host is asked


async def hangs(_request: httpx2.Request) -> httpx2.Response:
    await asyncio.Event().wait()
    raise AssertionError


def refuses_connections(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("refused", request=request)


def times_out(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadTimeout("late", request=request)


def answers(status: int, content: bytes, **headers: str) -> Handler:
    return lambda _request: httpx2.Response(status, content=content, headers=headers)


@pytest.mark.parametrize(
    "first",
    [
        refuses_connections,
        times_out,
        answers(500, b""),
        answers(502, b"<html>bad gateway</html>", content_type="text/html"),
        answers(503, b'{"message":"no envelope"}'),
        answers(200, b"<html>welcome</html>"),
        answers(200, b""),
        answers(200, b"[]"),
        answers(200, b'{"error_code":null}'),
        answers(200, b'{"error_code":true}'),
        answers(200, b'{"error_code":"92020000","error_code":"92020005"}'),
        answers(403, b"blocked by the firewall"),
        answers(302, b"", location="https://elsewhere.example/"),
        answers(200, b'{"error_code":"92020000","x":"' + b"x" * codes.MAX_ANSWER_BYTES + b'"}'),
    ],
)
async def test_the_next_host_is_asked_when_the_first_gives_nothing_recognisable(first: Handler) -> None:
    marketplace = Marketplace(success(status="ALIVE"), com=first)

    state = await query(marketplace)

    assert state.status is ReportedStatus.ALIVE
    assert marketplace.hosts == ["mkt.myhuaweicloud.com", "mkt.myhuaweicloud.cn"]
    assert [request.headers["host"] for request in marketplace.requests] == marketplace.hosts
    assert marketplace.requests[0].headers["authorization"] != marketplace.requests[1].headers["authorization"]


async def test_a_compressed_answer_is_not_read() -> None:
    compressed = answers(200, b"\x1f\x8b", **{"content-encoding": "br"})

    assert type(await failure(Marketplace(com=compressed, cn=compressed))) is MarketplaceUnansweredError


@pytest.mark.parametrize("content", [b"", b"<html>401</html>", b'{"message":"denied"}'])
async def test_http_401_is_an_authentication_failure_and_not_tried_on_the_next_host(content: bytes) -> None:
    marketplace = Marketplace(com=answers(401, content))

    assert type(await failure(marketplace)) is MarketplaceAuthenticationError
    assert marketplace.hosts == ["mkt.myhuaweicloud.com"]


async def test_when_no_host_answers_the_error_names_each_of_them() -> None:
    error = await failure(Marketplace(com=refuses_connections, cn=answers(502, b"")))

    assert type(error) is MarketplaceUnansweredError
    assert error.error_code == ""
    assert "mkt.myhuaweicloud.com: ConnectError refused" in error.message
    assert "mkt.myhuaweicloud.cn: HTTP 502" in error.message


async def test_an_answer_of_exactly_one_mebibyte_is_read() -> None:
    frame = b'{"error_code":"92020000","x":""}'
    longest = frame[:-2] + b"x" * (codes.MAX_ANSWER_BYTES - len(frame)) + b'"}'

    assert (await query(Marketplace(com=answers(200, longest)))).status is ReportedStatus.UNKNOWN


# Within what time


async def test_a_hanging_host_leaves_the_next_one_its_share() -> None:
    marketplace = Marketplace(success(status="ALIVE"), com=hangs)
    loop = asyncio.get_running_loop()
    started = loop.time()

    state = await query(marketplace, time_limit=timedelta(milliseconds=500))

    assert state.status is ReportedStatus.ALIVE
    assert loop.time() - started >= 0.29


async def test_all_hosts_together_keep_the_time_limit() -> None:
    marketplace = Marketplace(com=hangs, cn=hangs)
    loop = asyncio.get_running_loop()
    started = loop.time()

    error = await failure(marketplace, time_limit=timedelta(milliseconds=100))

    assert type(error) is MarketplaceUnansweredError
    assert len(marketplace.hosts) == 2
    assert 0.09 <= loop.time() - started < 1


@pytest.mark.parametrize("time_limit", [timedelta(0), timedelta(seconds=-1)])
async def test_no_time_left_is_no_answer(time_limit: timedelta) -> None:
    error = await failure(Marketplace(com=hangs, cn=hangs), time_limit=time_limit)

    assert type(error) is MarketplaceUnansweredError


# Clocks and logs


@pytest.mark.parametrize(
    ("date", "difference"),
    [
        ("Thu, 01 Jan 2026 00:16:00 GMT", timedelta(minutes=16)),
        ("Wed, 31 Dec 2025 23:44:00 GMT", timedelta(minutes=-16)),
        ("Thu, 01 Jan 2026 08:00:00 +0800", timedelta(0)),
        ("Thu, 01 Jan 2026 00:00:01 -0000", timedelta(seconds=1)),
        ("yesterday", None),
        ("Thu, 99 Jan 2026 00:00:00 GMT", None),
        ("", None),
    ],
)
async def test_the_difference_between_the_clocks_is_exposed(date: str, difference: timedelta | None) -> None:
    async with api_of(answers(200, b'{"error_code":"92020000"}', date=date)) as api:
        assert api.last_clock_difference is None

        await api.query("PL1", time_limit=PLENTY)

        assert api.last_clock_difference == difference


async def test_the_clock_is_noted_when_the_signature_was_refused_for_it() -> None:
    late = answers(401, b'{"error_code":"APIG.0303","error_msg":"expired"}', date="Thu, 01 Jan 2026 01:00:00 GMT")

    async with api_of(late) as api:
        with pytest.raises(MarketplaceAuthenticationError):
            await api.query("PL1", time_limit=PLENTY)

        assert api.last_clock_difference == timedelta(hours=1)


async def test_neither_keys_nor_signatures_nor_codes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    marketplace = Marketplace(com=answers(502, b""), cn=refuses_connections)

    error = await failure(marketplace)

    told = caplog.text + str(error)
    assert "mkt.myhuaweicloud.com gave no answer to /v1/license/heartbeat: HTTP 502" in told
    signatures = [request.headers["authorization"].rpartition("=")[2] for request in marketplace.requests]
    assert not [secret for secret in (PAIR.sk, "PL0000000001", *signatures) if secret in told]
