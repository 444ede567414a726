"""The page of the products: a policy is looked at, previewed, changed and taken back."""

from __future__ import annotations

import re

from licsrv.people.roles import Role
from licsrv.platform.db import transaction
from tests import products
from tests.console.conftest import Reader, reader
from tests.staff import House

ODD = "CAD&PRO 1/2"
PAGE = "/admin/products?product=CAD%26PRO%201%2F2"


def ann(house: House, role: Role = Role.OPERATOR) -> Reader:
    with transaction(house.runtime.database) as session:
        products.describe(session, ODD, name="<CAD>")
    house.hire("ann", role, language="en")
    return reader(house, "ann")


async def test_a_policy_is_previewed_changed_and_taken_back(house: House) -> None:
    visitor = ann(house)
    fields = {"product": ODD, "version": "0", "value:moves.per_place": "0", "value:time.grace_hours": ""}

    preview = await visitor.send("/admin/products/policy/preview", on=PAGE, **fields)
    saved = await visitor.send("/admin/products/policy/save", on=PAGE, **fields, reason="Fixed workstations.")
    shown = await visitor.see(saved.headers["location"])
    back = await visitor.send("/admin/products/policy/preview", on=PAGE, product=ODD, version="1", undo="1")
    undone = await visitor.send(
        "/admin/products/policy/undo", on=PAGE, product=ODD, version="1", reason="Laptops, too."
    )

    assert preview.status_code == 200
    assert "Programs never give a place back; staff does." in preview.text
    assert 'name="value:moves.per_place" value="0"' in preview.text
    assert "&lt;CAD&gt;" in preview.text
    assert (saved.status_code, shown.status_code) == (303, 200)
    assert "The policy was changed." in shown.text
    assert "Fixed workstations." in shown.text
    assert 'action="/admin/products/policy/undo"' in back.text
    assert undone.status_code == 303
    assert "Laptops, too." in (await visitor.see(undone.headers["location"])).text


async def test_what_is_wrong_is_said_and_what_was_typed_stays(house: House) -> None:
    visitor = ann(house)

    wrong = await visitor.send(
        "/admin/products/policy/preview", on=PAGE, product=ODD, version="0",
        **{"value:moves.per_place": "many", "value:time.check_in_hours": "900"},
    )  # fmt: skip
    stale = await visitor.send("/admin/products/policy/save", on=PAGE, product=ODD, version="7", reason="It is so.",
                               **{"value:moves.per_place": "1"})  # fmt: skip

    assert wrong.status_code == 422
    assert "A whole number from 0 to 10000." in wrong.text
    assert "A number from 0.25 to 744." in wrong.text
    assert 'value="many"' in wrong.text
    assert stale.status_code == 409
    assert (await visitor.see("/admin/products?product=NONE")).status_code == 404


async def test_who_may_not_change_it_sees_it_only(house: House) -> None:
    visitor = ann(house, Role.SUPPORT)

    page = await visitor.see(PAGE)

    assert page.status_code == 200
    assert "LICSRV_LEASE_GRACE_HOURS" in page.text
    assert not re.search(r'action="/admin/products', page.text)
