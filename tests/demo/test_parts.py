"""The parts of the demo: a claim that is not so fails, time is told at 80 columns, processes end on any failure."""

from __future__ import annotations

import io
from pathlib import Path

import httpx2
import pytest
from rich.console import Console

from demo.commands import Commands
from demo.expectations import UnexpectedError, expect, expect_kind, wait_for
from demo.narrator import Narrator, PlayedAct, PlayedStep
from demo.stage import Stage
from tests.docs.pages import ROOT


def test_what_is_as_expected_passes() -> None:
    expect(2, 2, "places")

    assert expect_kind("text", str, "an answer") == "text"


def test_what_is_not_as_expected_names_both() -> None:
    with pytest.raises(UnexpectedError, match="places: expected 2, observed 3"):
        expect(3, 2, "places")


def test_something_of_another_kind_is_named() -> None:
    with pytest.raises(UnexpectedError, match="an answer: expected a str, observed 3"):
        expect_kind(3, str, "an answer")


def test_waiting_returns_the_first_good_look() -> None:
    looks = iter([0, 1, 2, 3])

    assert wait_for(lambda: next(looks), lambda seen: seen == 2, "a two") == 2


def test_waiting_in_vain_names_what_was_seen_last() -> None:
    with pytest.raises(UnexpectedError, match="a two: not within 0 s; observed 1"):
        wait_for(lambda: 1, lambda seen: seen == 2, "a two", seconds=0)


def test_everything_told_fits_80_columns_and_markup_is_plain_text() -> None:
    written = io.StringIO()
    narrator = Narrator(Console(file=written, width=80, highlight=False))

    narrator.act("[green]An act " * 20)
    narrator.step(7, "A step")
    narrator.say("A sentence that goes on and on " * 5)
    narrator.quote("[red]somebody[/red]", "[bold]words[/bold] " * 12)
    narrator.facts([("name", "value " * 30)])
    narrator.fail("[blink]It failed[/blink]", ["a line " * 30])
    narrator.close([PlayedAct("[red]An act " * 9, (PlayedStep(7, "[red]A step", "observed " * 20, 1.25),))], 1.25)

    lines = written.getvalue().splitlines()
    assert max(len(line) for line in lines) <= 80
    assert "[red]somebody[/red]" in written.getvalue()
    assert "\x1b" not in written.getvalue()


@pytest.mark.soak
@pytest.mark.timeout(120)
def test_a_failure_ends_every_process_and_removes_the_folder() -> None:
    stage = Stage()

    with pytest.raises(ZeroDivisionError):
        _fail_on(stage)

    assert not stage.folder.exists()
    for url in _urls(stage):
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(url, trust_env=False)


def test_the_table_counts_the_steps_of_every_act_and_adds_their_seconds_up() -> None:
    written = io.StringIO()
    narrator = Narrator(Console(file=written, width=80, highlight=False))
    steps = (PlayedStep(1, "One", "seen", 1.25), PlayedStep(2, "Two", "seen", 2.5))

    narrator.close(
        [PlayedAct("First act", steps), PlayedAct("Second act", (PlayedStep(3, "Three", "seen", 0.5),))], 4.25
    )

    told = written.getvalue()
    assert "All 3 steps went as described; 4.2 s in all." in told
    assert [line.split("│")[4].strip() for line in told.splitlines() if " act " in line] == ["3.8", "0.5"]


def _fail_on(stage: Stage) -> None:
    with stage:
        stage.set_up()
        assert all(httpx2.get(url, trust_env=False).status_code == 200 for url in _urls(stage))
        raise ZeroDivisionError


def _urls(stage: Stage) -> list[str]:
    return [f"{stage.server_url}/healthz", f"{stage.marketplace_url}/control"]


@pytest.mark.soak
def test_a_command_that_fails_is_told_in_one_sentence() -> None:
    with Stage() as stage, pytest.raises(UnexpectedError, match="`licsrv licenses nonsense` failed"):
        stage.command("licenses", "nonsense")


def test_a_prompt_that_is_gone_fails_the_command_and_is_no_broken_pipe_of_ours(tmp_path: Path) -> None:
    commands = Commands(ROOT, tmp_path)
    prompt = commands.warm_up()
    prompt.kill()
    prompt.wait()

    with pytest.raises(UnexpectedError, match="`licsrv --help` did not end"):
        commands.run("licsrv", ["--help"], {})
    commands.close()


@pytest.mark.soak
def test_a_command_sees_its_own_environment_and_says_how_it_ended(tmp_path: Path) -> None:
    commands = Commands(ROOT, tmp_path)

    listed = commands.run("licsrv", ["keys", "list"], {"LICSRV_KEYS_DIR": str(tmp_path / "elsewhere")})
    mistyped = commands.run("licsrv", ["nonsense"], {})
    commands.close()

    assert (listed.code, listed.output) == (0, "")
    assert "elsewhere" in listed.last_words
    assert mistyped.code == 2
