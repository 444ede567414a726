"""What a check found: good, worth a look, or broken; and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. Only a problem makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


_ORDER = (Level.OK, Level.WARNING, Level.PROBLEM)


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was looked at.

    Args:
        area: ``settings``, ``keys``, ``database``, ``audit``, ``people``, ``licenses``, ``outbox`` or ``marketplace``.
        level: How bad it is.
        detail: What was found, one sentence.
        advice: What to do, where there is something.
    """

    area: str
    level: Level
    detail: str
    advice: str = ""

    def document(self) -> dict[str, str]:
        """Return it as JSON."""
        return {"area": self.area, "level": str(self.level), "detail": self.detail, "advice": self.advice}


def ok(area: str, detail: str, advice: str = "") -> Diagnosis:
    """Return that something is good; ``advice`` is then only a hint."""
    return Diagnosis(area, Level.OK, detail, advice=advice)


def warning(area: str, detail: str, advice: str = "") -> Diagnosis:
    """Return that something is worth a look."""
    return Diagnosis(area, Level.WARNING, detail, advice=advice)


def problem(area: str, detail: str, advice: str = "") -> Diagnosis:
    """Return that something is broken or dangerous."""
    return Diagnosis(area, Level.PROBLEM, detail, advice=advice)


def worst(found: Sequence[Diagnosis]) -> Level:
    """Return the worst level among diagnoses; OK when there are none."""
    return max((diagnosis.level for diagnosis in found), key=_ORDER.index, default=Level.OK)
