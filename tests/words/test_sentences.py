"""Sentences in two languages: gaps are filled in each in its own language, refusals are found again by their text."""

from __future__ import annotations

from datetime import timedelta

from licsrv.words.actions import DEVICES
from licsrv.words.sentences import Sentence, both, moment, named, same, span
from licsrv.words.texts import in_both
from tests.conftest import NOW


def test_a_sentence_in_a_gap_is_taken_in_the_language_of_the_sentence_around_it() -> None:
    around = both("It ends {at}, {count} times.", "于 {at} 结束，共 {count} 次。")

    filled = around.filled(at=both("today", "今天"), count=2)

    assert filled == Sentence(en="It ends today, 2 times.", zh="于 今天 结束，共 2 次。")


def test_what_is_filled_in_is_never_read_as_a_gap() -> None:
    assert both("“{why}”", "“{why}”").filled(why="{why} {0} {x!r}").en == "“{why} {0} {x!r}”"


def test_things_are_counted_in_one_and_in_many() -> None:
    assert [DEVICES(count).en for count in (0, 1, 2)] == ["0 devices", "1 device", "2 devices"]
    assert DEVICES(1).zh == "1 台设备"


def test_a_word_that_the_catalogue_does_not_know_is_shown_as_it_is() -> None:
    assert named({"A": both("a", "甲")}, "B") == same("B")


def test_a_moment_is_followed_by_how_far_it_is() -> None:
    assert moment(NOW + timedelta(days=3), NOW) == both(
        "2026-03-01 09:30 UTC (in 3 days)".replace("03-01", "03-04"), "2026-03-04 09:30 UTC（3 天后）"
    )
    assert moment(NOW - timedelta(hours=26), NOW).zh.endswith("（26 小时前）")
    assert span(timedelta()).zh == "0 秒"


def test_a_refusal_is_translated_with_what_its_gaps_hold() -> None:
    assert in_both("A list has at most 100000 lines.").zh == "清单最多 100000 行。"
    assert in_both("PL1 has no device 'x'.").zh == "PL1 没有设备 'x'。"
    assert in_both("There is no such job.").zh == "没有这个批量操作。"


def test_a_refusal_that_the_catalogue_does_not_know_stays_in_english() -> None:
    assert in_both("Something {else}.") == same("Something {else}.")
