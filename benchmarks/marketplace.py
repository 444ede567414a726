"""A marketplace that takes its time: the open API's paths, each answered after a fixed number of seconds.

It checks no signature and knows no code: it is there so that the outbox has somebody to wait for.
"""

from __future__ import annotations

import argparse
import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.baseline import READY_PATH, serve

_PREFIX = "/api/mkp-openapi-public/global"
_ALIVE = {"error_code": "92020000", "error_msg": "success", "data": {"status": "ALIVE"}}
_DONE = {"error_code": "92020000", "error_msg": "success", "data": {}}


def application(seconds: float) -> Starlette:
    """Return the application; every call takes that many seconds."""

    async def query(request: Request) -> Response:
        await request.body()
        await asyncio.sleep(seconds)
        return JSONResponse(_ALIVE)

    async def report_usage(request: Request) -> Response:
        await request.body()
        await asyncio.sleep(seconds)
        return JSONResponse(_DONE)

    async def ready(_: Request) -> Response:
        return JSONResponse({})

    return Starlette(
        routes=[
            Route(f"{_PREFIX}/v1/license/heartbeat", query, methods=["POST"]),
            Route(f"{_PREFIX}/v2/license/software-usage-info", report_usage, methods=["POST"]),
            Route(READY_PATH, ready),
        ]
    )


def main() -> None:
    """Serve the slow marketplace."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marketplace", description=__doc__)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    serve(application(options.seconds), options.port)


if __name__ == "__main__":
    main()
