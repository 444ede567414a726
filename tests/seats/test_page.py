"""Each event of docs/floating.md is played by a test."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs import pages

PLAYED = {
    "The program crashes": "a_killed_programs_seat_is_free_after_its_length_and_its_own_until_another_takes_it",
    "The program loses its connection":
        "a_killed_programs_seat_is_free_after_its_length_and_its_own_until_another_takes_it",
    "An answer is lost": "one_program_that_asks_many_times_at_once_has_one_seat",
    "The machine is lost": "a_borrowed_seat_lasts_without_renewal_until_its_end_and_its_end_can_be_moved",
    "The server is away": "a_seat_outlasts_a_time_in_which_the_service_was_away",
    "One of two servers ends": "a_short_restart_and_the_death_of_one_of_two_replicas_change_nothing",
    "The server's clock is set back": "clocks_that_jump_end_no_seat_early_and_let_none_last_for_ever",
    "The server's clock jumps ahead": "clocks_that_jump_end_no_seat_early_and_let_none_last_for_ever",
    "More programs start than were bought": "more_than_were_bought_are_admitted_up_to_the_overdraft_and_marked",
    "The license is frozen, revoked, or ends":
        "a_license_that_may_not_be_used_gives_keeps_and_lends_no_seat_but_takes_one_back",
    "The number of seats becomes smaller":
        "programs_keep_their_seats_when_there_are_fewer_and_none_is_given_before",
}  # fmt: skip


def test_each_event_of_the_page_is_played() -> None:
    table = pages.text(pages.DOCS / "floating.md").split("## When something goes wrong")[1].split("\n## ")[0]
    events = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)[2:]
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))

    assert events == list(PLAYED)
    assert [name for name in PLAYED.values() if f"def test_{name}(" not in tests] == []
