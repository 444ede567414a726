"""Callbacks end to end: once only, in any order, on both engines; bad ones change nothing but the log."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from sqlmodel import select
from starlette.applications import Starlette

from licsrv import audit
from licsrv.audit import Cause
from licsrv.licensing import changes
from licsrv.licensing.changes import Purchase
from licsrv.licensing.devices import Terms
from licsrv.licensing.tables import License
from licsrv.marketplace.callbacks.routes import CallbackRoutes
from licsrv.marketplace.licenses.applications import Issuer
from licsrv.marketplace.origins import AUTHORIZATION_CODE
from licsrv.marketplace.tables import CallbackRecord, LicenseOrder
from licsrv.outbox.tables import OutboxRow
from licsrv.platform import openapi
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import ACCESS_KEY, NOW, StandingClock
from tests.marketplace.sending import application, release, renewal, send, sign, status
from tests.tables import each

CODE = "PL0000000001"
END = NOW + timedelta(days=30)


@pytest.fixture(autouse=True)
def license(runtime: Runtime) -> None:
    purchase = Purchase(CODE, AUTHORIZATION_CODE.source, product_id="OFFI1", expires_at=END)
    with transaction(runtime.database) as session:
        changes.add(session, purchase, cause=Cause("test"), now=NOW - timedelta(days=1))


def rows(runtime: Runtime, model: Any) -> list[Any]:
    with reading(runtime.database) as session:
        assert audit.verify(session) is None
        return list(session.exec(select(model)).all())


def stored(runtime: Runtime) -> License:
    [row] = rows(runtime, License)
    assert isinstance(row, License)
    return row


def result(answer: httpx2.Response) -> str:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"resultCode", "resultMsg"}
    return str(answer.json()["resultCode"])


async def test_a_renewal_extends_and_the_marketplace_is_asked_afterwards(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    answer = await send(client, renewal(CODE, "20270101000000", productId="OFFI2"), at=NOW)

    assert result(answer) == "000000"
    assert stored(runtime).expires_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert stored(runtime).product_id == "OFFI2"
    assert [row.kind for row in rows(runtime, OutboxRow)] == ["query_license"]
    assert [(row.order_id, row.scene) for row in rows(runtime, LicenseOrder)] == [("CS1", "RENEWAL")]
    [record] = rows(runtime, CallbackRecord)
    assert (record.activity, record.code, record.result_code, record.is_signed) == (
        "refreshLicenseCode", CODE, "000000", True
    )  # fmt: skip


async def test_the_same_message_sixty_times_is_one_change(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    message = renewal(CODE, "20270101000000")

    answers = await asyncio.gather(*(send(client, message, at=NOW) for _ in range(60)))

    assert {result(answer) for answer in answers} == {"000000"}
    assert len(rows(runtime, OutboxRow)) == 1
    assert len(rows(runtime, LicenseOrder)) == 1
    assert len(rows(runtime, CallbackRecord)) == 60


async def test_a_replay_is_refused_also_with_digits_moved_from_the_nonce(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    body = b'{"activity":"updateLicenseCodeStatus","license":"PL0000000001","status":"FREEZE"}'
    timestamp = str(int(NOW.timestamp() * 1000))
    first = await send(client, body, at=NOW, nonce="abc")

    again = await send(client, body, at=NOW, nonce="abc", signature=sign(body, "abc", timestamp).upper())
    other_body = await send(client, status(CODE, "UNFREEZE"), at=NOW, nonce="abc")

    assert [result(answer) for answer in (first, again, other_body)] == ["000000", "000001", "000001"]
    assert stored(runtime).frozen_at is not None


async def test_a_late_renewal_never_shortens(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    await send(client, renewal(CODE, "20280101000000", "CS2"), at=clock.now())
    clock.advance(minutes=4)

    late = await send(client, renewal(CODE, "20270101000000", "CS1"), at=clock.now())

    assert result(late) == "000000"
    assert stored(runtime).expires_at == datetime(2028, 1, 1, tzinfo=UTC)


async def test_a_renewal_undone_shortens_and_its_own_renewal_coming_late_does_not_extend(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    await send(client, renewal(CODE, "20270101000000", "CS1"), at=clock.now())
    clock.advance(minutes=1)
    undone = renewal(CODE, "20260331093000", "CS2", scene="UNSUBSCRIBE_RENEWAL_PERIOD")

    assert result(await send(client, undone, at=clock.now())) == "000000"
    assert result(await send(client, renewal(CODE, "20270101000000", "CS1"), at=clock.now())) == "000000"
    older = await send(client, renewal(CODE, "20290101000000", "CS3"), at=clock.now() - timedelta(seconds=50))

    assert result(older) == "000000"
    assert stored(runtime).expires_at == END


async def test_freezing_and_unfreezing_follow_the_signed_time(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    moments = [clock.now() + timedelta(seconds=offset) for offset in (-30, -20, -10)]

    assert result(await send(client, status(CODE, "UNFREEZE"), at=moments[1])) == "000000"
    assert result(await send(client, status(CODE, "FREEZE"), at=moments[0])) == "000000"
    assert stored(runtime).frozen_at is None, "the freeze was stated before the unfreeze"
    await send(client, status(CODE, "FREEZE"), at=moments[2])
    assert stored(runtime).frozen_at is not None
    clock.advance(minutes=1)
    await send(client, status(CODE, "UNFREEZE"), at=clock.now())
    await send(client, status(CODE, "FREEZE"), at=clock.now() + timedelta(seconds=1))
    assert stored(runtime).frozen_at is not None, "the third message, equal to the first to the letter, counts"


async def test_a_status_that_comes_too_late_to_count_has_the_marketplace_asked(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    """What was known may be our own clock's word, which ran ahead: the message must not be lost over it."""
    await send(client, status(CODE, "UNFREEZE"), at=NOW + timedelta(seconds=40))
    assert rows(runtime, OutboxRow) == [], "nothing is in doubt"

    assert result(await send(client, status(CODE, "FREEZE"), at=NOW)) == "000000"

    assert stored(runtime).frozen_at is None
    assert [row.kind for row in rows(runtime, OutboxRow)] == ["query_license"]


async def test_a_release_is_final_and_whatever_comes_later_changes_nothing(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    for _ in range(2):
        answer = await send(client, release(CODE, orderId="CS9", orderLineId="CS9-000001"), at=clock.now())
        assert result(answer) == "000000"
    before = stored(runtime)

    clock.advance(seconds=5)
    for message in (renewal(CODE, "20290101000000"), status(CODE, "FREEZE"), release(CODE)):
        assert result(await send(client, message, at=clock.now())) == "000000"

    after = stored(runtime)
    assert (after.released_at, after.expires_at, after.frozen_at) == (before.released_at, END, None)


@pytest.mark.parametrize(
    "message",
    [
        renewal("UNKNOWN", "20270101000000", testFlag="1"),
        status("UNKNOWN", "FREEZE", testFlag="1"),
        release(CODE, testFlag="1"),
        status(CODE, "NONSENSE", testFlag="1"),
    ],
)
async def test_a_probe_is_answered_and_changes_nothing_but_the_log(
    client: httpx2.AsyncClient, runtime: Runtime, message: dict[str, Any]
) -> None:
    assert result(await send(client, message, at=NOW)) == "000000"

    assert (stored(runtime).released_at, stored(runtime).frozen_at) == (None, None)
    assert [row.is_probe for row in rows(runtime, CallbackRecord)] == [True]
    assert rows(runtime, OutboxRow) == []


LONG = "x" * 65
SIGNED_AND_WRONG: list[tuple[dict[str, Any] | bytes, str]] = [
    (renewal("PL9", "20270101000000"), "000003"),
    (status("PL9", "FREEZE"), "000003"),
    (release("PL9"), "000003"),
    ({"activity": "newThing", "license": CODE}, "000002"),
    ({"license": CODE}, "000002"),
    ({"activity": 7}, "000002"),
    (renewal(CODE, "2027010100000"), "000002"),
    (renewal(CODE, "202701010000"), "000002"),
    (renewal(CODE, "20270230000000"), "000002"),
    (renewal(CODE, "２０２７０１０１００００００"), "000002"),
    (renewal(CODE, ""), "000002"),
    (renewal(CODE, "20270101000000", orderId=["CS2"]), "000002"),
    (renewal(CODE, "20270101000000", orderId={"id": "CS2"}), "000002"),
    (renewal(CODE, "20270101000000", orderId=10**64), "000002"),
    (renewal(CODE, 2027010100000), "000002"),
    (renewal(CODE, 20270230000000), "000002"),
    (renewal(CODE, True), "000002"),
    (renewal(CODE, "20270101000000", scene=None), "000002"),
    (renewal(CODE, "20270101000000", scene=LONG), "000002"),
    (renewal(CODE, "20270101000000", productId=LONG), "000002"),
    (renewal(CODE, "20270101000000", testFlag=2), "000002"),
    (renewal(CODE, "20270101000000", testFlag="yes"), "000002"),
    (renewal(CODE, "20270101000000", testFlag=[]), "000002"),
    (renewal(CODE, "20270101000000", testFlag={}), "000002"),
    (status(CODE, "freeze"), "000002"),
    (status(CODE, "NORMAL"), "000002"),
    (status(LONG, "FREEZE"), "000002"),
    (status("", "FREEZE"), "000002"),
    (release("PL\u0000"), "000002"),
    (release(CODE, orderId=LONG), "000002"),
    (b"", "000002"),
    (b"not json", "000002"),
    (b"[]", "000002"),
    (b'{"activity":"releaseLicenseCode","license":"PL0000000001","license":"PL0000000001"}', "000002"),
    (b'{"activity":"releaseLicenseCode","license":"PL0000000001","x":NaN}', "000002"),
    (b'{"activity":"releaseLicenseCode","license":"PL0000000001","x":' + b"[" * 20_000 + b"}", "000002"),
    (b'{"activity":"releaseLicenseCode","license":' + b"9" * 30_000 + b"}", "000002"),
    (b'{"activity":"releaseLicenseCode","license":"\\ud800"}', "000002"),
    (b'{"activity":"releaseLicenseCode","license":"\xff"}', "000002"),
    (b'\xef\xbb\xbf{"activity":"releaseLicenseCode","license":"PL0000000001"}', "000002"),
]


async def test_a_signed_message_that_does_not_fit_gets_its_code_and_changes_nothing(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    before = stored(runtime).model_dump()

    for row in each(SIGNED_AND_WRONG):
        with row as (message, code):
            assert result(await send(client, message, at=NOW)) == code
            assert stored(runtime).model_dump() == before
            assert rows(runtime, OutboxRow) == []

    records = [(record.is_signed, record.result_code) for record in rows(runtime, CallbackRecord)]
    assert sorted(records) == sorted((True, code) for _, code in SIGNED_AND_WRONG)


UNSIGNED = [
    ({"signature": "0" * 64}, "000001"),
    ({"signature": ""}, "000001"),
    ({"signature": "签名"}, "000001"),
    ({"signature": "\u0000"}, "000001"),
    ({"timestamp": ""}, "000002"),
    ({"timestamp": "abc"}, "000002"),
    ({"timestamp": "１７"}, "000002"),
    ({"timestamp": str(int((NOW - timedelta(milliseconds=60_001)).timestamp() * 1000))}, "000002"),
    ({"timestamp": str(int((NOW + timedelta(milliseconds=60_001)).timestamp() * 1000))}, "000002"),
    ({"nonce": ""}, "000002"),
]


async def test_a_callback_that_nobody_signed_changes_nothing_and_its_body_is_not_kept(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    for row in each(UNSIGNED):
        with row as (query, code):
            assert result(await send(client, release(CODE), at=NOW, **query)) == code
            assert stored(runtime).released_at is None

    kept = [(record.is_signed, record.body, record.code) for record in rows(runtime, CallbackRecord)]
    assert kept == [(False, "", "")] * len(UNSIGNED)


@pytest.mark.parametrize("size", [65_537, 1024 * 1024])
async def test_a_body_that_is_too_long_gets_its_code(client: httpx2.AsyncClient, runtime: Runtime, size: int) -> None:
    assert result(await send(client, b"x" * size, at=NOW)) == "000002"

    assert stored(runtime).released_at is None


@pytest.mark.parametrize("offset", [timedelta(seconds=-60), timedelta(seconds=60)])
async def test_a_minute_of_clock_difference_is_allowed(
    client: httpx2.AsyncClient, runtime: Runtime, offset: timedelta
) -> None:
    assert result(await send(client, status(CODE, "FREEZE"), at=NOW + offset)) == "000000"


async def test_an_unsorted_body_signed_over_its_sorted_form_is_believed(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    wire = b'{ "status": "FREEZE", "license": "PL0000000001", "x": null, "activity": "updateLicenseCodeStatus" }'
    canonical = b'{"activity":"updateLicenseCodeStatus","license":"PL0000000001","status":"FREEZE"}'
    timestamp = str(int(NOW.timestamp() * 1000))

    answer = await send(client, wire, at=NOW, nonce="n+/=", signature=sign(canonical, "n+/=", timestamp).upper())

    assert result(answer) == "000000"
    assert stored(runtime).frozen_at is not None


async def test_a_fault_of_ours_is_answered_with_its_code_too(runtime: Runtime) -> None:
    """The marketplace reads no other answer than HTTP 200 with a result code."""

    def broken() -> Any:
        raise ZeroDivisionError

    terms = Terms("licsrv")
    routes = CallbackRoutes(
        runtime.writer, [SecretStr(ACCESS_KEY)], UTC, Issuer(terms, broken), runtime.clock, runtime.metrics
    )
    app = Starlette(routes=openapi.routes(routes.operations()))
    transport = httpx2.ASGITransport(app=app)

    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as http:
        answer = await send(http, application(CODE), at=NOW)

    assert result(answer) == "000005"
    assert rows(runtime, OutboxRow) == []
