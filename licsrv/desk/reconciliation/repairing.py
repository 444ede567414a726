"""What repairing a difference changes, said before it is done. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from licsrv.marketplace.open_api.code_answers import ReportedStatus
from licsrv.marketplace.reconciliation.rules import NOT_RECEIVED, Kind
from licsrv.words.licenses import REPAIRING
from licsrv.words.sentences import Sentence


@dataclass(frozen=True)
class Effect:
    """What adopting the marketplace's value does, whether that is possible, and whether it is for good."""

    says: Sentence
    is_possible: bool = True
    is_final: bool = False


def effect_of(kind: str, theirs: str) -> Effect:
    """Return what repairing a difference of a kind does, where the marketplace says ``theirs``."""
    what = theirs if kind == Kind.STATUS and theirs in REPAIRING else kind
    return Effect(REPAIRING[what], what not in {Kind.UNANSWERED, NOT_RECEIVED}, what == ReportedStatus.RELEASED)
