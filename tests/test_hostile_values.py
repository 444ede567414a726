"""Unexpected values in every member of every message and request get a documented answer, never a fault of ours.

The combinations are the same ones each time. Both databases see them, because they refuse different things.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from licsrv.audit import Cause
from licsrv.licensing import changes
from licsrv.licensing.changes import Purchase
from licsrv.marketplace.origins import AUTHORIZATION_CODE, ONLINE_LICENSE
from licsrv.platform.db import transaction
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, NOW, OTHER_DEVICE, StandingClock
from tests.marketplace.sending import about_instance, application, opening, release, renewal, send, status
from tests.products import describe
from tests.soak import rounds

CODE, INSTANCE, ENDLESS = "PL0000000001", "business-1", "PL0000000002"
DOCUMENTED = {"000000", "000001", "000002", "000003", "000004", "000900", "000901", "000902", "000903"}
HOSTILE: Sequence[Any] = (
    None, True, 0, -1, 2**63, 1e308, [], {}, ["x"], {"a": 1}, "", " ", "\0", "a\0b", "\ud800", "\udc00\ud800", "\x7f",
    "x\u2028y", "\u200b", "😀" * 64, "😀" * 65, "a" * 64, "a" * 65, "a" * 255, "a" * 5120, "a" * 5121,
    "é" * 2558 + "|||", "99991231235959", "00010101000000", "20260230000000", "9999-12-31 23:59:59 z",
    "0001-01-01 00:00:00 z", "0", "1",
    "FREEZE", "UNFREEZE", "RENEWAL", "UNSUBSCRIBE_RENEWAL_PERIOD", CODE, INSTANCE, f"{INSTANCE},{CODE}", ",", "|||",
    "A|||", "|||D", DEVICE, OTHER_DEVICE, "../x", "NUL", "日" * 100, "9" * 64, "1!2.0", "v1",
)  # fmt: skip
MESSAGES: Sequence[Mapping[str, Any]] = (
    renewal(CODE, "20270101000000"),
    status(CODE, "FREEZE"),
    status(CODE, "UNFREEZE"),
    release("PL-NEVER-SEEN"),
    opening(),
    application(INSTANCE),
    about_instance(INSTANCE, "queryInstance"),
    about_instance(INSTANCE, "updateInstanceStatus", status="UNFREEZE"),
    about_instance(INSTANCE, "upgradeInstance", orderId="CS3", orderLineId="CS3-000001"),
    about_instance(
        INSTANCE, "refreshInstance", scene="RENEWAL", orderId="CS2", orderLineId="CS2-1", expireTime="20270601000000"
    ),
    {"activity": "orderNotify", "orderId": "CS1", "orderLineId": "CS1-000001"},
)
SESSION = "a-session-of-a-program"
REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "/v1/licenses/string": {"code": CODE, "device_info": DEVICE, "nonce": "n", "client": {"version": "1", "name": "x"}},
    "/v1/licenses/file": {"code": ENDLESS, "device_info": DEVICE, "nonce": "n", "file_name": "a.lic"},
    "/v1/heartbeats": {"device_info": DEVICE, "nonce": "n", "client": {"version": "1"}},
    "/v1/versions/check": {"product": "OFFI1", "version": "1.0", "channel": "stable", "platform": "linux"},
    "/v1/devices/release": {"device_info": OTHER_DEVICE},
    "/v1/seats/checkout": {"session": SESSION, "device_info": DEVICE, "nonce": "n", "user": "ada", "queue": True},
    "/v1/seats/renew": {"session": SESSION, "device_info": DEVICE, "nonce": "n", "seat_id": "1"},
    "/v1/seats/borrow": {
        "session": SESSION,
        "device_info": DEVICE,
        "nonce": "n",
        "seat_id": "1",
        "until": "2026-03-02T09:30:00Z",
    },
    "/v1/seats/return": {"session": SESSION, "device_info": DEVICE, "seat_id": "1"},
}


@pytest.fixture(autouse=True)
def licenses(runtime: Runtime) -> None:
    ends = {CODE: NOW + timedelta(days=30), ENDLESS: None, INSTANCE: datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)}
    with transaction(runtime.database) as session:
        describe(session, "OFFI1", {"places.floating": True, "floating.borrow_days": 3})
        for code, ends_at in ends.items():
            source = ONLINE_LICENSE.source if code == INSTANCE else AUTHORIZATION_CODE.source
            purchase = Purchase(code, source, product_id="OFFI1", expires_at=ends_at, device_limit=3)
            changes.add(session, purchase, cause=Cause("test"), now=NOW - timedelta(days=1))


def spoiled(chance: random.Random, document: Mapping[str, Any]) -> bytes:
    """Return a document with one or two of its members, or one that it has not, replaced."""
    names = [*document, "testFlag", "productId", "client"]
    replaced = {name: chance.choice(HOSTILE) for name in chance.sample(names, chance.choice((1, 1, 2)))}
    text = json.dumps({**document, **replaced}, ensure_ascii=chance.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


@rounds(everyday=240, short=960, whole=50_000)
async def test_every_signed_message_gets_a_documented_code(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock, rounds: int
) -> None:
    chance, seen = random.Random(rounds), set()
    for number in range(rounds):
        body = spoiled(chance, MESSAGES[number % len(MESSAGES)])
        clock.advance(seconds=1)

        answer = await send(client, body, at=clock.now())

        assert (answer.status_code, answer.json()["resultCode"] in DOCUMENTED) == (200, True), (body, answer.text)
        seen.add(answer.json()["resultCode"])
    await runtime.worker.drain()
    assert {"000000", "000002", "000003"} <= seen


@rounds(everyday=240, short=960, whole=50_000)
async def test_every_request_of_a_device_gets_an_answer_or_a_refusal_with_a_code(
    client: httpx2.AsyncClient, runtime: Runtime, rounds: int
) -> None:
    chance, seen = random.Random(rounds), set()
    first = await client.post("/v1/licenses/string", json=REQUESTS["/v1/licenses/string"])
    bearer = f"Bearer {first.json()['license_string']}"
    bearers = [bearer] * 8 + ["bearer", "Bearer \xff", "Basic eA==", ""]
    taken = await client.post(
        "/v1/seats/checkout", json=REQUESTS["/v1/seats/checkout"], headers={"Authorization": bearer}
    )
    seat = {"seat_id": taken.json()["seat_id"]}
    for number in range(rounds):
        path = [*REQUESTS][number % len(REQUESTS)]
        body = spoiled(chance, REQUESTS[path] | (seat if "seat_id" in REQUESTS[path] else {}))
        headers = {"Content-Type": "application/json", "Authorization": chance.choice(bearers)}

        answer = await client.post(path, content=body, headers={k: v.encode("latin-1") for k, v in headers.items()})

        assert answer.status_code < 500, (path, body, answer.text)
        assert answer.status_code == 200 or answer.json()["code"].isupper()
        seen.add(answer.status_code)
    assert {200, 401, 409, 422} <= seen
