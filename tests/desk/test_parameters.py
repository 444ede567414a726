"""What the desk's operations are asked by."""

from __future__ import annotations

import pytest

from licsrv.desk.parameters import HIGHEST, number_after, number_of
from licsrv.errors import InvalidRequestError
from licsrv.platform.paging import Window
from tests.tables import each


def test_a_number_is_one_that_a_row_can_have() -> None:
    table = {
        "1": 1, "0000000001": 1, "1000000000": 10**9, str(HIGHEST): HIGHEST,
        str(HIGHEST + 1): None, "9999999999": None, "00000000001": None, "": None, "-1": None, "1_0": None, "１": None,
    }  # fmt: skip

    for row in each(table.items()):
        with row as (text, number):
            assert number_of(text) == number


def test_a_page_begins_behind_its_cursor() -> None:
    assert number_after(Window()) == HIGHEST
    assert number_after(Window(), first=0) == 0
    assert number_after(Window(after=("7",)), first=0) == 7
    with pytest.raises(InvalidRequestError):
        number_after(Window(after=("seven",)))
