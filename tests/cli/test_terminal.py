"""How values are printed, and moments written."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.cli import details, staff, terminal
from licsrv.cli.terminal import Column
from licsrv.platform import moments

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""), (0, "0"), ("plain", "plain"), ("本田の机 é", "本田の机 é"), ("a\u3000b", "a b"), ("a\xa0b", "a b"),
        ("\x1b[31m", "\\x1b[31m"), ("a\nb\tc", "a\\nb\\tc"), ("\u202e\u200b", "\\u202e\\u200b"), ("\x9b", "\\x9b"),
        ("\ud800", "\\ud800"), ("\u2028", "\\u2028"), ("[red]", "[red]"), ("x" * 4001, "x" * 4000 + "…"),
    ],
)  # fmt: skip
def test_every_character_of_a_value_can_be_seen(value: object, shown: str) -> None:
    assert terminal.printable(value) == shown


@given(st.text())
def test_nothing_that_moves_a_cursor_is_printed(value: str) -> None:
    assert terminal.printable(value).isprintable()


@given(
    st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), min_size=1, max_size=3), st.sampled_from([40, 80])
)
def test_a_table_never_grows_out_of_its_terminal(rows: list[tuple[str, str]], width: int) -> None:
    from rich.cells import cell_len

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COLUMNS", str(width))
        out = printed(lambda: terminal.show_table((Column("A", flexible=True), Column("B", flexible=True)), rows))

    assert all(cell_len(line) <= width for line in out.splitlines())


def printed(show: object) -> str:
    import contextlib
    import io

    sink = io.StringIO()
    with contextlib.redirect_stdout(sink):
        show()  # type: ignore[operator]
    return sink.getvalue()


def test_a_column_is_left_out_where_there_is_no_room(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = (Column("Code"), Column("Order", from_width=terminal.WIDE))
    for width, is_shown in ((99, False), (100, True)):
        monkeypatch.setenv("COLUMNS", str(width))
        terminal.show_table(columns, [("PL1", "CS1")])
        assert ("CS1" in capsys.readouterr().out) == is_shown


def test_a_table_without_rows_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_table((Column("Code"),), [])

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(), "0 seconds"), (timedelta(seconds=1), "1 second"), (timedelta(seconds=119), "119 seconds"),
        (timedelta(minutes=2), "2 minutes"), (timedelta(hours=2), "2 hours"), (timedelta(hours=47), "47 hours"),
        (timedelta(days=2), "2 days"), (timedelta(days=-400), "400 days"),
    ],
)  # fmt: skip
def test_a_span_is_said_in_its_largest_unit(length: timedelta, words: str) -> None:
    assert moments.span(length) == words


def test_moments_are_written_in_utc() -> None:
    moment = datetime(2026, 3, 1, 17, 30, tzinfo=timezone(timedelta(hours=8)))

    assert moments.rfc3339(moment) == "2026-03-01T09:30:00Z"
    assert moments.both(moment, NOW + timedelta(days=3)) == "2026-03-01 09:30 UTC (3 days ago)"
    assert moments.both(moment, NOW - timedelta(days=3)) == "2026-03-01 09:30 UTC (in 3 days)"
    assert (moments.rfc3339(None), moments.full(None), moments.both(None, NOW)) == (None, "", "")


def test_the_detail_of_an_entry_is_one_line() -> None:
    detail = {
        "expires_at": {"before": None, "after": "2027-01-31T00:00:00+00:00"},
        "parts": {"mac": "agrees"},
        "features": ["a", "b"],
        "empty": "",
    }

    assert details.in_words(detail) == "expires_at=none -> 2027-01-31 00:00 UTC, parts=(mac agrees), features=[a, b]"
    assert details.in_brief(detail) == "expires_at=none -> 2027-01-31 00:00 UTC, features=[a, b]"
    assert details.in_words("cut off {") == "cut off {"


def test_somebody_is_always_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "x\x1b" * 100)
    monkeypatch.delenv("SUDO_UID", raising=False)
    own = f"terminal:{os.getuid()}"
    assert staff.actor(None) == f"{own} ({'x' * 60})"
    assert staff.actor("bob") == f"{own} (bob)"
    monkeypatch.setenv("LOGNAME", "\x1b")
    assert staff.actor(None) == f"{own} (unknown)"


@pytest.mark.parametrize(("behind", "is_taken"), [("1001", True), ("", False), ("-1", False), ("\uff11", False)])
def test_behind_sudo_the_caller_is_named(monkeypatch: pytest.MonkeyPatch, behind: str, is_taken: bool) -> None:
    monkeypatch.setenv("SUDO_UID", behind)

    assert staff.actor("boss0") == f"terminal:{behind if is_taken else os.getuid()} (boss0)"
