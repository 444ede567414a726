"""The strict JSON reader: what it takes, what it refuses, and that it raises nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.platform.strict_json import MalformedJsonError, loads_object

INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
SCALARS = st.none() | st.booleans() | INT64 | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=12)
SNIPPETS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        '"',
        ":",
        ",",
        "\\",
        '"a":',
        "1",
        "-",
        "1e999",
        "NaN",
        "null",
        "\\ud800",
        "\\u0000",
        " ",
        "\ufeff",
    ]
)


def nested(depth: int) -> bytes:
    """An object whose innermost bracket is the ``depth``-th one open."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}" if depth > 1 else b"{}"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b' \t\r\n{"a" : 1 } \n', {"a": 1}),
        ('{"license":"PL授权码"}'.encode(), {"license": "PL授权码"}),
        (rb'{"a":"\ud83d\udd11"}', {"a": "\U0001f511"}),
        (rb'{"a":"\\u0000"}', {"a": "\\u0000"}),
        (b'{"a":"[[[[[[[[[[[[[[[[[[[[{{{{"}', {"a": "[[[[[[[[[[[[[[[[[[[[{{{{"}),
        (rb'{"a":"\"[[[[[[[[[[[[[[[[[[[["}', {"a": '"[[[[[[[[[[[[[[[[[[[['}),
        (b'{"a":9223372036854775807,"b":-9223372036854775808}', {"a": 2**63 - 1, "b": -(2**63)}),
        (b'{"a":1.7976931348623157e308}', {"a": 1.7976931348623157e308}),
        (b'{"a":{"x":1},"b":{"x":1}}', {"a": {"x": 1}, "b": {"x": 1}}),
        (b'{"A":1,"a":2}', {"A": 1, "a": 2}),
    ],
)
def test_what_every_reader_understands_alike_is_taken(body: bytes, value: object) -> None:
    assert loads_object(body) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff{}", "not UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a":1,"a":1}', "'a' appears twice"),
        (rb'{"a":1,"\u0061":2}', "'a' appears twice"),
        (b'{"x":{"a":1,"a":1}}', "'a' appears twice"),
        (b'{"' + b"a" * 99 + b'":1,"' + b"a" * 99 + b'":1}', "'" + "a" * 40 + "...' appears twice"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":Infinity}', "Infinity"),
        (b'{"a":-Infinity}', "-Infinity"),
        (b'{"a":9223372036854775808}', "64 bits"),
        (b'{"a":-9223372036854775809}', "64 bits"),
        (b'{"a":' + b"9" * 5000 + b"}", "64 bits"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":-1e999}', "too large"),
        (rb'{"a":"\ud800"}', "surrogate"),
        (rb'{"\udc00":1}', "surrogate"),
        (rb'{"a":[{"b":"\udd11\ud83d"}]}', "surrogate"),
        (rb'{"a":"\u0000"}', "U+0000"),
        (rb'{"\u0000":1}', "U+0000"),
        (b'{"a":"\x00"}', "not JSON"),
        (b'{"a":"\n"}', "not JSON"),
        (b"{} {}", "not JSON"),
        (b"{}\x00", "not JSON"),
        (b"{}\xc2\xa0", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":1_0}', "not JSON"),
        ('{"a":１}'.encode(), "not JSON"),
        (b"[]", "not an object"),
        (b'"a"', "not an object"),
        (b"null", "not an object"),
    ],
)
def test_what_readers_could_understand_differently_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedJsonError) as refused:
        loads_object(body)

    assert reason in str(refused.value)


def test_the_depth_is_counted_with_the_outermost_object() -> None:
    assert loads_object(nested(16))

    with pytest.raises(MalformedJsonError, match="more than 16 deep"):
        loads_object(nested(17))


def test_the_depth_can_be_set() -> None:
    assert loads_object(nested(1), max_depth=1) == {}

    with pytest.raises(MalformedJsonError, match="more than 1 deep"):
        loads_object(nested(2), max_depth=1)


@pytest.mark.parametrize("opening", [b"[", b"{", b'{"a":', b'[{"a":'])
def test_endless_nesting_is_refused_without_recursion(opening: bytes) -> None:
    with pytest.raises(MalformedJsonError, match="deep"):
        loads_object(opening * 100_000, max_bytes=10_000_000)


def test_the_length_is_counted_in_bytes() -> None:
    exact = b'{"a":"' + b"x" * (65536 - 8) + b'"}'

    assert loads_object(exact)
    with pytest.raises(MalformedJsonError, match="longer than 65536 bytes"):
        loads_object(exact + b" ")


@pytest.mark.parametrize("body", [b'{"a":"' + rb"\"" * 30_000, b'"' * 60_000, b'{"a":"' + b"\\" * 60_001])
def test_unfinished_strings_cost_no_more_than_finished_ones(body: bytes) -> None:
    with pytest.raises(MalformedJsonError):
        loads_object(body)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_what_json_writes_is_read_back(value: dict[str, object]) -> None:
    for ensure_ascii in (True, False):
        assert loads_object(json.dumps(value, ensure_ascii=ensure_ascii).encode(), max_depth=64) == value


@given(st.binary() | st.lists(SNIPPETS, max_size=40).map("".join).map(str.encode))
def test_nothing_but_the_declared_error_is_raised(body: bytes) -> None:
    try:
        value = loads_object(body)
    except MalformedJsonError as error:
        assert str(error).endswith(".")  # noqa: PT017 - most inputs are refused, some are not
    else:
        assert isinstance(value, dict)
