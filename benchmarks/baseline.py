"""The bare Starlette application that everything is compared with: it reads the body and returns a constant.

Served by the very options of ``licsrv serve`` (a test compares the two), so that the ratio is that of the work.
"""

from __future__ import annotations

import argparse

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

READY_PATH = "/readyz"


def application(path: str, size: int) -> Starlette:
    """Return the application: ``POST path`` answers ``size`` bytes of JSON."""
    constant = b'{"constant":"' + b"x" * max(size - 15, 0) + b'"}'

    async def answer(request: Request) -> Response:
        await request.body()
        return Response(constant, media_type="application/json")

    async def ready(_: Request) -> Response:
        return Response(b"{}", media_type="application/json")

    return Starlette(routes=[Route(path, answer, methods=["POST"]), Route(READY_PATH, ready)])


def serve(app: Starlette, port: int) -> None:
    """Serve an application until stopped, the way ``licsrv serve`` does."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",
        timeout_graceful_shutdown=20,
        timeout_keep_alive=30,
    )


def main() -> None:
    """Serve the bare application."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baseline", description=__doc__)
    parser.add_argument("--path", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    serve(application(options.path, options.size), options.port)


if __name__ == "__main__":
    main()
