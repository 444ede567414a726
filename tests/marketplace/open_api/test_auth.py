"""Signing as an auth flow: what is signed is what is sent, for every host and every try."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import httpx2

from licsrv.emulator.aksk import SignedRequest, is_signed_with, parse_authorization
from licsrv.marketplace.open_api.aksk import KeyPair
from licsrv.marketplace.open_api.auth import KeyPairAuth
from tests.tables import each

VECTORS = json.loads((Path(__file__).parent.parent.parent / "vectors" / "aksk.json").read_text("utf-8"))
PAIR = KeyPair("TESTAK", "testsecret")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Gateway:
    """Checks signatures as the emulator does, over what arrives."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.signatures: list[str] = []
        self.now = NOW

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.signatures.append(request.headers["authorization"])
        path, _, query = request.url.raw_path.decode().partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        signed = SignedRequest(request.method, unquote(path), query, headers, request.content)
        given = parse_authorization(headers.get("authorization", ""))
        return httpx2.Response(204 if given is not None and is_signed_with(PAIR.sk, signed, given) else 401)

    def client(self) -> httpx2.Client:
        auth = KeyPairAuth(PAIR, clock=lambda: self.now)
        return httpx2.Client(transport=httpx2.MockTransport(self), auth=auth)


URLS = [
    "https://mkt.myhuaweicloud.com/v1/order/query",
    "https://mkt.myhuaweicloud.com:443/v1/order/query?b=2&a=1&a=0",
    "https://mkt.myhuaweicloud.cn:8443/v1/order/query?orderId=CS%201%2F%2B&orderLineId=%E5%8D%95",
    "http://127.0.0.1:8001/behind/a%20proxy/v1/order/query?orderId=a+b",
    "http://127.0.0.1:8001/?flag&empty=&=unnamed",
    "http://[::1]:8001/x~y?q=~-_.",
]


def test_the_other_side_finds_each_request_signed_as_it_arrives() -> None:
    gateway = Gateway()
    with gateway.client() as http:
        for row in each([(method, url) for url in URLS for method in ("GET", "POST")]):
            with row as (method, url):
                assert http.request(method, url, content=b'{"\xe5":1}' if method == "POST" else None).status_code == 204


def test_a_changed_byte_is_noticed() -> None:
    for row in each(["path", "query", "body", "host"]):
        with row as changed:
            gateway = Gateway()
            request = httpx2.Request("POST", "https://a.example/path?query=1", content=b"body")
            signed = next(KeyPairAuth(PAIR, clock=lambda: NOW).auth_flow(request))
            url = str(signed.url).replace(changed, "other") if changed in {"path", "query"} else signed.url
            headers = dict(signed.headers) | ({"host": "b.example"} if changed == "host" else {})
            body = b"other" if changed == "body" else signed.content
            headers.pop("content-length")
            assert gateway(httpx2.Request("POST", url, headers=headers, content=body)).status_code == 401


def test_the_published_call_gets_the_published_signature() -> None:
    vector = next(v for v in VECTORS["signed"] if v["name"] == "activate v1")
    request = httpx2.Request(
        vector["method"], f"https://mkt.myhuaweicloud.com{vector['path']}", content=vector["body"].encode(),
        headers={"content-type": "application/json", "accept": "application/json"},
    )  # fmt: skip

    auth = KeyPairAuth(KeyPair(vector["ak"], vector["sk"]), clock=lambda: NOW)
    signed = next(auth.auth_flow(request))

    assert signed.headers["authorization"].endswith(f"Signature={vector['signature']}")


def test_a_second_host_and_a_second_try_get_signatures_of_their_own() -> None:
    gateway = Gateway()
    with gateway.client() as http:
        first = http.get("https://a.example/v1", headers={"authorization": "forged", "x-sdk-date": "20000101T000000Z"})
        second = http.get("https://b.example/v1")
        gateway.now += timedelta(seconds=1)
        again = http.send(first.request)

    assert [answer.status_code for answer in (first, second, again)] == [204] * 3
    assert len(set(gateway.signatures)) == 3
    assert again.request.headers["x-sdk-date"] == "20260101T000001Z"
    assert again.request.headers.get_list("authorization") == [again.request.headers["authorization"]]


async def test_a_body_that_is_streamed_is_read_before_it_is_signed() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    gateway = Gateway()
    auth = KeyPairAuth(PAIR, clock=lambda: NOW)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(gateway), auth=auth) as http:
        assert (await http.post("https://a.example/v1", content=parts())).status_code == 204

    assert gateway.requests[0].content == b"onetwo"


def test_a_redirect_carries_no_signature_to_another_host() -> None:
    def redirecting(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return (
            httpx2.Response(307, headers={"location": "https://b.example/"}) if len(seen) == 1 else httpx2.Response(204)
        )

    seen: list[httpx2.Request] = []
    auth = KeyPairAuth(PAIR, clock=lambda: NOW)
    with httpx2.Client(transport=httpx2.MockTransport(redirecting), auth=auth, follow_redirects=True) as http:
        http.get("https://a.example/")

    assert "authorization" not in seen[1].headers
