"""Lists as people have them: pasted, exported, quoted, in the encoding of their machine."""

from __future__ import annotations

import pytest

from licsrv.desk.bulk import uploaded_list
from licsrv.errors import InvalidRequestError

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        (b"PL1\nPL2\n", ["PL1", "PL2"]),
        (b"PL1\r\nPL2", ["PL1", "PL2"]),
        (b"PL1\rPL2\r", ["PL1", "PL2"]),
        (b"  PL1  \n\n\t\nPL2\n\n", ["PL1", "PL2"]),
        (b"code,customer\nPL1,Ann\nPL2,Bob\n", ["PL1", "PL2"]),
        (b"customer;Code;x\nAnn;PL1;\nBob;PL2;\n", ["PL1", "PL2"]),
        (b"customer\tlicense_id\nAnn\tPL1\n", ["PL1"]),
        (BOM + "授权码,客户\nPL1,安娜\n".encode(), ["PL1"]),
        ("授权码,客户\nPL1,安娜\n".encode("utf-16"), ["PL1"]),
        ("code,客户\nPL1,安娜\n".encode("gb18030"), ["PL1"]),
        (b'"PL1","a ""quoted"" cell, with\nlines"\n"PL2",x\n', ["PL1", "PL2"]),
        (b"PL1,x\n,y\nPL2,z\n", ["PL1", "", "PL2"]),
        (b"x,code\nshort\n", [""]),
        (b"'=1+1\n'-2\n'quoted\n", ["=1+1", "-2", "'quoted"]),
        (b"a\x00b\n", [""]),
        (b"x" * 64 + b"\n" + b"x" * 65, ["x" * 64, ""]),
        (("x" * 64 + "\u200b").encode(), ["x" * 64 + "\u200b"]),
        ("\u200b\n --\nＰＬ１\n".encode(), ["", "", "ＰＬ１"]),
        (b"", []),
        (b"code\n", []),
    ],
)
def test_a_list_is_read_as_it_was_meant(raw: bytes, names: list[str]) -> None:
    assert [entry.name for entry in uploaded_list.read(raw)] == names


def test_a_line_is_known_by_its_number_and_by_what_stood_there() -> None:
    entries = list(uploaded_list.read(b"code\n\nPL1\na\x01b\n"))

    assert [(entry.line, entry.given) for entry in entries] == [(3, "PL1"), (4, "a\N{REPLACEMENT CHARACTER}b")]


def test_what_is_kept_of_a_line_is_bounded() -> None:
    assert [len(entry.given) for entry in uploaded_list.read(b"x" * 5000)] == [128]


@pytest.mark.parametrize("count", [100_000, 100_001])
def test_a_list_has_at_most_a_hundred_thousand_lines(count: int) -> None:
    raw = b"PL1\n" * count
    if count <= uploaded_list.MOST_ROWS:
        assert sum(1 for _ in uploaded_list.read(raw)) == count
        return

    with pytest.raises(InvalidRequestError):
        list(uploaded_list.read(raw))


def test_a_quoted_cell_without_an_end_is_refused_with_its_line() -> None:
    with pytest.raises(InvalidRequestError, match="quoted"):
        list(uploaded_list.read(b'PL1\n"PL2\n' + b"x" * 200_000))
