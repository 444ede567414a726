"""Whether the process lives, whether it can serve, what it counts, and its documentation for people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from licsrv.errors import ServiceUnavailableError, StorageError
from licsrv.platform import logs, metrics
from licsrv.platform.metrics import Metrics
from licsrv.platform.openapi import Operation

_log = logs.logger(__name__)


@dataclass(frozen=True)
class Finding:
    """What one check found; ``values`` are facts for programs."""

    is_good: bool
    detail: str
    values: Mapping[str, object] = field(default_factory=dict)


Check = Callable[[], Awaitable[Finding]]


class Health(BaseModel):
    """The process answers."""

    status: str = Field(examples=["ok"])
    version: str


class Readiness(BaseModel):
    """The service can do its work, check by check."""

    status: str = Field(examples=["ready"])
    checks: dict[str, dict[str, object]]


@dataclass(frozen=True)
class HealthRoutes:
    """The routes that watch over a process.

    Args:
        checks: What readiness needs, by name.
        before_metrics: Brings gauges up to date when they are read.
        check_seconds: How long one check may take.
    """

    version: str
    checks: Mapping[str, Check]
    metrics: Metrics
    before_metrics: Callable[[], Awaitable[None]]
    check_seconds: float = 3.0

    def operations(self) -> Sequence[Operation]:
        """Return the operations."""
        return (
        Operation("GET", "/healthz", "Does the process live?", tag="operations", handler=self.healthz, result=Health),
        Operation(
            "GET", "/readyz", "Can it serve?", tag="operations", handler=self.readyz, result=Readiness,
            refusals=(ServiceUnavailableError,),
        ),
        Operation(
            "GET", "/metrics", "Prometheus metrics", tag="operations", handler=self.read_metrics,
            media_type="text/plain",
        ),
        )  # fmt: skip

    async def healthz(self, _: Request) -> Health:
        """Answer ``GET /healthz``."""
        return Health(status="ok", version=self.version)

    async def readyz(self, _: Request) -> Response:
        """Answer ``GET /readyz``: 200 when every check is good, else 503 with all of them."""
        findings = {name: await _guarded(check, self.check_seconds) for name, check in self.checks.items()}
        document = {
            name: {"ok": found.is_good, "detail": found.detail, **found.values} for name, found in findings.items()
        }
        if all(found.is_good for found in findings.values()):
            return JSONResponse({"status": "ready", "checks": document})
        names = ", ".join(name for name, found in findings.items() if not found.is_good)
        raise ServiceUnavailableError(f"Not ready: {names}.", retry_after=5, checks=document)

    async def read_metrics(self, _: Request) -> Response:
        """Answer ``GET /metrics``; without the database too, because metrics matter most then."""
        try:
            async with asyncio.timeout(self.check_seconds):
                await self.before_metrics()
        except (StorageError, TimeoutError):
            _log.warning("gauges are as they were: the database does not answer")
        return Response(self.metrics.text(), media_type=metrics.CONTENT_TYPE)


async def _guarded(check: Check, seconds: float) -> Finding:
    try:
        async with asyncio.timeout(seconds):
            return await check()
    except TimeoutError:
        return Finding(False, "no answer in time")
    except Exception as error:  # a check that fails is a finding
        return Finding(False, f"failed ({type(error).__name__})")
