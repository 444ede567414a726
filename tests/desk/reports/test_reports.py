"""Reports on both databases: what is counted, for whom, split by what; and files in which no cell is a formula."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing import refused_devices
from licsrv.licensing.refused_devices import Refused
from licsrv.licensing.tables import License, Product
from licsrv.outbox import store as outbox_store
from licsrv.outbox.messages import ReportUsage
from licsrv.outbox.rules import State
from licsrv.outbox.tables import OutboxRow
from licsrv.people.roles import Role
from licsrv.platform.db import transaction
from licsrv.platform.ids import new_id
from tests.conftest import NOW
from tests.staff import House, Visitor

PATH = "/admin/api/reports"
TODAY = date(2026, 3, 1)
NAUGHTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "＝1+1",
    "=cmd|'/C calc'!A0",
    "'quoted",
    "安娜 <b>&",
]


class Records:
    """Licenses and what happened to them, written past the use cases."""

    def __init__(self, house: House) -> None:
        self._database = house.runtime.database

    def license(self, code: str, *, product: str = "P1", customer: str = "Ann", **facts: Any) -> str:
        with transaction(self._database) as session:
            row = License(
                id=new_id(NOW), code=code, product_id=product, customer=customer, created_at=NOW,
                facts_changed_at=NOW, **({"source": "marketplace", "activated_at": NOW} | facts),
            )  # fmt: skip
            session.add(row)
            session.flush()
            return row.id

    def check_in(self, license_id: str, device: str, day: date, status: str = "ACTIVE") -> None:
        with transaction(self._database) as session:
            session.add(
                CheckIn(
                    device_id=device, day=day, license_id=license_id, first_at=NOW, last_at=NOW, count=1,
                    status=status, lease_until=NOW,
                )
            )  # fmt: skip

    def refusal(self, license_id: str, device: str, code: str) -> None:
        with transaction(self._database) as session:
            refused_devices.note(session, Refused(license_id, device, code), now=NOW)

    def usage(self, license_id: str, device: str, day: date, state: State) -> None:
        with transaction(self._database) as session:
            outbox_store.enqueue(session, ReportUsage(license_id, code="x", client_id=device, day=day), now=NOW)
            newest = session.execute(select(func.max(OutboxRow.id))).scalar_one()
            session.execute(update(OutboxRow).where(col(OutboxRow.id) == newest).values(state=str(state)))

    def product(self, product_id: str, name: str) -> None:
        with transaction(self._database) as session:
            session.add(Product(product_id=product_id, name=name))


@pytest.fixture
def records(house: House) -> Records:
    return Records(house)


@pytest.fixture
def ann(house: House) -> Visitor:
    house.hire("ann", Role.VIEWER)
    return house.signed_in("ann")


async def figures(visitor: Visitor, report: str, query: str = "") -> dict[str, dict[str, int]]:
    """Return each series' days that are not zero."""
    answer = await visitor.call("GET", f"{PATH}/{report}{query}")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return {
        series["name"]: {day: value for day, value in zip(found["days"], series["values"], strict=True) if value}
        for series in found["series"]
    }


async def rows(visitor: Visitor, report: str, query: str = "") -> list[dict[str, str]]:
    answer = await visitor.call("GET", f"{PATH}/{report}/file{query}")
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


async def test_active_devices_are_counted_by_day_product_and_customer(records: Records, ann: Visitor) -> None:
    records.product("P1", "工业软件")
    first, second = records.license("A"), records.license("B", product="P2", customer="Bob")
    yesterday = TODAY - timedelta(days=1)
    records.check_in(first, "d1", TODAY)
    records.check_in(first, "d2", TODAY)
    records.check_in(first, "d1", yesterday)
    records.check_in(second, "d3", TODAY)
    records.check_in(second, "d4", TODAY, "FROZEN")

    assert await figures(ann, "active-devices") == {"": {"2026-02-28": 1, "2026-03-01": 3}}
    assert await figures(ann, "active-devices", "?by=product") == {
        "P1": {"2026-02-28": 1, "2026-03-01": 2}, "P2": {"2026-03-01": 1},
    }  # fmt: skip
    assert await figures(ann, "active-devices", "?by=customer&product=P2") == {"Bob": {"2026-03-01": 1}}
    assert await figures(ann, "active-devices", "?customer=Ann&from=2026-03-01&to=2026-03-01") == {
        "": {"2026-03-01": 2}
    }
    labels = (await ann.call("GET", f"{PATH}/active-devices?by=product")).json()["series"]
    assert [series["label"] for series in labels] == ["工业软件", "P2"]
    assert await rows(ann, "active-devices") == [
        {"day": "2026-02-28", "product_id": "P1", "customer": "Ann", "devices": "1"},
        {"day": "2026-03-01", "product_id": "P1", "customer": "Ann", "devices": "2"},
        {"day": "2026-03-01", "product_id": "P2", "customer": "Bob", "devices": "1"},
    ]


async def test_what_is_too_small_for_a_line_of_its_own_is_one_of_the_others(records: Records, ann: Visitor) -> None:
    for number in range(12):
        license_id = records.license(f"L{number}", customer=f"C{number:02}")
        for device in range(12 - number):
            records.check_in(license_id, f"{number}-{device}", TODAY)

    found = await figures(ann, "active-devices", "?by=customer")

    assert list(found) == [f"C{number:02}" for number in range(10)] + ["…"]
    assert found["…"] == {"2026-03-01": 3}


async def test_refusals_are_those_of_activations_and_of_check_ins(records: Records, ann: Visitor) -> None:
    license_id = records.license("A")
    records.refusal(license_id, "d1", "DEVICE_LIMIT_REACHED")
    records.refusal(license_id, "d1", "DEVICE_LIMIT_REACHED")
    records.refusal(license_id, "d2", "LICENSE_FROZEN")
    records.check_in(license_id, "d2", TODAY, "FROZEN")
    records.check_in(license_id, "d3", TODAY, "FROZEN")
    records.check_in(license_id, "d4", TODAY)

    assert await figures(ann, "refusals") == {
        "LICENSE_FROZEN": {"2026-03-01": 2}, "DEVICE_LIMIT_REACHED": {"2026-03-01": 1},
    }  # fmt: skip
    assert await figures(ann, "refusals", "?by=nothing&customer=Ann") == {"": {"2026-03-01": 3}}
    assert [(row["reason"], row["device"]) for row in await rows(ann, "refusals")] == [
        ("DEVICE_LIMIT_REACHED", "d1"), ("LICENSE_FROZEN", "d2"), ("LICENSE_FROZEN", "d3"),
    ]  # fmt: skip


async def test_expiries_are_counted_in_the_marketplaces_days(records: Records, ann: Visitor) -> None:
    last_moment = NOW.replace(hour=15, minute=59, second=59)  # in Shanghai the day ends at 16:00 UTC
    records.license("A", expires_at=last_moment)
    records.license("B", expires_at=last_moment + timedelta(seconds=1))
    records.license("C", expires_at=last_moment, released_at=NOW)
    records.license("D")

    assert await figures(ann, "expiries") == {"": {"2026-03-01": 1, "2026-03-02": 1}}
    assert await figures(ann, "expiries", "?from=2026-03-02") == {"": {"2026-03-02": 1}}
    found = await rows(ann, "expiries", "?from=2026-03-01&to=2026-03-01")
    assert [(row["code"], row["status"], row["expires_at"]) for row in found] == [
        ("A", "ACTIVE", "2026-03-01 15:59:59")
    ]


async def test_recorded_use_stands_beside_what_was_reported(records: Records, ann: Visitor) -> None:
    ours, manual = records.license("A"), records.license("M", source="manual")
    for device, state in (("d1", State.DELIVERED), ("d2", State.WAITING), ("d3", State.PARKED)):
        records.check_in(ours, device, TODAY)
        records.usage(ours, device, TODAY, state)
    records.check_in(ours, "d4", TODAY)
    records.check_in(manual, "d5", TODAY)

    assert await figures(ann, "usage") == {
        "recorded": {"2026-03-01": 4}, "reported": {"2026-03-01": 1}, "waiting": {"2026-03-01": 1},
        "failed": {"2026-03-01": 1},
    }  # fmt: skip
    assert await rows(ann, "usage") == [
        {
            "day": "2026-03-01", "code": "A", "product_id": "P1", "customer": "Ann", "recorded": "4", "reported": "1",
            "waiting": "1", "failed": "1", "missing": "1",
        }
    ]  # fmt: skip


async def test_nothing_at_all_is_an_empty_report(ann: Visitor) -> None:
    for report in (await ann.call("GET", PATH)).json()["items"]:
        found = await figures(ann, report["name"])

        assert all(not days for days in found.values())
        assert await rows(ann, report["name"]) == []


@pytest.mark.parametrize("cell", NAUGHTY)
async def test_no_cell_of_a_csv_file_is_a_formula(records: Records, ann: Visitor, cell: str) -> None:
    records.license("A", product=cell, customer=cell, order_id=cell, expires_at=NOW + timedelta(days=1))

    row = (await rows(ann, "expiries"))[0]

    is_harmless = cell in NAUGHTY[-2:]
    assert row["customer"] == row["product_id"] == row["order_id"] == (cell if is_harmless else f"'{cell}")


async def test_no_cell_of_an_xlsx_file_is_a_formula_or_a_link(records: Records, ann: Visitor) -> None:
    pytest.importorskip("xlsxwriter", reason="XLSXWRITER IS NOT INSTALLED: XLSX FILES ARE LEFT OUT")
    for number, cell in enumerate([*NAUGHTY, "http://evil.test", "internal:Sheet1!A1", "<x>&\x00"[:4], "x" * 200]):
        records.license(f"={number}", product="P", customer=cell, expires_at=NOW + timedelta(days=1))

    answer = await ann.call("GET", f"{PATH}/expiries/file?format=xlsx")

    assert answer.headers["content-type"].endswith("spreadsheetml.sheet")
    assert answer.headers["content-disposition"].endswith('.xlsx"')
    book = zipfile.ZipFile(io.BytesIO(answer.content))
    page = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in page
    assert "hyperlink" not in page
    assert "&apos;=1+1" in page or "'=1+1" in page
    assert page.count("<row ") == 1 + len(NAUGHTY) + 4


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?from=2026-13-01", "a day such as"),
        ("?from=2026-3-1", "a day such as"),
        ("?from=１２３４-01-01", "a day such as"),
        ("?from=1999-12-31", "from 2000 to 8999"),
        ("?from=2026-03-02&to=2026-03-01", "the first one first"),
        ("?from=2025-01-01&to=2026-01-02", "1 to 366 days"),
        ("?by=reason", "can be split by"),
        ("?by=x", "Only one of"),
        ("?customer=%00", "at most"),
        (f"?customer={'x' * 201}", "at most"),
    ],
)
async def test_a_question_without_sense_is_refused(ann: Visitor, query: str, sentence: str) -> None:
    answer = await ann.call("GET", f"{PATH}/active-devices{query}")

    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]


async def test_a_year_can_be_asked_for_and_a_report_that_is_not_there_cannot(ann: Visitor) -> None:
    year = await ann.call("GET", f"{PATH}/active-devices?from=2024-01-01&to=2024-12-31")

    assert len(year.json()["days"]) == 366
    assert (await ann.call("GET", f"{PATH}/nothing")).status_code == 404
    assert (await ann.call("GET", f"{PATH}/usage/file?format=pdf")).status_code == 422
