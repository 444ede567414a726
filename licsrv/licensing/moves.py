"""Moves: how often programs may give places of a license back by themselves, so that other devices take them. Pure.

A device that gave its place back may go on without network: until its license file ends, or for the days for which a
string needs no check-in. Without a limit one place serves many devices. Staff is not limited, see docs/adr/0021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from licsrv.errors import MoveLimitError

_ACTION = "Wait until then, or have the vendor's support release the place."


@dataclass(frozen=True)
class MoveRules:
    """The limits of one license.

    Args:
        per_place: Moves of each place within ``span``; 0: programs give no place back.
        cool_down: The least time between two moves of one place.
        file_holds_place: Whether a device with a license file that has not ended keeps its place.
    """

    per_place: int = 4
    span: timedelta = timedelta(days=30)
    cool_down: timedelta = timedelta(hours=24)
    file_holds_place: bool = True

    def most(self, places: int) -> int:
        """Return how many moves count within the longer of the two times; older ones decide nothing."""
        return max(self.per_place, 1) * places

    @property
    def longest(self) -> timedelta:
        """How far back moves count."""
        return max(self.span, self.cool_down)


def require_move(
    rules: MoveRules, moved: Sequence[datetime], file_ends: Sequence[datetime | None], *, places: int, now: datetime
) -> None:
    """Refuse a move that would be one too many.

    Args:
        moved: When programs gave places of the license back, the newest first.
        file_ends: When the license files end that the device holds; None for one without an end.

    Raises:
        MoveLimitError: The device keeps its place; ``next_move_at`` says when it may give it back, None never.
    """
    if rules.file_holds_place:
        _require_no_file(file_ends, now)
    if rules.per_place == 0:
        raise MoveLimitError(
            "Programs do not give places of this license back.",
            action="Have the vendor's support release the place.",
            next_move_at=None,
        )
    windows = ((rules.cool_down, places), (rules.span, rules.per_place * places))
    waits = [moved[most - 1] + span for span, most in windows if len(moved) >= most and moved[most - 1] + span > now]
    if waits:
        next_at = max(waits)
        raise MoveLimitError(
            f"The places of this license were moved too often; the next move is possible at {_text(next_at)}.",
            action=_ACTION,
            next_move_at=next_at.isoformat(),
        )


def _require_no_file(file_ends: Sequence[datetime | None], now: datetime) -> None:
    ends = [end for end in file_ends if end is None or end > now]
    if None in ends:
        raise MoveLimitError(
            "This device holds a license file without an end, so it keeps its place.",
            action="Have the vendor's support release the place.",
            next_move_at=None,
        )
    if ends:
        last = max(end for end in ends if end is not None)
        raise MoveLimitError(
            f"This device holds a license file until {_text(last)}, so it keeps its place until then.",
            action=_ACTION,
            next_move_at=last.isoformat(),
        )


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
