"""The question before a renewal with change: does what is in use fit what would be left?"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from licsrv.audit import Cause
from licsrv.licensing import changes, store
from licsrv.licensing.changes import Purchase
from licsrv.platform.db import transaction
from licsrv.runtime import Runtime
from tests import products
from tests.conftest import NOW
from tests.marketplace.sending import send, sign
from tests.tables import each

PRODUCT = {"productId": "OFFI-2", "skuCode": "SKU-2", "linearValue": 3, "productName": "Demo CAD 增强版"}


@pytest.fixture(autouse=True)
def licenses(runtime: Runtime) -> None:
    with transaction(runtime.database) as session:
        for code, taken, facts in (
            ("three-in-use", 3, {}),
            ("own-limit", 3, {"device_limit": 3}),
            ("released", 3, {}),
            ("unused", 0, {}),
        ):
            found = Purchase(code, "online", product_id="OFFI-1", amount=5, **facts)
            license = changes.add(session, found, cause=Cause("test"), now=NOW)
            license.places_taken = taken
        products.describe(session, "OFFI-2")
        products.describe(session, "PAIR", {"places.limit": 2})
        products.describe(session, "SEATS", {"places.limit": 4, "places.amount_counts": False})
        session.flush()
        gone = store.license_for_update(session, "released")
        assert gone is not None
        changes.release(session, gone, cause=Cause("test"), now=NOW)


def question(code: str = "three-in-use", **product: Any) -> dict[str, Any]:
    return {"activity": "changeInstanceCheck", "instanceId": code, "productInfo": PRODUCT | product}


ANSWERS: list[tuple[dict[str, Any], str, str]] = [
    (question(), "000000", "success"),
    (question(linearValue=4), "000000", "success"),
    (question(linearValue=2), "000002", "Release 1 of them first"),
    (question(linearValue=1), "000002", "3 devices are in use and the change leaves room for 1"),
    (question(linearValue="3"), "000000", "success"),
    (question(linearValue=3.0), "000000", "success"),
    (question(linearValue=0), "000002", "linearValue"),
    (question(linearValue=-1), "000002", "linearValue"),
    (question(linearValue=2.5), "000002", "linearValue"),
    (question(linearValue=10**15), "000002", "linearValue"),
    (question(linearValue=[3]), "000002", "linearValue"),
    (question(linearValue=None), "000002", "room for 1"),
    (question("unused", linearValue=1), "000000", "success"),
    (question("own-limit", linearValue=1), "000000", "success"),
    (question(productId="PAIR", linearValue=2), "000000", "success"),
    (question(productId="PAIR", linearValue=1), "000002", "room for 2"),
    (question(productId="SEATS", linearValue=1), "000000", "success"),
    (question(productId="NEW", linearValue=3), "000000", "success"),
    (question("nobody"), "000003", "not known"),
    (question("released"), "000003", "not known"),
    (question() | {"instanceId": ""}, "000002", "instanceId"),
    (question() | {"productInfo": None}, "000002", "productInfo"),
    (question() | {"productInfo": [PRODUCT]}, "000002", "productInfo"),
    (question() | {"productInfo": json.dumps(PRODUCT)}, "000002", "productInfo"),
    (question(productId=None), "000002", "productId"),
    (question("nobody", linearValue=0) | {"testFlag": "1"}, "000000", "success"),
    (question() | {"productInfo": None, "testFlag": 1}, "000000", "success"),
]


async def test_a_change_is_allowed_when_the_devices_in_use_fit(client: httpx2.AsyncClient) -> None:
    for row in each(ANSWERS):
        with row as (message, code, said):
            answer = (await send(client, message, at=NOW)).json()
            assert answer["resultCode"] == code
            assert said in answer["resultMsg"]


async def test_the_question_changes_nothing_and_may_be_repeated(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    def stored() -> dict[str, Any]:
        with transaction(runtime.database) as session:
            license = store.license_by_code(session, "three-in-use")
            assert license is not None
            return license.model_dump()

    before = stored()
    codes = [
        (await send(client, question(linearValue=amount), at=NOW + timedelta(seconds=number))).json()["resultCode"]
        for number, amount in enumerate((2, 3, 2))
    ]

    assert codes == ["000002", "000000", "000002"], "no receipt answers for what is in use by now"
    assert stored() == before


async def test_a_nested_object_is_signed_as_it_arrives_or_with_the_outer_members_sorted(
    client: httpx2.AsyncClient,
) -> None:
    """Only the top level is sorted; the members of the product keep the order on the wire (corrections B1)."""
    shuffled = {name: question()[name] for name in ("productInfo", "instanceId", "activity")}
    product = {name: PRODUCT[name] for name in ("productName", "linearValue", "productId", "skuCode")}
    message = shuffled | {"productInfo": product, "testFlag": None}
    raw = json.dumps(message, ensure_ascii=False, indent=1).encode()
    sorted_outside = {name: message[name] for name in ("activity", "instanceId", "productInfo")}
    sorted_inside = sorted_outside | {"productInfo": dict(sorted(product.items()))}

    def compact(value: object) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    at = str(int(NOW.timestamp() * 1000))
    forms = {"raw": (raw, "000000"), "canonical": (compact(sorted_outside), "000000"),
             "sorted inside, too": (compact(sorted_inside), "000001")}  # fmt: skip
    for row in each(list(forms)):
        with row as name:
            signed, code = forms[name]
            query = {"signature": sign(signed, name, at), "timestamp": at, "nonce": name}
            answer = await client.post("/marketplace/callback", params=query, content=raw)
            assert answer.json()["resultCode"] == code
