"""The stand-in for a slow marketplace: it keeps calls waiting until its pace lets them go."""

from __future__ import annotations

import anyio
import httpx2

from benchmarks.marketplace import SlowMarketplace

QUERY = "/api/mkp-openapi-public/global/v1/license/heartbeat"
USAGE = "/api/mkp-openapi-public/global/v2/license/software-usage-info"


def reaching(market: SlowMarketplace) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=market.application()), base_url="http://market.test")


async def test_both_calls_of_the_outbox_succeed() -> None:
    async with reaching(SlowMarketplace(0)) as client:
        answers = [(await client.post(path, json={})).json() for path in (QUERY, USAGE)]
        calls = (await client.get("/calls")).json()

    assert [answer["error_code"] for answer in answers] == ["92020000"] * 2
    assert answers[0]["data"] == {"status": "ALIVE"}
    assert calls == {"made": 2, "under_way": 0}


async def test_calls_under_way_are_counted_and_answered_when_the_pace_changes() -> None:
    async with reaching(SlowMarketplace(3600)) as client, anyio.create_task_group() as group:
        with anyio.fail_after(10):
            group.start_soon(client.post, QUERY)
            while (await client.get("/calls")).json()["under_way"] == 0:
                await anyio.lowlevel.checkpoint()
            await client.get("/pace/0")
            while (await client.get("/calls")).json()["under_way"]:
                await anyio.lowlevel.checkpoint()
