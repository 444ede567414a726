"""The emulator as an ASGI application: open API, control API, and JSON answers for everything that is neither."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime

import httpx2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from licsrv.emulator.control import SharedControl, help_lines
from licsrv.emulator.control_routes import PREFIX, ControlRoute
from licsrv.emulator.emulator import Emulator
from licsrv.emulator.errors import ControlError
from licsrv.emulator.open_api import routes as open_api_routes
from licsrv.emulator.probe_control import ProbeControl
from licsrv.emulator.settings import EmulatorSettings


def create_app(
    settings: EmulatorSettings,
    *,
    transport: httpx2.AsyncBaseTransport | None = None,
    now: Callable[[], datetime] | None = None,
) -> Starlette:
    """Return the emulator as an application; ``app.state.emulator`` is the ``Emulator`` behind it.

    In-process (``httpx2.ASGITransport(app)``) no lifespan is needed; close with ``await app.state.emulator.aclose()``.

    Args:
        settings: The marketplace's side of the contract.
        transport: Where callbacks go instead of the network.
        now: The clock to start from; this machine's when None.
    """
    emulator = Emulator(settings, transport=transport, now=now)
    operations = [operation for line in emulator.product_lines for operation in line.operations()]
    control = control_routes_of(emulator)
    app = Starlette(
        routes=[
            *open_api_routes(emulator, operations),
            *(route for line in emulator.product_lines for route in line.web_routes()),
            *(route.mounted() for route in control),
            Route(PREFIX, _help(control), methods=["GET"]),
        ],
        exception_handlers={ControlError: _control_error, HTTPException: _http_error},
        lifespan=_closing(emulator),
    )
    app.router.redirect_slashes = False
    app.state.emulator = emulator
    return app


def control_routes_of(emulator: Emulator) -> list[ControlRoute]:
    """Return every control route, those of the product lines first."""
    of_lines = [route for line in emulator.product_lines for route in line.control_routes()]
    return [*of_lines, *ProbeControl(emulator.probes).routes(), *SharedControl(emulator).routes()]


def _help(control: list[ControlRoute]) -> Callable[[Request], JSONResponse]:
    def show(_request: Request) -> JSONResponse:
        return JSONResponse({"routes": help_lines(control)})

    return show


def _control_error(_request: Request, error: Exception) -> JSONResponse:
    status = error.status if isinstance(error, ControlError) else 400
    return JSONResponse({"error": str(error)}, status_code=status)


def _http_error(_request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 400
    sentence = {404: "there is nothing here; GET /control lists what there is", 405: "this path has another method"}
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse({"error": sentence.get(status, str(error))}, status_code=status, headers=headers)


def _closing(emulator: Emulator) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        probing = asyncio.create_task(emulator.probe_twice_a_day())
        yield
        probing.cancel()
        await emulator.aclose()

    return lifespan
