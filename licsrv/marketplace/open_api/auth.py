"""Signing as an auth flow: the one way in which a request to the open API gets its signature. No I/O.

The client, ``licsrv doctor`` and the tests use it. It signs the request as it will be sent: the path, the query, the
body's bytes, and the host that the request goes to. A request for a second host, or a repeated one, is signed again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import datetime
from urllib.parse import unquote

import httpx2

from licsrv.marketplace.open_api import aksk
from licsrv.marketplace.open_api.aksk import KeyPair

_SIGNED = ("host", "content-type")


class KeyPairAuth(httpx2.Auth):
    """Signs each request with an AK/SK pair (protocol/authorization-code.md §4).

    Args:
        clock: Gives the moment that is signed; the gateway refuses one more than 15 minutes from its own.
    """

    requires_request_body = True

    def __init__(self, pair: KeyPair, *, clock: Callable[[], datetime]) -> None:
        self._pair = pair
        self._clock = clock

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Sign the request and let it go once.

        The query is rewritten in its canonical form, so that the bytes that are signed are the bytes that are sent.
        """
        path, _, raw_query = request.url.raw_path.partition(b"?")
        query = _pairs(raw_query.decode("ascii"))
        written = aksk.canonical_query(query).encode("ascii")
        request.url = request.url.copy_with(raw_path=path + (b"?" + written if written else b""))
        request.headers[aksk.DATE_HEADER] = aksk.date_header(self._clock())
        request.headers["host"] = request.url.netloc.decode("ascii")  # with the port where it is not the default one
        signed = {name: request.headers[name] for name in (*_SIGNED, aksk.DATE_HEADER) if name in request.headers}
        request.headers["authorization"] = aksk.authorization(
            self._pair,
            method=request.method,
            path=path.decode("ascii"),
            query=query,
            headers=signed,
            body=request.content,
        )
        yield request


def _pairs(query: str) -> list[tuple[str, str]]:
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return [(unquote(name), unquote(value)) for name, _, value in pairs]
