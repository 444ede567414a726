"""Database addresses: what is read, and that no part of a password is ever shown."""

from __future__ import annotations

import itertools
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.errors import StorageError
from licsrv.platform.database_address import parse, shown

SECRETS = (
    "geheim",
    "ge/heim",
    "ge#heim",
    "ge%heim",
    "ge?heim",
    "ge@heim",
    "ge:heim",
    "@geheim",
    "1/geheim",
    "12@3/ge#heim",
)
FORMS = (
    "postgresql://licsrv:{}@db.example.com/licsrv",
    "postgresql://licsrv:{}@db.example.com:5432/licsrv?sslmode=require",
    "postgres://licsrv:{}@db.example.com/licsrv",
    "postgresql+psycopg://licsrv:{}@[::1]:5432/licsrv",
    "postgresql://lic/srv:{}@db.example.com/licsrv",
    "postgresql://:{}@db.example.com/licsrv",
    "postgresql://db.example.com/licsrv?user=licsrv&password={}",
    "postgresql://licsrv@db.example.com/licsrv?sslpassword={}",
    "mysql://licsrv:{}@db.example.com/licsrv",
    "postgresql://licsrv:{}@db.example.com:port/licsrv",
)


def said_of(address: str) -> str:
    """Return whatever would be shown of an address: itself, or why it is refused."""
    try:
        return shown(parse(address))
    except StorageError as error:
        return str(error)


def test_no_part_of_a_password_is_shown() -> None:
    said = {(form, secret): said_of(form.format(secret)) for form, secret in itertools.product(FORMS, SECRETS)}

    assert {case: text for case, text in said.items() if "geheim" in text or "heim" in text} == {}


@given(st.text(st.sampled_from("ab1/#%?@:[]& "), min_size=1, max_size=12))
def test_a_password_that_is_percent_encoded_arrives_whole(password: str) -> None:
    url = parse(f"postgresql://licsrv:{quote(password, safe='')}@db.example.com/licsrv")

    assert (url.password, url.host, url.database) == (password, "db.example.com", "licsrv")
    assert shown(url) == "postgresql://licsrv:***@db.example.com/licsrv"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_spelling_of_the_scheme_is_read(scheme: str) -> None:
    assert parse(f"{scheme}://licsrv@db/licsrv").drivername == "postgresql+psycopg"


@pytest.mark.parametrize("address", ["postgresql://licsrv:a@b@db/licsrv", "postgresql://lic/srv:pw@db/licsrv"])
def test_an_address_that_can_be_read_in_two_ways_says_how_to_write_it(address: str) -> None:
    with pytest.raises(StorageError, match="%40"):
        parse(address)
