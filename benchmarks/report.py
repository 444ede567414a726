"""What was measured against what must be reached: a table for people, Markdown for documents, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

HEADINGS = ("Path", "Figure", "Measured", "Must reach", "Verdict")


class Bound(StrEnum):
    """Which side of a target is good."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True)
class Target:
    """What a figure must reach."""

    bound: Bound
    value: float

    def is_met(self, measured: float) -> bool:
        """Whether a figure reaches it; the target itself does."""
        return measured >= self.value if self.bound is Bound.AT_LEAST else measured <= self.value


@dataclass(frozen=True)
class Figure:
    """One measured figure; without a target it only explains the others."""

    path: str
    name: str
    value: float
    unit: str = ""
    target: Target | None = None

    @property
    def verdict(self) -> str:
        """``pass``, ``MISS``, or nothing where there is no target."""
        if self.target is None:
            return ""
        return "pass" if self.target.is_met(self.value) else "MISS"

    def cells(self) -> tuple[str, ...]:
        """Return the row of a table, under :data:`HEADINGS`."""
        must = f"{self.target.bound} {_quantity(self.target.value, self.unit)}" if self.target else ""
        return self.path, self.name, _quantity(self.value, self.unit), must, self.verdict

    def document(self) -> dict[str, object]:
        """Return the figure for programs."""
        document: dict[str, object] = {"path": self.path, "name": self.name, "value": self.value, "unit": self.unit}
        if self.target is not None:
            document["target"] = {"bound": self.target.bound.name.lower(), "value": self.target.value}
            document["met"] = self.target.is_met(self.value)
        return document


def at_least(value: float) -> Target:
    """Return a target from which on a figure is good."""
    return Target(Bound.AT_LEAST, value)


def at_most(value: float) -> Target:
    """Return a target up to which a figure is good."""
    return Target(Bound.AT_MOST, value)


@dataclass(frozen=True)
class Report:
    """A whole run. ``notes`` say what a reader must know before believing the figures."""

    machine: Mapping[str, str]
    scale: str
    figures: Sequence[Figure]
    notes: Sequence[str] = ()

    def summary(self) -> str:
        """Return in one line how many targets are met."""
        judged = [figure for figure in self.figures if figure.target is not None]
        met = sum(figure.verdict == "pass" for figure in judged)
        return f"{met} of {len(judged)} targets met."

    def text(self) -> str:
        """Return the report for a terminal, ending in the table."""
        rows = [HEADINGS, *(figure.cells() for figure in self.figures)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
        lines = [_aligned(row, widths) for row in rows]
        lines.insert(1, "  ".join("─" * width for width in widths))
        return "\n".join([self._machine(), *self.notes, self.summary(), "", *lines])

    def markdown(self) -> str:
        """Return the report as Markdown."""
        rule = "| --- | --- | ---: | ---: | --- |"
        rows = [_markdown_row(figure.cells()) for figure in self.figures]
        notes = [f"* {note}" for note in (self._machine(), *self.notes, self.summary())]
        return "\n".join([*notes, "", _markdown_row(HEADINGS), rule, *rows])

    def json(self) -> str:
        """Return the report as one JSON object."""
        document = {
            "machine": dict(self.machine),
            "scale": self.scale,
            "notes": list(self.notes),
            "figures": [figure.document() for figure in self.figures],
        }
        return json.dumps(document, ensure_ascii=False, indent=2)

    def _machine(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        return f"Scale: {self.scale}. Machine: {facts}."


def _quantity(value: float, unit: str) -> str:
    """Return a value with as many digits as mean something, and its unit."""
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if 2 <= place <= 3 else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
