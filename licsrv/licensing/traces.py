"""The trace of a decision: which rule said what, in the order in which they were asked. Pure.

The decision makes it while it decides; an explanation and a refusal show the same one. It names no device, and of the
asking one only which parts agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from licsrv.errors import RefusalError
from licsrv.licensing.fingerprints import Match
from licsrv.words import explanations as words
from licsrv.words.names import name_of
from licsrv.words.sentences import Sentence, joined

Refusal = TypeVar("Refusal", bound=RefusalError)


class Rule(StrEnum):
    """The rules that are asked, in their order; the first that says no ends it."""

    LICENSE = "license"
    DEVICE = "device"
    PLACE = "place"
    BINDING = "binding"
    LEARNING = "learning"
    LEASE = "lease"


@dataclass(frozen=True)
class Step:
    """What one rule said. ``is_passed`` False: the device gets no license for this reason."""

    rule: Rule
    says: Sentence
    is_passed: bool = True

    def shown(self) -> dict[str, Any]:
        """Return it as answers show it."""
        return {"rule": str(self.rule), "passed": self.is_passed, "says": self.says.model_dump()}


def refused(refusal: Refusal, trace: Sequence[Step]) -> Refusal:
    """Return a refusal that carries its trace."""
    refusal.extra["trace"] = [step.shown() for step in trace]
    return refusal


def of_refusal(refusal: RefusalError) -> Sequence[Step]:
    """Return the trace that a refusal carries; none where it carries none."""
    found: Any = refusal.extra.get("trace", ())
    return [Step(Rule(one["rule"]), Sentence(**one["says"]), is_passed=one["passed"]) for one in found]


def agreement(found: Match) -> Sentence:
    """Say of each part whether it agrees."""
    return joined(
        words.PART.filled(part=name_of("part", part), verdict=name_of("part_verdict", verdict))
        for part, verdict in found.explain().items()
    )
