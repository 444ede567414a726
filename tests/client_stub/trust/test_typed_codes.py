"""What people type becomes the same code in the client as in the server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client_stub.session.configuration import Configuration, ConfigurationError
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.typed_codes import clean
from tests.tables import each

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "typed_codes.json").read_text("utf-8"))


def test_the_client_cleans_as_the_vectors_say() -> None:
    for row in each(VECTORS["cases"]):
        with row as case:
            assert clean(case["typed"]) == case["clean"]


def test_one_license_has_one_store_however_its_code_was_pasted(keys: PinnedKeys) -> None:
    plain, pasted = (
        Configuration(code=code, keys=keys, server_url="https://license.example")
        for code in ("PL0000000001", "\ufeff ＰＬ0000000001\u200b")
    )

    assert pasted == plain
    assert pasted.stored_at == plain.stored_at


def test_a_code_of_nothing_but_blanks_is_empty(keys: PinnedKeys) -> None:
    for row in each((" ", "\ufeff", "--", "\u200b\u3000")):
        with row as code, pytest.raises(ConfigurationError, match="code"):
            Configuration(code=code, keys=keys, server_url="https://license.example")
