"""Options that several commands share."""

from __future__ import annotations

import re
from enum import StrEnum
from importlib import import_module
from pathlib import Path

import pytest
import typer

import licsrv.cli
from licsrv.cli.options import features, short_text, word_of
from tests.tables import each

SOURCES = [path.read_text() for path in Path(licsrv.cli.__file__).parent.rglob("*.py")]
NAMED = sorted({name for source in SOURCES for name in re.findall(r'word_of\("([\w.:]+)"\)', source)})


def test_every_enumeration_that_an_option_names_is_there() -> None:
    assert len(NAMED) >= 8

    for row in each(NAMED):
        with row as name:
            module, _, member = name.partition(":")
            enumeration = getattr(import_module(module), member)
            assert issubclass(enumeration, StrEnum)
            assert len({word.upper() for word in enumeration}) == len(enumeration)


def test_a_word_is_taken_in_any_case_and_no_other_one() -> None:
    check = word_of("licsrv.licensing.keyring:Algorithm")

    assert check(None) is None
    assert check("eddsa") == "EdDSA"
    with pytest.raises(typer.BadParameter, match="One of EdDSA, ML-DSA-65"):
        check("RSA")


def test_a_short_text_is_printable_and_no_longer_than_allowed() -> None:
    check = short_text(3, least=1)

    assert check(None) is None
    assert check(" abc ") == "abc"
    for row in each(["abcd", "", " ", "a\nb", "a\x1bb"]):
        with row as text, pytest.raises(typer.BadParameter):
            check(text)


def test_names_of_features_are_trimmed_and_none_is_blank() -> None:
    assert features(None) is None
    assert features([" pro ", "x" * 64]) == ["pro", "x" * 64]
    for wrong in ([" "], ["pro", "x" * 101], ["a\nb"]):
        with pytest.raises(typer.BadParameter, match="At most 100"):
            features(wrong)
