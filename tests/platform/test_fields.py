"""Text from outside is bounded, printable and storable on every database."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from licsrv.platform.fields import Body, Code, Name, Nonce, Version

FIELDS = {"name": Name, "version": Version, "code": Code, "nonce": Nonce}
GOOD = [
    ("name", ""), ("name", "CAD-WS-07"), ("name", "\u5de5\u4f5c\u7ad9 7"), ("name", "x" * 100), ("name", "a\u00a0b"),
    ("version", "3.2.1-rc.1+build"), ("version", "v" * 64),
    ("code", "PL0000000001"), ("code", "c" * 64), ("nonce", "!"), ("nonce", "~" * 64),
]  # fmt: skip
BAD = [
    ("name", "x" * 101), ("name", "a\nb"), ("name", "a\n"), ("name", "a\x00b"), ("name", "\x1b[31m"), ("name", "a\x7f"),
    ("name", "a\u0085b"), ("name", "a\u2028b"), ("version", "v" * 65), ("code", ""), ("code", "   "), ("code", "a\tb"),
    ("code", "c" * 65), ("nonce", ""), ("nonce", "n" * 65), ("nonce", "a b"), ("nonce", "n\n"), ("nonce", "\u00e9"),
]  # fmt: skip


def read(field: str, value: str) -> str:
    adapter: TypeAdapter[Any] = TypeAdapter(FIELDS[field])
    return str(adapter.validate_python(value))


@pytest.mark.parametrize(("field", "value"), GOOD)
def test_what_fits_is_taken_as_it_is(field: str, value: str) -> None:
    assert read(field, value) == value


@pytest.mark.parametrize(("field", "value"), BAD)
def test_what_does_not_fit_is_refused(field: str, value: str) -> None:
    with pytest.raises(ValidationError):
        read(field, value)


def test_blanks_around_a_code_are_a_slip_of_the_hand() -> None:
    assert read("code", "  PL0000000001 \n") == "PL0000000001"


class Note(Body):
    """A body."""

    text: Name = ""


def test_members_of_newer_clients_are_ignored() -> None:
    assert Note.model_validate({"text": "a", "colour": "red"}) == Note(text="a")


def test_a_refused_body_does_not_show_what_it_held() -> None:
    with pytest.raises(ValidationError) as raised:
        Note.model_validate({"text": "the-raw-value" * 20})

    assert "the-raw-value" not in str(raised.value)


@given(st.sampled_from(sorted(FIELDS)), st.text(max_size=120))
def test_whatever_passes_is_one_printable_line(field: str, value: str) -> None:
    try:
        taken = read(field, value)
    except ValidationError:
        return

    assert len(taken.splitlines()) <= 1
    assert "\x00" not in taken
    taken.encode("utf-8")
