"""What the vendor sold itself is renewed and changed like what the marketplace sold; what that sold is its word."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.licensing import changes, store
from licsrv.licensing.issuing import strings
from licsrv.licensing.revocation import lists
from licsrv.licensing.revocation import store as revocation_lists
from licsrv.licensing.tables import Product
from licsrv.platform.db import reading, transaction
from tests.conftest import DEVICE, NOW, OTHER_DEVICE
from tests.desk.licenses.test_actions import claims_of, claims_of_file, undo
from tests.sales import Desk

CAD = Product(product_id="CAD", name="CADPRO", features=["draw", "export", "solver"])
LITE = Product(product_id="LITE", name="CADLITE", features=["draw"])


@pytest.fixture
def shelf(desk: Desk) -> Desk:
    """The desk, with two products described."""
    with transaction(desk.house.runtime.database) as session:
        for product in (CAD, LITE):
            session.add(Product(**product.model_dump()))
    return desk


def day(days: float) -> str:
    return (NOW + timedelta(days=days)).isoformat()


async def set_terms(desk: Desk, code: str, *, status: int = 200, **terms: Any) -> dict[str, Any]:
    return await desk.act(code, "set_terms", terms=terms, status=status)


def changed(desk: Desk) -> list[dict[str, Any]]:
    return [json.loads(entry.detail) for entry in desk.house.audited(Action.LICENSE_CHANGED)]


def is_listed(desk: Desk, text: str) -> bool:
    with reading(desk.house.runtime.database) as session:
        return revocation_lists.is_listed(session, lists.string_entry(claims_of(text)["jti"]))


async def test_an_ended_license_is_renewed_and_its_string_follows(desk: Desk) -> None:
    code = desk.sell(days=3)
    old = await desk.string(code)
    desk.clock.advance(days=4)
    assert (await desk.beat(old))["status"] == "EXPIRED"

    done = await desk.act(code, "extend", until=day(400))
    again = await desk.act(code, "extend", until=day(400))
    beat, fresh = await desk.beat(old), await desk.string(code)

    assert (done["changed"], done["license"]["status"], again["changed"]) == (True, "ACTIVE", False)
    assert beat["status"] == "ACTIVE"
    assert claims_of(beat["lease"])["license_exp"] == strings.seconds(NOW + timedelta(days=400))
    assert claims_of(fresh)["exp"] == strings.seconds(NOW + timedelta(days=400))
    assert changed(desk) == [
        {"expires_at": {"before": "2026-03-04T09:30:00+00:00", "after": "2027-04-05T09:30:00+00:00"}}
    ]
    assert not is_listed(desk, old), "it says less than the license"
    undone = await undo(desk, code, done)
    assert (undone["license"]["status"], is_listed(desk, fresh)) == ("EXPIRED", True)


async def test_an_earlier_end_calls_back_what_says_more(desk: Desk) -> None:
    code = desk.sell(days=300)
    old = await desk.string(code)

    preview = await desk.post(f"/licenses/{code}/actions/set_terms/preview", {"terms": {"expires_at": day(60)}})
    await set_terms(desk, code, expires_at=day(60))
    beat, fresh = await desk.beat(old), await desk.string(code)

    assert "called back" in preview["says"]["en"]
    assert "收回" in preview["says"]["zh"]
    assert claims_of(beat["lease"])["license_exp"] == strings.seconds(NOW + timedelta(days=60))
    assert claims_of(fresh)["exp"] == strings.seconds(NOW + timedelta(days=60))
    assert (is_listed(desk, old), is_listed(desk, fresh)) == (True, False)
    assert (await desk.search(old))["judged"]["counts"] is False
    assert changed(desk)[0]["called_back"] == 1
    assert (await desk.get(f"/licenses/{code}"))["license"]["places_taken"] == 1


async def test_a_device_that_never_asks_gets_a_file_by_mail_after_its_text_was_called_back(desk: Desk) -> None:
    code = desk.sell(days=300)
    old = await desk.string(code)
    await set_terms(desk, code, expires_at=day(60))
    device = (await desk.get(f"/licenses/{code}"))["devices"][0]["id"]

    file = await desk.visitor.call("POST", f"/admin/api/licenses/{code}/devices/{device}/file", {"reason": "by mail"})

    assert file.status_code == 200, file.text
    claims = claims_of_file(file.text)
    assert (claims["exp"], claims["dev"]) == (strings.seconds(NOW + timedelta(days=60)), claims_of(old)["dev"])


async def test_a_shorter_grace_calls_back_too_and_a_longer_end_does_not(desk: Desk) -> None:
    code = desk.sell(days=3)
    await desk.string(code)
    done = await desk.act(code, "extend_grace", until=day(40))
    graced = await desk.string(code)

    await undo(desk, code, done)

    assert is_listed(desk, graced)
    short = await desk.string(code)
    await desk.act(code, "extend", until=day(40))
    assert not is_listed(desk, short)


async def test_features_are_some_of_the_products_and_follow(shelf: Desk) -> None:
    code = shelf.sell(product_id="CAD")
    old = await shelf.string(code)

    fewer = await set_terms(shelf, code, features=["export", "draw"])
    fresh = await shelf.string(code)
    unknown = await set_terms(shelf, code, features=["fly"], status=422)
    undone = await undo(shelf, code, fewer)
    all_again = await shelf.string(code)

    assert claims_of(old)["feat"] == claims_of(all_again)["feat"] == ["draw", "export", "solver"]
    assert claims_of(fresh)["feat"] == ["draw", "export"], "in the order of the product"
    assert (is_listed(shelf, old), is_listed(shelf, fresh)) == (True, False)
    assert unknown["detail"] == "CAD has no feature fly."
    assert unknown["action"] == "It has draw, export, solver."
    assert undone["license"]["features"] is None


async def test_a_feature_that_the_product_no_longer_has_is_left_out(shelf: Desk) -> None:
    code = shelf.sell(product_id="CAD")
    await set_terms(shelf, code, features=["draw", "solver"])
    with transaction(shelf.house.runtime.database) as session:
        product = store.product(session, "CAD")
        assert product is not None
        product.features = ["draw", "export"]
        session.add(product)

    assert claims_of(await shelf.string(code))["feat"] == ["draw"]


async def test_another_product_takes_its_name_features_and_texts(shelf: Desk) -> None:
    code = shelf.sell(product_id="CAD", customer="Ann")
    old = await shelf.string(code)

    done = await set_terms(shelf, code, product_id="LITE", customer="Ann & Sons")
    fresh = claims_of(await shelf.string(code))

    assert (fresh["product"], fresh["feat"], is_listed(shelf, old)) == ("LITE", ["draw"], True)
    assert "product from CAD to LITE" in done["says"]["en"]
    assert "客户由 Ann 改为 Ann & Sons" in done["says"]["zh"]
    assert set(changed(shelf)[0]) == {"product_id", "customer", "called_back"}
    undone = await undo(shelf, code, done)
    assert (undone["license"]["product_id"], undone["license"]["customer"]) == ("CAD", "Ann")


async def test_places_below_those_in_use_stop_no_device_and_are_on_the_desk(desk: Desk) -> None:
    code = desk.sell(places=2)
    texts = [await desk.string(code), await desk.string(code, OTHER_DEVICE)]

    done = await set_terms(desk, code, places=1)

    assert "2 devices hold one of 1 places: they keep working" in done["says"]["en"]
    for text, device in zip(texts, (DEVICE, OTHER_DEVICE), strict=True):
        assert (await desk.beat(text, device))["status"] == "ACTIVE"
    board = await desk.get("/desk")
    assert [(one["code"], one["places"], one["places_taken"]) for one in board["overfull"]] == [(code, 1, 2)]
    assert not any(is_listed(desk, text) for text in texts)


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"places": 0}, "places"),
        ({"places": 1_000_001}, "places"),
        ({"expires_at": "2026-02-30T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59Z"}, "expires_at"),
        ({"expires_at": day(-1)}, "ends after it began"),
        ({"expires_at": day(0)}, "ends after it began"),
        ({"product_id": "NONE"}, "There is no product 'NONE'."),
        ({"product_id": ""}, "product_id"),
        ({"customer": "a\nb"}, "customer"),
        ({"customer": None}, "customer"),
        ({"features": ["draw\x00"]}, "features"),
        ({"features": ["draw"]}, "No product has no feature draw"),
        ({}, "terms names what is set"),
    ],
    ids=str,
)
async def test_bad_terms_get_an_answer_and_change_nothing(desk: Desk, terms: dict[str, Any], says: str) -> None:
    code = desk.sell()
    before = await desk.get(f"/licenses/{code}")

    refused = await set_terms(desk, code, status=422, **terms)

    assert refused["code"] == "INVALID_REQUEST"
    assert says in json.dumps(refused)
    assert await desk.get(f"/licenses/{code}") == before


async def test_the_same_request_twice_is_unchanged(desk: Desk) -> None:
    code = desk.sell(customer="Ann")
    terms = {"expires_at": day(60), "places": 5, "customer": "Eve"}

    done, again = await set_terms(desk, code, **terms), await set_terms(desk, code, **terms)

    assert (done["changed"], again["changed"], again["undo"]) == (True, False, None)
    assert len(changed(desk)) == 1


async def test_what_the_marketplace_sold_is_its_word(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    before = await desk.get(f"/licenses/{code}")

    extended = await desk.act(code, "extend", until=day(400), status=409)
    preview = await desk.post(f"/licenses/{code}/actions/extend/preview", {"until": day(400)})
    placed = await set_terms(desk, code, places=9, status=409)

    assert (extended["code"], extended["facts"]) == ("SELLER_DECIDES", ["end"])
    assert extended["detail"] == "The marketplace decides when this license ends: it is renewed there."
    assert preview["says"]["zh"] == "不可执行：该许可证的到期时间由云商店决定，请在云商店续费。"
    assert (placed["code"], placed["facts"]) == ("SELLER_DECIDES", ["places"])
    page = await desk.get(f"/licenses/{code}")
    assert page == before
    assert "extend" not in page["actions"]
    assert page["license"]["decided_elsewhere"] == ["end", "places", "customer", "product"]


async def test_a_marketplace_that_shortens_an_end_calls_back_too(desk: Desk) -> None:
    code = desk.buy(days=300)
    old = await desk.string(code)
    with transaction(desk.house.runtime.database, (audit.seal,)) as session:
        license = store.license_for_update(session, code)
        assert license is not None
        changes.change_expiry(
            session, license, NOW + timedelta(days=60), stated_at=NOW, may_shorten=True, cause=Cause("test"), now=NOW
        )

    assert is_listed(desk, old)
    assert claims_of(await desk.string(code))["exp"] == strings.seconds(NOW + timedelta(days=60))


async def test_a_feature_has_a_value_and_an_end_of_its_own(shelf: Desk) -> None:
    code = shelf.sell(days=300, product_id="CAD")
    await shelf.string(code)
    end = NOW + timedelta(days=30)

    await set_terms(shelf, code, features=["draw", "export=3", f"solver until {end.isoformat()}"])
    granted = await shelf.string(code)
    await set_terms(shelf, code, features=["draw", "export=10", "solver"])
    more = await shelf.string(code)
    await set_terms(shelf, code, features=["draw", "export=9", "solver"])
    refused = [
        await set_terms(shelf, code, features=wrong, status=422)
        for wrong in (["export=3", "export=4"], ["nothing=1"], ["solver until tomorrow"], ["solver until 2027-01-01"])
    ]

    said = claims_of(granted)
    assert (said["feat"], said["ent"]) == (
        ["draw", "export"],
        {"export": {"v": "3"}, "solver": {"exp": strings.seconds(end)}},
    )
    assert not is_listed(shelf, granted), "it says less than what follows"
    assert is_listed(shelf, more), "nine are less than ten"
    assert {one["code"] for one in refused} == {"INVALID_REQUEST"}
    shelf.clock.advance(days=31)
    later = claims_of(await shelf.string(code))
    assert later["feat"] == ["draw", "export", "solver"]
