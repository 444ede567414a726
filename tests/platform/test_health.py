"""Whether it lives, whether it can serve, what it counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from licsrv import migrations
from licsrv.errors import StorageError
from licsrv.outbox import store as outbox
from licsrv.outbox.messages import QueryLicense
from licsrv.platform.db import transaction
from licsrv.platform.health import Check, Finding, HealthRoutes
from licsrv.platform.metrics import Metrics
from licsrv.platform.openapi import routes
from licsrv.platform.web import Gateway, exception_handlers
from licsrv.runtime import Runtime
from tests.conftest import NOW, StandingClock


async def good() -> Finding:
    return Finding(True, "as it should be", {"count": 3})


async def bad() -> Finding:
    return Finding(False, "not as it should be")


async def failing() -> Finding:
    raise ValueError("postgresql://licsrv:password@db")


async def hanging() -> Finding:
    await asyncio.Event().wait()
    raise AssertionError


async def nothing() -> None:
    return None


async def no_database() -> None:
    raise StorageError("The database failed.")


def client_of(
    *, check_seconds: float = 10, before_metrics: Callable[[], Awaitable[None]] = nothing, **checks: Check
) -> httpx2.AsyncClient:
    metrics = Metrics()
    operations = HealthRoutes("1.2.3", checks, metrics, before_metrics, check_seconds).operations()
    app = Starlette(routes=routes(operations), exception_handlers=exception_handlers(metrics))
    transport = httpx2.ASGITransport(app=Gateway(app, metrics=metrics))
    return httpx2.AsyncClient(transport=transport, base_url="http://test")


@pytest.fixture
async def all_good() -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(database=good, keys=good) as http:
        yield http


async def test_a_process_that_answers_lives(all_good: httpx2.AsyncClient) -> None:
    assert (await all_good.get("/healthz")).json() == {"status": "ok", "version": "1.2.3"}
    assert (await all_good.head("/healthz")).status_code == 200


async def test_it_is_ready_when_every_check_is_good(all_good: httpx2.AsyncClient) -> None:
    answer = await all_good.get("/readyz")

    assert answer.status_code == 200
    found = {"ok": True, "detail": "as it should be", "count": 3}
    assert answer.json() == {"status": "ready", "checks": {"database": found, "keys": found}}


async def test_a_bad_check_is_named_with_all_the_others() -> None:
    async with client_of(database=bad, keys=good, outbox=failing) as http:
        answer = await http.get("/readyz")

    body = answer.json()
    assert (answer.status_code, body["code"], answer.headers["retry-after"]) == (503, "SERVICE_UNAVAILABLE", "5")
    assert body["detail"] == "Not ready: database, outbox."
    assert body["checks"]["keys"]["ok"] is True
    assert body["checks"]["outbox"] == {"ok": False, "detail": "failed (ValueError)"}
    assert "password" not in answer.text


async def test_a_check_that_hangs_is_a_finding() -> None:
    async with client_of(check_seconds=0.01, database=hanging) as http:
        answer = await http.get("/readyz")

    assert answer.json()["checks"]["database"] == {"ok": False, "detail": "no answer in time"}


async def test_metrics_are_in_the_form_of_prometheus(all_good: httpx2.AsyncClient) -> None:
    await all_good.get("/healthz")

    answer = await all_good.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'licsrv_requests_total{method="GET",route="/healthz",status="200"} 1.0' in answer.text


async def never() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("before_metrics", [no_database, never])
async def test_metrics_are_told_while_the_database_is_gone(before_metrics: Callable[[], Awaitable[None]]) -> None:
    async with client_of(check_seconds=0.05, before_metrics=before_metrics) as http:
        answer = await http.get("/metrics")

    assert (answer.status_code, "licsrv_requests" in answer.text) == (200, True)


async def test_the_whole_service_is_ready_and_says_what_waits(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    with transaction(runtime.database) as session:
        outbox.enqueue(session, QueryLicense("k", code="c"), now=NOW)
    clock.advance(seconds=90)

    body = (await client.get("/readyz")).json()

    assert body["status"] == "ready"
    assert body["checks"]["database"]["migration"] == migrations.HEAD
    assert body["checks"]["keys"]["count"] >= 2
    assert body["checks"]["outbox"]["oldest_seconds"] == 90
    assert "licsrv_outbox_oldest_seconds 90.0" in (await client.get("/metrics")).text


async def test_an_older_schema_is_not_ready(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    with transaction(runtime.database) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))

    answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == {"ok": False, "detail": "schema at step 0000", "migration": "0000"}
