"""A code counts however it is spelled, as long as it is clear which one is meant; a look-alike is only suggested."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.errors import ConflictError, InvalidRequestError
from licsrv.licensing import changes, spellings, store
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.spellings import Meant
from licsrv.platform.db import Database, open_database, transaction
from tests.conftest import NOW
from tests.tables import each

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "typed_codes.json").read_text("utf-8"))
INSTANCE = "3f0c9a5e-7d1b-4c1e-9a55-0d2f6f1f7a10"
HELD = ("PL0000000001", "PL-FIRST", INSTANCE, "AB-1", "ab-1", "CD1", "C-D1", "客户-Ü1", "XO5", "X05")
# What is typed, and what it means among the codes held.
TYPED = (
    ("PL0000000001", Meant("PL0000000001")),
    ("pl 0000-0000 01", Meant("PL0000000001")),
    ("\ufeffＰＬ0000000001\u200b", Meant("PL0000000001")),
    ("PL0000000002", Meant()),
    ("PLOOOOOOOOO1", Meant(look_alike="PL0000000001")),
    ("plo00000000l", Meant(look_alike="PL0000000001")),
    ("PL000000000I", Meant(look_alike="PL0000000001")),
    ("pl first", Meant("PL-FIRST")),
    ("PLFIRST", Meant("PL-FIRST")),
    ("PL\u2013FIRST", Meant("PL-FIRST")),
    ("PL-F1RST", Meant(look_alike="PL-FIRST")),
    (INSTANCE.upper(), Meant(INSTANCE)),
    (INSTANCE.replace("-", ""), Meant(INSTANCE)),
    ("AB-1", Meant("AB-1")),
    ("ab-1", Meant("ab-1")),
    ("ab--1", Meant(is_ambiguous=True)),  # two licenses are meant
    ("Ab-1", Meant(is_ambiguous=True)),
    ("cd1", Meant("CD1")),  # the dashes decide
    ("c-d1", Meant("C-D1")),
    ("c d1", Meant(is_ambiguous=True)),
    ("客户 Ü1", Meant("客户-Ü1")),
    ("xo5", Meant("XO5")),
    ("XQ5", Meant()),
    ("", Meant()),
    ("-", Meant()),
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.dispose()


def add(session: Session, code: str) -> None:
    changes.add(session, Purchase(code, MANUAL), cause=Cause("test"), now=NOW)


def hold(session: Session) -> None:
    """Hold codes that only the marketplace could have given, such as two that differ in case."""
    for code in HELD:
        changes.confirm(session, Purchase(code, MANUAL), cause=Cause("test"), now=NOW)


def test_codes_are_cleaned_as_the_vectors_say() -> None:
    for row in each(VECTORS["cases"]):
        with row as case:
            assert spellings.clean(case["typed"]) == case["clean"]
            assert spellings.normal(case["typed"]) == case["normal"]
            assert spellings.clean(case["clean"]) == case["clean"]


def test_a_typed_code_means_the_one_license_that_is_spelled_so(database: Database) -> None:
    with transaction(database) as session:
        hold(session)
        for row in each(TYPED):
            with row as (typed, meant):
                assert store.code_meant(session, typed) == meant
        assert store.codes_meant(session, [typed for typed, _ in TYPED]) == dict(TYPED)
        assert store.codes_meant(session, []) == {}


def test_the_look_up_goes_by_its_index(database: Database) -> None:
    is_sqlite = database.write.dialect.name == "sqlite"
    query = str(store._LOOKS_ALIKE.compile(database.write, compile_kwargs={"render_postcompile": True}))
    query = query.replace("?", "'x'").replace("%%", "%")
    for parameter in ("%(typed)s::TEXT", "%(typed)s"):
        query = query.replace(parameter, "'x'")
    with transaction(database) as session:
        if not is_sqlite:
            session.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        plan = " ".join(str(row) for row in session.execute(text(f"{explain} {query}")))

    assert "ix_licenses_code_look_alike" in plan


def test_no_license_is_added_whose_code_reads_like_that_of_another(database: Database) -> None:
    with transaction(database) as session:
        add(session, "\ufeff PL-FIRST ")
        assert store.license_by_code(session, "PL-FIRST") is not None
        for row in each(("PL-FIRST", "pl first", "PLFIRST", "ＰＬ-FIRST")):
            with row as code, pytest.raises(ConflictError):
                add(session, code)
        add(session, "PL-F1RST")  # looks alike, and is another code


def test_a_code_without_a_visible_character_is_no_code(database: Database) -> None:
    with transaction(database) as session:
        for row in each(("\u200b", "--", " \ufeff ")):
            with row as code, pytest.raises(InvalidRequestError):
                add(session, code)
