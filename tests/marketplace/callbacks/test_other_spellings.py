"""Messages that say the right thing in another spelling: numbers for text, blanks, a slash, a plus that is a plus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

import httpx2
import pytest
from sqlmodel import select

from licsrv.audit import Cause
from licsrv.licensing import changes
from licsrv.licensing.changes import Purchase
from licsrv.licensing.tables import License
from licsrv.marketplace.callbacks.routes import _parameters
from licsrv.marketplace.origins import AUTHORIZATION_CODE
from licsrv.marketplace.tables import CallbackRecord, LicenseOrder
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import NOW
from tests.marketplace.callbacks.test_license_v1 import purchase, signed
from tests.marketplace.sending import about_instance, release, renewal, send, sign
from tests.tables import each

END = NOW + timedelta(days=30)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def database_url(database_url: str) -> str:
    if database_url.startswith("postgresql"):
        pytest.skip("what is read does not depend on the database")
    return database_url


def sold(runtime: Runtime, code: str, **facts: Any) -> str:
    with transaction(runtime.database) as session:
        found = Purchase(code, AUTHORIZATION_CODE.source, **({"product_id": "OFFI1", "expires_at": END} | facts))
        return changes.add(session, found, cause=Cause("test"), now=NOW - timedelta(days=1)).id


def license_of(runtime: Runtime, code: str) -> License:
    with reading(runtime.database) as session:
        return session.exec(select(License).where(License.code == code)).one()


def rows(runtime: Runtime, model: Any) -> list[Any]:
    with reading(runtime.database) as session:
        return list(session.exec(select(model)).all())


async def test_a_scalar_counts_as_its_text(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    spellings: list[dict[str, Any]] = [
        {"expireTime": 20270101000000},
        {"expireTime": 20270101000000.0},
        {"expireTime": 20270101000000123},
        {"orderId": 1234567890123456789},
        {"orderLineId": 7, "orderId": 0},
        {"productId": 42, "scene": 1},
        {"testFlag": ""},
        {"testFlag": " "},
        {"testFlag": None},
        {"testFlag": 0},
        {"testFlag": False},
        {"testFlag": "0"},
    ]
    for number, row in enumerate(each(spellings)):
        with row as members:
            sold(runtime, f"PL{number}")
            answer = await send(client, renewal(f"PL{number}", "20270101000000", **members), at=NOW)
            assert answer.json()["resultCode"] == "000000"
            assert license_of(runtime, f"PL{number}").expires_at == LATER
    assert {"1234567890123456789", "0"} <= {order.order_id for order in rows(runtime, LicenseOrder)}


async def test_a_number_names_the_same_license_as_its_digits(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    sold(runtime, "4711")

    assert (await send(client, release("4711") | {"license": 4711}, at=NOW)).json()["resultCode"] == "000000"

    assert license_of(runtime, "4711").released_at == NOW


async def test_a_debug_request_changes_nothing_however_it_is_marked(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    sold(runtime, "PL1")
    for row in each(["1", 1, 1.0, True, "true", " 1 "]):
        with row as flag:
            assert (await send(client, release("PL1", testFlag=flag), at=NOW)).json()["resultCode"] == "000000"
            assert license_of(runtime, "PL1").released_at is None
            assert rows(runtime, CallbackRecord)[-1].is_probe


async def test_an_unknown_member_never_matters(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    values = ["9" * 30_000, "-" + "9" * 400, "1e999", "-1e999", "1.5", "[1e999,{}]", "{}", "null", "true", '"\\u00e5"']
    for number, row in enumerate(each(values)):
        with row as value:
            sold(runtime, f"PL{number}")
            body = f'{{"activity":"releaseLicenseCode","license":"PL{number}","new":{value}}}'.encode()
            assert (await send(client, body, at=NOW)).json()["resultCode"] == "000000"
            assert license_of(runtime, f"PL{number}").released_at == NOW


async def test_a_slash_at_the_end_is_the_same_address(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    sold(runtime, "PL1")
    raw = b'{"activity":"releaseLicenseCode","license":"PL1"}'
    at = str(int(NOW.timestamp() * 1000))
    query = {"signature": sign(raw, "n1", at), "timestamp": at, "nonce": "n1"}

    answer = await client.post("/marketplace/callback/", params=query, content=raw)
    old = await client.get(f"/marketplace/callback/?{signed(purchase(), NOW)}")

    assert (answer.status_code, answer.json()["resultCode"]) == (200, "000000")
    assert (old.status_code, old.json()["resultCode"]) == (200, "000000")
    assert license_of(runtime, "PL1").released_at == NOW


async def test_no_address_redirects_to_the_host_that_a_caller_names(client: httpx2.AsyncClient) -> None:
    paths = [
        "/marketplace/callback/",
        "/v1/heartbeats/",
        "/v1/licenses/string/",
        "/healthz/",
        "/docs/",
        "/admin/",
        "//",
    ]
    for row in each([(method, path) for method in ("GET", "POST") for path in paths]):
        with row as (method, path):
            answer = await client.request(method, path, headers={"host": "evil.example"}, follow_redirects=False)
            assert "evil.example" not in answer.headers.get("location", "")


async def test_a_plus_in_the_token_is_a_plus(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    """The sample addresses of the pages carry the token as it is, without percent-encoding."""
    with_plus = 0
    for number in range(40):
        query = signed(purchase(f"CS{number}", businessId=f"b{number}"), NOW)
        name, _, token = query.rpartition("authToken=")
        raw = unquote(token)
        with_plus += "+" in raw
        for spelled in (raw, quote(raw, safe="=/"), quote(raw.replace("+", " "))):
            answer = await client.get(f"/marketplace/callback?{name}authToken={spelled}")
            assert answer.json()["resultCode"] in {"000000", "000001"}
            assert "not valid" not in answer.json()["resultMsg"], "a repetition may be a replay, never another token"
    assert with_plus > 5


def test_a_plus_elsewhere_stays_a_blank() -> None:
    assert _parameters(b"customerName=Ada+GmbH&authToken=a+b%2Bc%20d") == {
        "customerName": "Ada GmbH", "authToken": "a+b+c+d",
    }  # fmt: skip


async def converted(client: httpx2.AsyncClient, code: str, expire: str, **more: Any) -> str:
    at = more.pop("at", NOW)
    message = about_instance(code, "refreshLicenseCode", license=code, expireTime=expire, **more)
    return str((await send(client, message, at=at)).json()["resultCode"])


async def test_a_conversion_is_absolute_once(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    sold(runtime, "PL1")
    formal: dict[str, Any] = {"scene": "TRIAL_TO_FORMAL", "orderId": "CS2", "orderLineId": "CS2-1"}
    earlier, earliest = datetime(2026, 3, 15, tzinfo=UTC), "20260310000000"

    assert await converted(client, "PL1", "20260315000000", **formal) == "000000"
    assert license_of(runtime, "PL1").expires_at == earlier, "a trial may be longer than what is bought"

    assert await converted(client, "PL1", earliest, at=NOW + timedelta(seconds=9), **formal) == "000000"
    assert license_of(runtime, "PL1").expires_at == earlier, "the second time it only extends"


async def test_a_late_conversion_takes_no_renewal_back(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    sold(runtime, "PL1")
    await send(client, renewal("PL1", "20270101000000", order="CS3"), at=NOW)

    formal: dict[str, Any] = {"scene": "TRIAL_TO_FORMAL", "orderId": "CS2", "orderLineId": "CS2-1"}
    assert await converted(client, "PL1", "20260315000000", at=NOW + timedelta(seconds=9), **formal) == "000000"

    assert license_of(runtime, "PL1").expires_at == LATER


async def test_license_1_0_names_a_conversion_by_a_flag(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    opened = await client.get(f"/marketplace/callback?{signed(purchase(), NOW)}")
    code = opened.json()["instanceId"]

    def refresh(expire: str, order: str, **more: str) -> dict[str, str]:
        return {"activity": "refreshLicense", "instanceId": code, "orderId": order, "expireTime": expire} | more

    for expire, order, more, ends in (
        ("20260316000000", "CS2", {"trialToFormal": "1"}, datetime(2026, 3, 16, tzinfo=UTC)),
        ("20260315000000", "CS3", {}, datetime(2026, 3, 16, tzinfo=UTC)),
    ):
        answer = await client.get(f"/marketplace/callback?{signed(refresh(expire, order, **more), NOW)}")
        assert answer.json()["resultCode"] == "000000"
        assert license_of(runtime, code).expires_at == ends
