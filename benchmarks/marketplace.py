"""A marketplace that takes its time: the open API's paths, each call answered after a number of seconds.

It checks no signature and knows no code: it only gives the outbox something to wait for.
``GET /pace/<seconds>`` changes how long calls take and answers those under way at once; ``GET /calls`` counts calls.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.baseline import READY_PATH, serve

_PREFIX = "/api/mkp-openapi-public/global"
_ANSWERS: Mapping[str, Mapping[str, object]] = {
    f"{_PREFIX}/v1/license/heartbeat": {"status": "ALIVE"},
    f"{_PREFIX}/v2/license/software-usage-info": {},
}


class SlowMarketplace:
    """What the substitute knows: how long calls take, and which are under way."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._pace_changed = asyncio.Event()
        self._made = 0
        self._under_way = 0

    def application(self) -> Starlette:
        """Return it as an application."""
        calls = [Route(path, self._call, methods=["POST"]) for path in _ANSWERS]
        control = [Route("/pace/{seconds:float}", self._pace), Route("/calls", self._calls)]
        return Starlette(routes=[*calls, *control, Route(READY_PATH, self._calls)])

    async def _call(self, request: Request) -> Response:
        await request.body()
        self._made += 1
        self._under_way += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._pace_changed.wait()
        finally:
            self._under_way -= 1
        data = _ANSWERS[request.scope["path"]]
        return JSONResponse({"error_code": "92020000", "error_msg": "success", "data": data})

    async def _pace(self, request: Request) -> Response:
        self._seconds = request.path_params["seconds"]
        self._pace_changed.set()
        self._pace_changed = asyncio.Event()
        return await self._calls(request)

    async def _calls(self, _: Request) -> Response:
        return JSONResponse({"made": self._made, "under_way": self._under_way})


def main() -> None:
    """Serve the slow marketplace."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marketplace", description=__doc__)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    serve(SlowMarketplace(options.seconds).application(), options.port)


if __name__ == "__main__":
    main()
