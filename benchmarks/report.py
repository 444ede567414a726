"""What was measured, against what must be reached, as a table for people, Markdown for the documents, or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


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


def at_least(value: float) -> Target:
    """Return a target from which on a figure is good."""
    return Target(Bound.AT_LEAST, value)


def at_most(value: float) -> Target:
    """Return a target up to which a figure is good."""
    return Target(Bound.AT_MOST, value)
