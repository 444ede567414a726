"""The trace of a decision: which rule said what, in the order in which they were asked. Pure.

The decision makes it while it decides; an explanation and a refusal show the same one. It names no device, and of the
asking one only which parts agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    UNSEEN = "unseen"
    MOVES = "moves"


@dataclass(frozen=True)
class Step:
    """What one rule said.

    Args:
        is_passed: False: the device gets no license for this reason.
        values: What fills the gaps of the sentence, or functions that return it.
    """

    rule: Rule
    template: Sentence
    is_passed: bool = True
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def says(self) -> Sentence:
        """The sentence; made when it is read, because most decisions are never explained."""
        return self.template.filled(**{name: made() if callable(made) else made for name, made in self.values.items()})

    def shown(self) -> dict[str, Any]:
        """Return it as answers show it."""
        return {"rule": str(self.rule), "passed": self.is_passed, "says": self.says.model_dump()}


def refused(refusal: Refusal, trace: Sequence[Step]) -> Refusal:
    """Return a refusal that carries its trace."""
    refusal.trace = trace
    return refusal


def agreement(found: Match) -> Sentence:
    """Say of each part whether it agrees."""
    return joined(
        words.PART.filled(part=name_of("part", part), verdict=name_of("part_verdict", verdict))
        for part, verdict in found.explain().items()
    )
