"""By which names a program may expect a product, in Python and in C; texts and programs of former times included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from client_stub.trust import verification
from client_stub.trust.errors import BadClaimsError, WrongProductError
from client_stub.trust.keys import PinnedKeys
from tests.client_stub.c.c_verifier import VECTORS, Tool, tool
from tests.client_stub.make_text_signer import license_string
from tests.tables import each

FORMER: Mapping[str, Any] = {"product": "CADPRO"}
NEW: Mapping[str, Any] = {"product": "OFFI-CAD", "name": "CAD 专业版", "aka": ["CADPRO", "CAD Pro"]}
UPGRADED: Mapping[str, Any] = {"product": "CADPRO", "name": "CAD Pro", "aka": ["OFFI-CAD"]}
TABLE = [
    (FORMER, "CADPRO", True), (FORMER, "OFFI-CAD", False), (FORMER, "", False),
    (NEW, "OFFI-CAD", True), (NEW, "CADPRO", True), (NEW, "CAD Pro", True), (NEW, "CAD 专业版", True),
    (NEW, "CAD", False), (NEW, "cadpro", False), (NEW, "CADPRO ", False), (NEW, "CADPRO,CAD Pro", False),
    (UPGRADED, "OFFI-CAD", True), (UPGRADED, "CADPRO", True), (UPGRADED, "CAD Pro", True), (UPGRADED, "OFFI", False),
    ({"product": "CAD", "name": "", "aka": []}, "CAD", True), ({"product": "CAD", "name": "", "aka": [""]}, "", False),
]  # fmt: skip
BROKEN = [{"aka": "CADPRO"}, {"aka": [1]}, {"aka": {}}, {"aka": ["A", None]}, {"name": 1}, {"name": []}]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return tool(tmp_path_factory)


def believed(changes: Mapping[str, Any], product: verification.Expected) -> bool:
    keys = PinnedKeys.from_jwks(VECTORS["jwks"])
    try:
        verification.authenticate_license(license_string(**changes), keys, product=product)
    except WrongProductError:
        return False
    return True


def test_a_product_is_known_by_every_name_that_its_license_signs(built: Tool) -> None:
    for row in each(TABLE):
        with row as (changes, product, is_for_it):
            assert believed(changes, product) is is_for_it
            answer = built.verify("string", {"text": license_string(**changes), "product": product})
            assert answer["verdict"] == ("OK" if is_for_it else "WRONG_PRODUCT")


def test_a_program_may_expect_several_products() -> None:
    assert believed(FORMER, ("OFFI-CAD", "CADPRO"))
    assert believed(NEW, ("OTHER", "OFFI-CAD"))
    assert not believed(NEW, ("OTHER", "CAD"))
    assert not believed(NEW, ())


def test_names_of_another_kind_are_refused(built: Tool) -> None:
    keys = PinnedKeys.from_jwks(VECTORS["jwks"])
    for row in each(BROKEN):
        with row as changes:
            with pytest.raises(BadClaimsError):
                verification.authenticate_license(license_string(**changes), keys)
            assert built.verify("string", {"text": license_string(**changes)})["verdict"] == "INVALID"
