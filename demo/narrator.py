"""Prints the story: plain at 80 columns, coloured on a terminal only. Knows nothing of licenses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_WIDEST = 100


@dataclass(frozen=True)
class PlayedStep:
    """One step as it went: for the table at the end."""

    number: int
    title: str
    result: str
    seconds: float


@dataclass(frozen=True)
class PlayedAct:
    """The steps of an act as they went."""

    title: str
    steps: tuple[PlayedStep, ...]


class Narrator:
    """Prints what happens on a console."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=False)
        self._console.width = min(self._console.width, _WIDEST)

    def open(self, title: str, sentence: str) -> None:
        """Print the title of the whole."""
        self._console.print()
        self._console.print(Text(title, style="bold"))
        self._console.print(Text(sentence, style="dim"))

    def act(self, title: str) -> None:
        """Begin an act."""
        self._console.print()
        self._console.rule(Text(title, style="bold"), align="left", style="dim")

    def step(self, number: int, title: str) -> None:
        """Begin a step."""
        self._console.print()
        self._console.print(Text(f"{number:2} ", style="bold cyan").append(title, style="bold"))

    def say(self, sentence: str) -> None:
        """Print a sentence of the step."""
        self._console.print(Padding(Text(sentence), (0, 0, 0, 3), expand=False))

    def command(self, line: str) -> None:
        """Print a command that the vendor's staff type."""
        self._console.print(Padding(Text("$ ", style="dim").append(line, style="bold"), (0, 0, 0, 5), expand=False))

    def quote(self, who: str, sentence: str, style: str = "yellow") -> None:
        """Print what a person in the story reads on a screen."""
        line = Text(f"{who}: ", style="dim").append(sentence, style=style)
        self._console.print(Padding(line, (0, 0, 0, 5), expand=False))

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Print observed values, one a line."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in facts:
            grid.add_row(Text(name), Text(value))
        self._console.print(Padding(grid, (0, 0, 0, 5), expand=False))

    def close(self, acts: Sequence[PlayedAct], seconds: float) -> None:
        """Print the table of what happened, act by act."""
        table = Table(title="What happened", title_justify="left", title_style="bold", header_style="bold")
        table.add_column("", justify="right")
        table.add_column("Step", ratio=4)
        table.add_column("Observed", ratio=5)
        table.add_column("s", justify="right", no_wrap=True)
        for act in acts:
            spent = sum(step.seconds for step in act.steps)
            table.add_section()
            table.add_row("", Text(act.title, style="bold cyan"), "", Text(f"{spent:.1f}", style="cyan"))
            for step in act.steps:
                table.add_row(str(step.number), Text(step.title), Text(step.result), f"{step.seconds:.1f}")
        self._console.print()
        self._console.print(table)
        count = sum(len(act.steps) for act in acts)
        self._console.print(Text(f"All {count} steps went as described; {seconds:.1f} s in all.", style="green"))

    def fail(self, sentence: str, details: Sequence[str] = ()) -> None:
        """Say that the story could not be played to its end."""
        self._console.print()
        self._console.print(Text(sentence, style="bold red"))
        for line in details:
            self._console.print(Padding(Text(line, style="dim"), (0, 0, 0, 3), expand=False))
