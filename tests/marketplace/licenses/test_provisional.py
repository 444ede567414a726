"""Provisional licenses: for an outage of the marketplace only, and within budgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from licsrv.app import build_runtime, create_app
from licsrv.errors import (
    MarketplaceAuthenticationError,
    MarketplaceBusyError,
    MarketplacePausedError,
    MarketplaceUnansweredError,
)
from licsrv.licensing.tables import License
from licsrv.marketplace import provisional
from licsrv.marketplace.provisional import Budgets, Granted
from licsrv.marketplace.tables import ProvisionalGrant
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import reading
from licsrv.runtime import Runtime
from tests.conftest import NOW, StandingClock

UNKNOWN = {"error_code": "92020005", "error_msg": "unknown"}


class Marketplace(httpx2.AsyncBaseTransport):
    """Answers every call alike, when it is let."""

    def __init__(self, status: int = 200, body: Any = None, *, text: str | None = None) -> None:
        self.status, self.body, self.text = status, body if body is not None else UNKNOWN, text
        self.open = asyncio.Event()
        self.open.set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await self.open.wait()
        if self.text is not None:
            return httpx2.Response(self.status, text=self.text)
        return httpx2.Response(self.status, json=self.body)


class Down(httpx2.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")


@asynccontextmanager
async def server(
    settings: Any, clock: StandingClock, marketplace: httpx2.AsyncBaseTransport, **changes: Any
) -> AsyncIterator[Runtime]:
    runtime = build_runtime(settings.model_copy(update=changes), clock=clock, transport=marketplace)
    try:
        yield runtime
    finally:
        await runtime.close()


def machines() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"3C:52:82:00:{number // 256:02X}:{number % 256:02X}|WD-{number:06d}X|BD{number:06d}Y|C{number}"


async def ask(runtime: Runtime, code: str, device: str, address: str = "192.0.2.1") -> httpx2.Response:
    transport = httpx2.ASGITransport(app=create_app(runtime), client=(address, 1234))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        return await client.post("/v1/licenses/string", json={"code": code, "device_info": device, "nonce": "n"})


def licenses(runtime: Runtime, model: Any = License) -> list[Any]:
    with reading(runtime.database) as session:
        return list(session.exec(select(model)).all())


@pytest.mark.soak
async def test_many_invented_codes_at_once_are_load_and_not_an_outage(settings: Any, clock: StandingClock) -> None:
    marketplace = Marketplace()
    marketplace.open.clear()
    async with server(settings, clock, marketplace, activation_timeout_seconds=0.2) as runtime:
        asked = [
            asyncio.ensure_future(ask(runtime, f"PL-INVENTED-{number}", device))
            for number, device in zip(range(58), machines(), strict=False)
        ]
        await asyncio.wait(asked, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        marketplace.open.set()
        answers = await asyncio.gather(*asked)

        turned_away = [answer for answer in answers if answer.status_code == 503]
        assert {answer.status_code for answer in answers} <= {200, 404, 503}
        # The five under way run into their own short time limit, which is an outage as far as they can tell.
        assert len(licenses(runtime)) <= 5
        assert len(turned_away) > 20
        assert all(answer.headers["retry-after"] for answer in turned_away)
        assert len(licenses(runtime, OutboxRow)) == len(licenses(runtime))


async def test_a_rate_limit_or_an_undocumented_answer_is_no_outage(settings: Any, clock: StandingClock) -> None:
    answers = {
        "429 of the gateway": Marketplace(429, {"error_code": "APIG.0308", "error_msg": "throttling"}),
        "429 as a page": Marketplace(429, text="<html>slow down</html>"),
        "403 of a firewall": Marketplace(403, text="<html>blocked</html>"),
        "404 as a page": Marketplace(404, text="not here"),
        "an undocumented code": Marketplace(200, {"error_code": "92029999", "error_msg": "new"}),
        "the same with 400": Marketplace(400, {"error_code": "92029999", "error_msg": "new"}),
    }
    for name, marketplace in answers.items():
        async with server(settings, clock, marketplace) as runtime:
            answer = await ask(runtime, "PL-INVENTED", next(machines()))
            assert (answer.status_code, answer.json()["code"]) == (503, "MARKETPLACE_UNAVAILABLE"), name
            assert answer.headers["retry-after"], name
            assert licenses(runtime) == [], name


async def test_an_outage_gives_provisional_licenses_within_the_budgets(settings: Any, clock: StandingClock) -> None:
    budgets = {"provisional_per_address": 2, "provisional_per_network": 3, "provisional_in_all": 5}
    asked = [
        ("192.0.2.1", 200), ("192.0.2.1", 200), ("192.0.2.1", 503),  # the address has had its two
        ("192.0.2.2", 200), ("192.0.2.3", 503),  # the network its three
        ("2001:db8::1", 200), ("::ffff:192.0.2.9", 503),  # IPv4 in IPv6 is the same network
        ("2001:db8:1::1", 200), ("198.51.100.1", 503),  # all have had their five
    ]  # fmt: skip
    devices = machines()
    async with server(settings, clock, Down(), **budgets) as runtime:
        answers = [await ask(runtime, f"PL-{number}", next(devices), asked[number][0]) for number in range(len(asked))]

        assert [answer.status_code for answer in answers] == [status for _, status in asked]
        metrics = runtime.metrics.text().decode()
        assert 'licsrv_provisional_denied_total{budget="address"} 1.0' in metrics
        assert 'licsrv_provisional_denied_total{budget="network"} 2.0' in metrics
        assert 'licsrv_provisional_denied_total{budget="all"} 1.0' in metrics
        assert "192.0.2" not in str([row.model_dump() for row in licenses(runtime, ProvisionalGrant)])
        known = await ask(runtime, "PL-0", "3C:52:82:00:00:01|WD-000001X|BD000001Y|C1")
        assert known.status_code == 200, "who has a provisional license goes on using it"

        clock.advance(hours=24, seconds=1)
        assert (await ask(runtime, "PL-TOMORROW", next(devices))).status_code == 200


async def test_many_at_once_do_not_pass_a_budget(settings: Any, clock: StandingClock) -> None:
    async with server(settings, clock, Down(), provisional_per_address=3) as runtime:
        asked = (ask(runtime, f"PL-{number}", device) for number, device in zip(range(20), machines(), strict=False))
        answers = await asyncio.gather(*asked)

        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [503] * 17


async def test_a_machine_with_one_part_changed_is_the_same_machine(settings: Any, clock: StandingClock) -> None:
    mac, disk, board, cpu = next(machines()).split("|")
    other = next(machines())
    variations = [
        f"3C:52:82:AA:BB:CC|{disk}|{board}|{cpu}",
        f"{mac},3C:52:82:AA:BB:CC|{disk}|{board}|{cpu}",
        f"{mac}|{disk}|{board}|",
        f"{mac}|{disk}|JUNKBOARD77|{cpu}",
    ]
    async with server(settings, clock, Down()) as runtime:
        assert (await ask(runtime, "PL-FIRST", other)).status_code == 200
        for number, device in enumerate(variations):
            assert (await ask(runtime, f"PL-{number}", device)).status_code == 503, device


def test_what_counts_as_an_outage() -> None:
    until = NOW + timedelta(seconds=1)

    assert provisional.is_outage(MarketplaceUnansweredError("no answer"))
    assert provisional.is_outage(MarketplacePausedError("paused", until=until))
    assert provisional.is_outage(MarketplaceAuthenticationError("refused"))
    assert not provisional.is_outage(MarketplaceBusyError("busy", until=until))
    assert not provisional.is_outage(MarketplaceUnansweredError("rate limit", is_outage=False))


@pytest.mark.parametrize(
    ("granted", "budget"),
    [
        (Granted(0, 0, 0), None), (Granted(1, 2, 4), None), (Granted(2, 2, 4), "address"),
        (Granted(0, 3, 4), "network"), (Granted(0, 0, 5), "all"), (Granted(9, 9, 9), "all"),
    ],
)  # fmt: skip
def test_each_budget_ends_at_its_number(granted: Granted, budget: str | None) -> None:
    assert provisional.exhausted(Budgets(2, 3, 5), granted) == budget


def test_a_budget_of_nothing_gives_nothing() -> None:
    assert provisional.exhausted(Budgets(0, 0, 0), Granted(0, 0, 0)) == "all"
