"""The online product line: instances, orders, applications. The marketplace's open API is played here, call by call."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import event as database_event
from sqlalchemy import func, update
from sqlmodel import Session, col, select

from licsrv import app as application_
from licsrv import migrations
from licsrv.audit import Cause
from licsrv.licensing import changes
from licsrv.licensing import store as licenses
from licsrv.licensing.tables import Device, IssuedLicense, License, Product
from licsrv.marketplace import store
from licsrv.marketplace.tables import Application, CallbackRecord, Instance
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.config import Settings
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, NOW, OTHER_DEVICE, StandingClock
from tests.marketplace.sending import about_instance, application, opening, send
from tests.tables import each

PREFIX = "/api/mkp-openapi-public/global/v1"
ENDS = datetime(2027, 2, 28, 23, 59, 59, tzinfo=UTC)


@dataclass
class Shop:
    """The open API: orders by id, what was uploaded, and the answers that were planned."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    planned: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    uploads: list[tuple[str, bytes, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix(PREFIX)
        self.asked.append(path)
        if self.planned:
            status, answer = self.planned.pop(0)
            return httpx2.Response(status, json=answer)
        if path == "/order/query":
            return self._order(request.url.params["orderId"])
        self.uploads.append((path.split("/")[2], request.read(), request.headers["content-type"]))
        return httpx2.Response(200, json={"error_code": "CBC.0000", "error_msg": "Success"})

    def _order(self, order_id: str) -> httpx2.Response:
        if order_id not in self.orders:
            return httpx2.Response(400, json={"resultCode": "CBC.0101", "resultMsg": "no such order"})
        return httpx2.Response(200, json={"resultCode": "MKT.0000", "orderInfo": self.orders[order_id]})

    def sell(self, order: str = "CS1", kind: str = "NEW", amount: object = 2, **line: Any) -> None:
        product = {"productId": "OFFI-ONLINE", "skuCode": "SKU", "linearValue": amount}
        self.orders[order] = {
            "orderId": order, "orderType": kind, "createTime": "20260301093000",
            "buyerInfo": {"customerName": "Ada GmbH", "mobilePhone": "555"},
            "orderLine": [
                {
                    "orderLineId": f"{order}-000001", "chargingMode": "PERIOD", "periodType": "year",
                    "periodNumber": 1, "expireTime": "20270228235959", "productInfo": [product],
                } | line
            ],
        }  # fmt: skip


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def runtime(settings: Settings, clock: StandingClock, shop: Shop) -> AsyncIterator[Runtime]:
    runtime = application_.build_runtime(settings, clock=clock, transport=httpx2.MockTransport(shop))
    yield runtime
    await runtime.close()


async def told(client: httpx2.AsyncClient, body: dict[str, Any], at: datetime = NOW) -> dict[str, Any]:
    answer = await send(client, body, at=at)
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


async def opened(client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, **order: Any) -> str:
    shop.sell(**order)
    code = str((await told(client, opening()))["instanceId"])
    await runtime.worker.drain()
    return code


def license_of(runtime: Runtime, code: str) -> License:
    with reading(runtime.database) as session:
        license = licenses.license_by_code(session, code)
        assert license is not None
        session.expunge(license)
        return license


def count(runtime: Runtime, table: type[Any]) -> int:
    with reading(runtime.database) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def parked(runtime: Runtime) -> list[str]:
    with reading(runtime.database) as session:
        return [
            str(row.last_error) for row in session.scalars(select(OutboxRow).where(col(OutboxRow.state) == "PARKED"))
        ]


def json_part(upload: tuple[str, bytes, str]) -> dict[str, str]:
    text = upload[1].split(b'name="isvUpdateFileReq"', 1)[1].split(b"\r\n\r\n", 1)[1].split(b"\r\n--", 1)[0]
    found: dict[str, str] = json.loads(text)
    return found


async def test_an_instance_is_named_at_once_and_open_when_its_order_is_known(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    shop.sell()

    first = await told(client, opening(business="b-1"))
    await runtime.worker.drain()
    second = await told(client, opening(business="b-2"))

    assert first == {"resultCode": "000004", "resultMsg": "request is processing", "instanceId": "b-1"}
    assert second == {"resultCode": "000000", "resultMsg": "success.", "instanceId": "b-1"}
    license = license_of(runtime, "b-1")
    assert (license.product_id, license.amount, license.expires_at, license.customer, license.order_id) == (
        "OFFI-ONLINE", 2, ENDS, "Ada GmbH", "CS1",
    )  # fmt: skip


async def test_thirty_two_at_once_make_one_instance(client: httpx2.AsyncClient, runtime: Runtime, shop: Shop) -> None:
    shop.sell()

    answers = await asyncio.gather(*[told(client, opening(business=f"b-{n}")) for n in range(32)])

    assert len({answer["instanceId"] for answer in answers}) == 1
    assert {answer["resultCode"] for answer in answers} == {"000004"}
    assert (count(runtime, Instance), count(runtime, License)) == (1, 1)


async def test_two_replicas_make_one_instance(
    settings: Settings, clock: StandingClock, runtime: Runtime, client: httpx2.AsyncClient, shop: Shop
) -> None:
    other = application_.build_runtime(settings, clock=clock, transport=httpx2.MockTransport(shop))
    transport = httpx2.ASGITransport(app=application_.create_app(other))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as second:
        answers = await asyncio.gather(
            *[told(client if n % 2 else second, opening(business=f"b-{n}")) for n in range(16)]
        )
    await other.close()

    assert len({answer["instanceId"] for answer in answers}) == 1
    assert (count(runtime, Instance), count(runtime, License)) == (1, 1)


async def test_lines_of_one_order_are_instances_of_their_own(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    one = await told(client, opening(business="b-1"))
    other = await told(client, opening(business="b-2", orderLineId="CS1-000002"))

    assert (one["instanceId"], other["instanceId"]) == ("b-1", "b-2")


async def test_a_business_id_that_is_a_license_already_is_not_taken_twice(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    await told(client, opening(order="CS1", business="b-1"))
    answer = await told(client, opening(order="CS2", business="b-1"))

    assert answer["resultCode"] == "000004"
    assert answer["instanceId"] != "b-1"
    assert count(runtime, License) == 2


async def test_an_order_that_is_not_known_yet_is_asked_about_again_with_the_next_newinstance(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, clock: StandingClock
) -> None:
    await told(client, opening())
    await runtime.worker.drain()
    shop.sell()

    clock.advance(minutes=2)
    again = await told(client, opening(business="b-2"), clock.now())
    await runtime.worker.drain()
    then = await told(client, opening(business="b-3"), clock.now())

    assert (again["resultCode"], then["resultCode"]) == ("000004", "000000")
    assert "CBC.0101" in parked(runtime)[0]


async def test_an_order_that_stays_unknown_is_a_failure_after_an_hour(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    await told(client, opening())
    await runtime.worker.drain()

    clock.advance(hours=1)
    answer = await told(client, opening(business="b-2"), clock.now())

    assert answer["resultCode"] == "000005"
    assert "CBC.0101" in answer["resultMsg"]


async def test_an_open_api_that_does_not_answer_does_not_cost_the_order(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, clock: StandingClock
) -> None:
    shop.planned = [(500, {"resultCode": "CBC.0999", "resultMsg": "internal error"})] * 200
    await told(client, opening())
    await runtime.worker.drain()

    clock.advance(hours=1)

    assert (await told(client, opening(business="b-2"), clock.now()))["resultCode"] == "000000"


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        ({"chargingMode": "ONE_TIME"}, ENDS),
        ({"chargingMode": "ON_DEMAND_PKG"}, ENDS),
        ({"chargingMode": "period", "expireTime": None}, NOW.replace(year=2027)),
        ({"chargingMode": "SUBSCRIPTION"}, ENDS),
        ({"chargingMode": None, "expireTime": 20270228235959}, ENDS),
        ({"chargingMode": 3, "periodType": None, "periodNumber": None}, ENDS),
        ({"chargingMode": "ON_DEMAND_PKG", "expireTime": ""}, NOW.replace(year=2027)),
        ({"expireTime": "20270228235959123"}, ENDS),
        ({"expireTime": None}, NOW.replace(year=2027)),
        ({"expireTime": None, "periodType": "month", "periodNumber": 3}, NOW.replace(month=6)),
        ({"expireTime": None, "periodType": "day", "periodNumber": "10"}, NOW + timedelta(days=10)),
    ],
)
async def test_the_orders_period_says_when_the_license_ends(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, line: dict[str, Any], ends: datetime | None
) -> None:
    code = await opened(client, runtime, shop, **line)

    license = license_of(runtime, code)
    assert license.activated_at is not None
    assert license.expires_at == ends


@pytest.mark.parametrize(
    "damage",
    [
        {"expireTime": None, "periodType": "eon"},
        {"expireTime": "soon", "periodNumber": 0},
        {"orderLineId": "another"},
        {"expireTime": "soon"},
        {"expireTime": "2027-02-28 23:59:59"},
        {"expireTime": 1803859199000},
        {"expireTime": [], "chargingMode": "ONE_TIME"},
        {"expireTime": "soon", "chargingMode": "ONE_TIME", "periodType": None, "periodNumber": None},
        {"expireTime": None, "chargingMode": "SUBSCRIPTION"},
        {"expireTime": None, "chargingMode": None},
        {"expireTime": None, "chargingMode": 1},
        {"expireTime": None, "chargingMode": "ONE_TIME", "periodType": "eon"},
        {"expireTime": None, "chargingMode": "ON_DEMAND", "periodType": None, "periodNumber": None},
        {"expireTime": None, "chargingMode": "ON_DEMAND_PKG", "periodType": None, "periodNumber": None},
        {"expireTime": None, "chargingMode": "ONE_TIME", "periodType": None, "periodNumber": None},
    ],
)
async def test_an_order_that_cannot_be_understood_opens_nothing(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, damage: dict[str, Any]
) -> None:
    code = await opened(client, runtime, shop, **damage)

    assert license_of(runtime, code).activated_at is None


async def test_a_license_is_issued_and_uploaded_as_characters(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    code = await opened(client, runtime, shop)

    answer = await told(client, application(code))
    await runtime.worker.drain()

    assert answer == {"resultCode": "000000", "resultMsg": "success."}
    (upload,) = shop.uploads
    assert upload[0] == "evt-1"
    assert upload[2].startswith("multipart/form-data; boundary=")
    said = json_part(upload)
    assert said["type"] == "CHARACTERS"
    bearer = {"Authorization": f"Bearer {said['characters']}"}
    beat = await client.post("/v1/heartbeats", json={"nonce": "n", "device_info": DEVICE}, headers=bearer)
    assert (beat.status_code, beat.json()["status"]) == (200, "ACTIVE")


async def test_a_product_that_wants_files_is_uploaded_as_a_file(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    with transaction(runtime.database) as session:
        session.add(Product(product_id="OFFI-ONLINE", name="CAD", deliver_as="file"))
    code = await opened(client, runtime, shop)

    await told(client, application(code))
    await runtime.worker.drain()

    said = json_part(shop.uploads[0])
    assert (said["type"], said["file_name"], len(said["sha256"])) == ("FILE", "license.lic", 64)
    assert b"-----BEGIN LICENSE-----" in shop.uploads[0][1]


async def test_the_same_application_has_one_license_however_often_it_comes(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    code = await opened(client, runtime, shop)

    answers = await asyncio.gather(*[told(client, application(code)) for _ in range(16)])
    await runtime.worker.drain()

    assert {answer["resultCode"] for answer in answers} == {"000000"}
    assert len(shop.uploads) == 1
    assert count(runtime, Device) == 1


async def test_an_application_before_its_order_is_answered_by_the_upload(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    shop.sell()
    code = str((await told(client, opening()))["instanceId"])

    early = await told(client, application(code))
    again = await told(client, application(code))
    await runtime.worker.drain()
    late = await told(client, application(code))

    assert (early["resultCode"], again["resultCode"], late["resultCode"]) == ("000004", "000004", "000000")
    assert [event for event, _, _ in shop.uploads] == ["evt-1"]


async def test_a_waiting_application_that_cannot_be_granted_is_tried_anew_when_it_comes_again(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    shop.sell(amount=1)
    code = str((await told(client, opening()))["instanceId"])
    await told(client, application(code))
    await told(client, application(code, "evt-2", OTHER_DEVICE))
    await runtime.worker.drain()

    refused = await told(client, application(code, "evt-2", OTHER_DEVICE))
    shop.sell("CS2", "CHANGE", amount=2)
    await told(client, about_instance(code, "upgradeInstance", orderId="CS2", orderLineId="CS2-000001"))
    await runtime.worker.drain()
    granted = await told(client, application(code, "evt-2", OTHER_DEVICE))
    await runtime.worker.drain()

    assert (refused["resultCode"], granted["resultCode"]) == ("000900", "000000")
    assert sorted(event for event, _, _ in shop.uploads) == ["evt-1", "evt-2"]


async def test_a_sealed_application_that_cannot_be_read_does_not_keep_the_license_from_opening(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    shop.sell()
    code = str((await told(client, opening()))["instanceId"])
    await told(client, application(code))
    with transaction(runtime.database) as session:
        session.execute(update(Application).values(sealed="damaged"))

    await runtime.worker.drain()

    assert license_of(runtime, code).activated_at is not None
    assert (await told(client, application(code)))["resultCode"] == "000000"


async def test_an_event_is_one_instances(client: httpx2.AsyncClient, runtime: Runtime, shop: Shop) -> None:
    code = await opened(client, runtime, shop)
    shop.sell("CS2")
    other = str((await told(client, opening("CS2", "business-2")))["instanceId"])
    await runtime.worker.drain()
    await told(client, application(code))

    answer = await told(client, application(other))

    assert answer["resultCode"] == "000002"
    assert count(runtime, Device) == 1


async def test_support_finds_the_opening_of_an_instance_by_its_code(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    code = (await told(client, opening()))["instanceId"]

    with reading(runtime.database) as session:
        assert session.scalars(select(CallbackRecord.activity).where(col(CallbackRecord.code) == code)).all() == [
            "newInstance"
        ]


async def test_no_device_fact_reaches_the_database(client: httpx2.AsyncClient, runtime: Runtime, shop: Shop) -> None:
    shop.sell()
    code = str((await told(client, opening(buyerInfo={"mobilePhone": "555-0100"})))["instanceId"])
    await told(client, application(code))
    await runtime.worker.drain()
    await told(client, application(code, "evt-2", OTHER_DEVICE))

    with runtime.database.read.connect() as connection:
        for table in migrations.METADATA.sorted_tables:
            rows = str(connection.execute(table.select()).all())
            for fact in ("001B_444A", "04:7C:16", "BFEBFBFF", "WD-1234", "555-0100"):
                assert fact not in rows, f"{fact} stands in {table.name}"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"deviceFingerprint": None}, "000903"),
        ({"deviceFingerprint": "||||"}, "000903"),
        ({"deviceFingerprint": "|||BFEBFBFF00090672"}, "000903"),
        ({"deviceFingerprint": "NONE|NONE||"}, "000903"),
        ({"expireTime": None}, "000902"),
        ({"expireTime": "2027-03-02 09:30:00 z"}, "000901"),
        ({"effectiveTime": "2027-03-02 09:30:00 z", "expireTime": "2027-03-03 09:30:00 z"}, "000901"),
        ({"expireTime": "2026-03-01 09:30:00 z"}, "000901"),
        ({"effectiveTime": "yesterday"}, "000002"),
        ({"effectiveTime": "2026-02-30 09:30:00 z"}, "000002"),
        ({"effectiveTime": None}, "000002"),
        ({"eventId": None}, "000002"),
        ({"eventId": "e" * 65}, "000002"),
        ({"instanceId": "unknown"}, "000003"),
        ({"deviceFingerprint": "A" * 5200}, "000002"),
    ],
)
async def test_an_application_that_cannot_be_granted_says_why_and_changes_nothing(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, change: dict[str, Any], code: str
) -> None:
    instance = await opened(client, runtime, shop)

    answer = await told(client, application(instance) | change)
    await runtime.worker.drain()

    assert answer["resultCode"] == code
    assert (count(runtime, Device), shop.uploads) == (0, [])


async def test_the_places_bought_are_the_quota(client: httpx2.AsyncClient, runtime: Runtime, shop: Shop) -> None:
    instance = await opened(client, runtime, shop, amount=1)
    await told(client, application(instance))

    answer = await told(client, application(instance, "evt-2", OTHER_DEVICE))
    again = await told(client, application(instance, "evt-3"))

    assert (answer["resultCode"], again["resultCode"]) == ("000900", "000000")
    assert count(runtime, Device) == 1


async def test_the_license_ends_when_it_was_applied_for_but_never_after_what_was_bought(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    instance = await opened(client, runtime, shop)
    for event, expires in (("evt-1", "2026-06-01 00:00:00 z"), ("evt-2", "2027-03-01 12:00:00 z")):
        await told(client, application(instance, event, expireTime=expires))
    await runtime.worker.drain()

    ends = [_claims(json_part(upload)["characters"])["exp"] for upload in shop.uploads]

    assert ends == [int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()), int(ENDS.timestamp())]


def _claims(text: str) -> dict[str, Any]:
    payload = text.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


@pytest.mark.parametrize("code", ["91381033", "91381034", "91381035", "91381037", "91381038", "91380150"])
async def test_an_upload_that_is_refused_is_parked_with_the_reason(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, code: str
) -> None:
    instance = await opened(client, runtime, shop)
    shop.planned = [(200, {"error_code": code, "error_msg": "no"})]

    await told(client, application(instance))
    await runtime.worker.drain()

    assert len(parked(runtime)) == 1
    assert code in parked(runtime)[0]


async def test_who_applies_again_after_a_refused_upload_gets_the_same_license_and_later_nothing_more(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    instance = await opened(client, runtime, shop)
    shop.planned = [(200, {"error_code": "91381034", "error_msg": "no"})]
    await told(client, application(instance))
    await runtime.worker.drain()

    for _ in range(3):
        assert (await told(client, application(instance)))["resultCode"] == "000000"
        await runtime.worker.drain()

    assert (len(shop.uploads), parked(runtime)) == (1, [])
    assert (count(runtime, IssuedLicense), count(runtime, Device)) == (1, 1)


async def test_an_upload_that_failed_is_tried_again(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, clock: StandingClock
) -> None:
    instance = await opened(client, runtime, shop)
    shop.planned = [(200, {"error_code": "91381036", "error_msg": "inner error"}), (503, {}), (503, {})]

    await told(client, application(instance))
    for _ in range(3):
        await runtime.worker.drain()
        clock.advance(minutes=10)

    assert (len(shop.uploads), parked(runtime)) == (1, [])


async def test_instances_are_described_when_they_are_open(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    code = await opened(client, runtime, shop)
    await told(client, opening(order="CS2", business="b-2"))

    answer = await told(client, about_instance(f"{code}, b-2,never-heard-of", "queryInstance"))

    assert answer["resultCode"] == "000000"
    assert answer["info"] == [{"instanceId": code, "appInfo": {"frontEndUrl": "", "memo": "ACTIVE"}}]


async def test_many_instances_are_looked_up_at_once(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    looked_up: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        looked_up.extend([statement] * ("FROM licenses" in statement))

    database_event.listen(runtime.database.write, "before_cursor_execute", note)
    await told(client, about_instance(",".join(f"c-{number}" for number in range(100)), "queryInstance"))
    database_event.remove(runtime.database.write, "before_cursor_execute", note)

    assert len(looked_up) == 1


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        (",".join(f"i-{n}" for n in range(100)), "000003"),
        (",".join(f"i-{n}" for n in range(101)), "000002"),
        (",", "000002"),
        ("x" * 65, "000002"),
    ],
)
async def test_as_many_as_a_hundred_instances_are_asked_about(
    client: httpx2.AsyncClient, runtime: Runtime, ids: str, code: str
) -> None:
    assert (await told(client, about_instance(ids, "queryInstance")))["resultCode"] == code


@pytest.mark.parametrize(
    ("scene", "expire", "ends"),
    [
        ("RENEWAL", "20280228235959", ENDS.replace(year=2028)),
        ("RENEWAL", "20280228235959256", ENDS.replace(year=2028)),
        ("RENEWAL", "20260401000000", ENDS),
        ("TRIAL_TO_FORMAL", "20280228235959", ENDS.replace(year=2028)),
        ("TRIAL_TO_FORMAL", "20260401000000", datetime(2026, 4, 1, tzinfo=UTC)),
        ("UNSUBSCRIBE_RENEWAL_PERIOD", "20260401000000", datetime(2026, 4, 1, tzinfo=UTC)),
        ("RENEWAL_CHANGE", "20260401000000", datetime(2026, 4, 1, tzinfo=UTC)),
    ],
)
async def test_refreshing_moves_the_end_as_its_scene_may(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, scene: str, expire: str, ends: datetime
) -> None:
    code = await opened(client, runtime, shop)
    message = about_instance(
        code, "refreshInstance", scene=scene, orderId="CS2", orderLineId="CS2-000001", expireTime=expire
    )

    assert (await told(client, message))["resultCode"] == "000000"
    assert license_of(runtime, code).expires_at == ends


async def test_a_refresh_before_the_order_is_known_is_not_undone_by_it(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    shop.sell()
    code = str((await told(client, opening()))["instanceId"])
    message = about_instance(
        code, "refreshInstance", scene="RENEWAL", orderId="CS2", orderLineId="CS2-1", expireTime="20280228235959"
    )
    await told(client, message)
    await runtime.worker.drain()

    assert license_of(runtime, code).expires_at == ENDS.replace(year=2028)


async def test_freeze_unfreeze_and_release(client: httpx2.AsyncClient, runtime: Runtime, shop: Shop) -> None:
    code = await opened(client, runtime, shop)
    freeze = about_instance(code, "updateInstanceStatus", status="FREEZE")

    assert (await told(client, freeze))["resultCode"] == "000000"
    assert (await told(client, application(code)))["resultCode"] == "000005"
    assert license_of(runtime, code).frozen_at is not None
    unfreeze = about_instance(code, "updateInstanceStatus", status="NORMAL")
    assert (await told(client, unfreeze, NOW + timedelta(seconds=1)))["resultCode"] == "000000"
    assert license_of(runtime, code).frozen_at is None
    release = about_instance(code, "releaseInstance", orderId="CS9", orderLineId="CS9-000001")
    for _ in range(2):
        assert (await told(client, release))["resultCode"] == "000000"
    assert license_of(runtime, code).released_at is not None
    assert (await told(client, application(code)))["resultCode"] == "000003"
    assert (await told(client, opening(business="b-9")))["resultCode"] == "000000"


async def test_an_upgrade_takes_over_what_its_order_says(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    code = await opened(client, runtime, shop)
    shop.sell("CS2", "CHANGE", amount=10, expireTime="20280228235959")

    answer = await told(client, about_instance(code, "upgradeInstance", orderId="CS2", orderLineId="CS2-000001"))
    await runtime.worker.drain()

    assert answer["resultCode"] == "000000"
    license = license_of(runtime, code)
    assert (license.amount, license.expires_at) == (10, ENDS.replace(year=2028))


async def test_a_notified_order_is_asked_about_once(client: httpx2.AsyncClient, runtime: Runtime, shop: Shop) -> None:
    shop.sell("CS7")
    message = {"activity": "orderNotify", "orderId": "CS7", "orderLineId": "CS7-000001", "testFlag": "0"}

    for _ in range(3):
        assert (await told(client, message))["resultCode"] == "000000"
    await runtime.worker.drain()

    assert shop.asked == ["/order/query"]
    with reading(runtime.database) as session:
        order = store.order(session, "CS7", "CS7-000001")
        assert order is not None
        assert (order.order_type, order.amount) == ("NEW", 2)


@pytest.mark.parametrize(
    ("body", "members"),
    [
        (opening(testFlag="1"), {"instanceId": "business-1"}),
        (about_instance("a,b", "queryInstance", testFlag="1"), {"info": [
            {"instanceId": "a", "appInfo": {"frontEndUrl": "", "memo": "debug"}},
            {"instanceId": "b", "appInfo": {"frontEndUrl": "", "memo": "debug"}},
        ]}),
        (application("nobody", testFlag="1"), {}),
        (about_instance("nobody", "refreshInstance", testFlag="1"), {}),
        (about_instance("nobody", "updateInstanceStatus", testFlag="1"), {}),
        (about_instance("nobody", "releaseInstance", testFlag="1"), {}),
        (about_instance("nobody", "upgradeInstance", testFlag="1"), {}),
        ({"activity": "orderNotify", "testFlag": "1"}, {}),
    ],
)  # fmt: skip
async def test_a_debug_request_is_answered_and_changes_nothing(
    client: httpx2.AsyncClient, runtime: Runtime, body: dict[str, Any], members: dict[str, Any]
) -> None:
    answer = await told(client, body)

    assert answer == {"resultCode": "000000", "resultMsg": "success."} | members
    assert (count(runtime, License), count(runtime, OutboxRow), count(runtime, CallbackRecord)) == (0, 0, 1)


@pytest.mark.parametrize(
    "activity", ["refreshInstance", "updateInstanceStatus", "releaseInstance", "upgradeInstance", "queryInstance"]
)
async def test_an_instance_that_is_not_known_has_its_code(client: httpx2.AsyncClient, activity: str) -> None:
    body = about_instance(
        "nobody", activity, scene="RENEWAL", orderId="CS2", orderLineId="CS2-1", expireTime="20280228235959",
        status="FREEZE",
    )  # fmt: skip

    assert (await told(client, body))["resultCode"] == "000003"


async def test_a_program_may_ask_directly_with_the_instance_as_its_code(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    shop.sell()
    code = str((await told(client, opening()))["instanceId"])
    request = {"code": code, "device_info": DEVICE, "nonce": "n"}

    early = await client.post("/v1/licenses/string", json=request)
    await runtime.worker.drain()
    late = await client.post("/v1/licenses/string", json=request)

    assert (early.status_code, early.json()["code"]) == (404, "LICENSE_NOT_FOUND")
    assert late.status_code == 200
    assert shop.asked == ["/order/query"]  # an instance is no code that could be activated


async def test_an_old_license_of_staff_is_not_reopened_by_a_callback(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    code = await opened(client, runtime, shop)

    def revoke(session: Session) -> None:
        license = licenses.license_for_update(session, code)
        assert license is not None
        changes.revoke(session, license, cause=Cause("staff:ada", reason="Refunded."), now=NOW)

    await runtime.writer.run(revoke)

    answer = await told(client, application(code))

    assert (answer["resultCode"], answer["resultMsg"]) == ("000005", "Refunded.")


async def test_a_license_that_ends_with_the_last_of_all_years_is_issued(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    """Some sellers write "never" that way; nothing may be added to such a moment."""
    code = await opened(client, runtime, shop, expireTime="99991231235959")

    answer = await told(client, application(code, expireTime="9999-12-31 23:59:59 z"))
    await runtime.worker.drain()

    assert answer["resultCode"] == "000000"
    string = json_part(shop.uploads[0])["characters"]
    beat = await client.post(
        "/v1/heartbeats",
        json={"nonce": "n", "device_info": DEVICE},
        headers={"Authorization": f"Bearer {string}"},
    )
    assert (beat.json()["status"], beat.json()["expires_at"]) == ("ACTIVE", "9999-12-31T23:59:59Z")


def unread(runtime: Runtime) -> dict[str, str]:
    with reading(runtime.database) as session:
        return {row.subject: row.members for row in store.unread_answers(session, 50)}


ONCE: dict[str, Any] = {"chargingMode": "ONE_TIME", "expireTime": None, "periodType": None, "periodNumber": None}


def mark_once(runtime: Runtime, *, one_off: bool = True) -> None:
    with transaction(runtime.database) as session:
        session.merge(Product(product_id="OFFI-ONLINE", name="CAD", one_off=one_off))


async def test_only_a_one_off_order_of_a_product_marked_so_makes_a_license_without_an_end(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, clock: StandingClock
) -> None:
    code = await opened(client, runtime, shop, **ONCE)
    assert license_of(runtime, code).activated_at is None
    assert unread(runtime) == {code: "expireTime"}
    [waiting] = [row for row in outbox_rows(runtime) if row.settled_at is None]
    assert "--one-off" in str(waiting.last_error)

    mark_once(runtime)
    clock.advance(minutes=1)
    await runtime.worker.drain()

    license = license_of(runtime, code)
    assert (license.activated_at, license.expires_at) == (clock.now(), None)
    assert unread(runtime) == {}


async def test_an_unreadable_end_is_no_end_also_where_the_product_is_marked(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, clock: StandingClock
) -> None:
    mark_once(runtime)
    for number, row in enumerate(each(["soon", "2027-02-28T23:59:59Z", 1803859199000, [], True, "20270230000000"])):
        with row as end:
            order = f"CS{number}"
            shop.sell(order, **(ONCE | {"expireTime": end}))
            code = str((await told(client, opening(order, f"b-{number}"), clock.now()))["instanceId"])
            await runtime.worker.drain()
            assert license_of(runtime, code).activated_at is None
            assert unread(runtime)[code] == "expireTime"

            shop.sell(order)
            clock.advance(minutes=1)
            await runtime.worker.drain()
            assert license_of(runtime, code).expires_at == ENDS
            assert code not in unread(runtime)


async def test_an_end_that_was_stated_is_not_wiped_by_an_order_without_one(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    mark_once(runtime)
    shop.sell(**ONCE)
    code = str((await told(client, opening()))["instanceId"])
    refresh = about_instance(
        code, "refreshInstance", scene="TRIAL_TO_FORMAL", orderId="CS1", orderLineId="CS1-000001",
        expireTime="20270228235959",
    )  # fmt: skip
    await told(client, refresh)
    await runtime.worker.drain()

    license = license_of(runtime, code)
    assert license.activated_at is not None
    assert license.expires_at == ENDS


async def test_a_further_order_that_cannot_be_read_leaves_the_license_and_raises_an_alarm(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    code = await opened(client, runtime, shop)
    shop.sell("CS2", kind="CHANGE", amount=-1, chargingMode="SUBSCRIPTION", expireTime=None)
    message = about_instance(code, "upgradeInstance", orderId="CS2", orderLineId="CS2-000001")
    assert (await told(client, message))["resultCode"] == "000000"
    await runtime.worker.drain()

    license = license_of(runtime, code)
    assert (license.expires_at, license.amount) == (ENDS, 2)
    assert unread(runtime) == {code: "chargingMode"}


@pytest.mark.parametrize("amount", [-1, 0, 10**9, 10**15, 2.5, "2,0", True, [2]])
async def test_an_amount_that_makes_no_sense_is_not_stored(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, amount: object
) -> None:
    code = await opened(client, runtime, shop, amount=amount)

    license = license_of(runtime, code)
    assert (license.amount, license.activated_at) == (None, NOW)
    assert unread(runtime) == {code: "linearValue"}


def outbox_rows(runtime: Runtime) -> list[OutboxRow]:
    with reading(runtime.database) as session:
        return list(session.exec(select(OutboxRow)).all())


class Renewals:
    """Renewals and their refunds; each order has a time of its own, whenever its message comes."""

    def __init__(self, client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, code: str) -> None:
        self.client, self.runtime, self.shop, self.code = client, runtime, shop, code
        self.sent = 0

    def place(self, order: str, kind: str, at: str, end: str) -> None:
        self.shop.sell(order, kind=kind, expireTime=end)
        self.shop.orders[order]["createTime"] = at

    async def send(self, order: str, scene: str, end: str) -> None:
        self.sent += 1
        message = about_instance(
            self.code, "refreshInstance", scene=scene, orderId=order, orderLineId=f"{order}-000001", expireTime=end
        )
        assert (await told(self.client, message, NOW + timedelta(seconds=self.sent)))["resultCode"] == "000000"

    @property
    def end(self) -> datetime | None:
        return license_of(self.runtime, self.code).expires_at


FIRST, YEAR_LATER = "20270228235959", "20280228235959"
UNDO = "UNSUBSCRIBE_RENEWAL_PERIOD"


@pytest.mark.parametrize("scene", ["RENEWAL", "RENEWAL_CHANGE"])
@pytest.mark.parametrize("answers", ["between", "at the end", "the refund's answer last"])
async def test_a_late_renewal_that_was_refunded_under_an_order_of_its_own_gives_no_year(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop, clock: StandingClock, answers: str, scene: str
) -> None:
    renewals = Renewals(client, runtime, shop, await opened(client, runtime, shop))
    renewals.place("R", "RENEW" if scene == "RENEWAL" else "CHANGE", "20260301060000", YEAR_LATER)
    renewals.place("U", "UNSUBSCRIBE", "20260301070000", FIRST)
    held = shop.orders.pop("U") if answers == "the refund's answer last" else None

    await renewals.send("U", UNDO, FIRST)
    if answers == "between":
        await runtime.worker.drain()
    await renewals.send("R", scene, YEAR_LATER)
    await runtime.worker.drain()
    if held is not None:
        shop.orders["U"] = held
        clock.advance(minutes=10)
        await runtime.worker.drain()

    assert renewals.end == ENDS


async def test_a_renewal_after_a_refund_holds_whatever_came_first(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    renewals = Renewals(client, runtime, shop, await opened(client, runtime, shop))
    renewals.place("R1", "RENEW", "20260301060000", YEAR_LATER)
    renewals.place("U", "UNSUBSCRIBE", "20260301070000", FIRST)
    renewals.place("R2", "RENEW", "20260301080000", "20280301000000")

    await renewals.send("U", UNDO, FIRST)
    await renewals.send("R2", "RENEWAL", YEAR_LATER)
    await renewals.send("R1", "RENEWAL", YEAR_LATER)
    await runtime.worker.drain()

    assert renewals.end == ENDS.replace(year=2028), "as its callback stated, not as its order's answer has it"


async def test_a_renewal_is_taken_back_by_its_own_order_too(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    renewals = Renewals(client, runtime, shop, await opened(client, runtime, shop))
    renewals.place("R", "RENEW", "20260301060000", YEAR_LATER)

    await renewals.send("R", UNDO, FIRST)
    await renewals.send("R", "RENEWAL", YEAR_LATER)
    await runtime.worker.drain()

    assert renewals.end == ENDS


async def test_a_renewal_whose_order_does_not_say_when_it_was_placed_waits_for_a_person(
    client: httpx2.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    renewals = Renewals(client, runtime, shop, await opened(client, runtime, shop))
    renewals.place("R", "RENEW", "not a time", YEAR_LATER)
    renewals.place("U", "UNSUBSCRIBE", "20260301070000", FIRST)

    await renewals.send("U", UNDO, FIRST)
    await renewals.send("R", "RENEWAL", YEAR_LATER)
    await runtime.worker.drain()

    assert renewals.end == ENDS
