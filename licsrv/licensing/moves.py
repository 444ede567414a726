"""Moves: how often programs may give places of a license back by themselves, so that other devices take them. Pure.

A device that gave its place back may go on without network: until its license file ends, or for the days for which a
string needs no check-in. Without a limit one place serves many devices. Staff is not limited, see docs/adr/0021. Which
other device's place a program may free, and when, is in docs/adr/0026.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from licsrv.errors import MoveLimitError
from licsrv.platform import moments

_ACTION = "Wait until then, or have the vendor's support release the place."


@dataclass(frozen=True)
class MoveRules:
    """The limits of one license.

    Args:
        per_place: Moves of each place within ``span``; 0: programs give no place back.
        cool_down: The least time between two moves of one place.
        file_holds_place: Whether a device with a license file that has not ended keeps its place.
        unseen_for: How long a device has to be unseen before another one may free its place; 0: never.
        unseen_released: Whether such a place is freed by itself.
        show_names: Whether a machine without a place reads the names of such devices.
    """

    per_place: int = 4
    span: timedelta = timedelta(days=30)
    cool_down: timedelta = timedelta(hours=24)
    file_holds_place: bool = True
    unseen_for: timedelta = timedelta(0)
    unseen_released: bool = False
    show_names: bool = False

    def most(self, places: int) -> int:
        """Return how many moves count within the longer of the two times; older ones decide nothing."""
        return max(self.per_place, 1) * places

    @property
    def longest(self) -> timedelta:
        """How far back moves count."""
        return max(self.span, self.cool_down)

    def freed_from(self, seen_at: datetime, file_ends: Sequence[datetime | None], now: datetime) -> datetime | None:
        """Return from when on others may free the place of a device; None: never, as things are.

        Args:
            seen_at: When it was last seen.
            file_ends: When the license files end that it holds; None for one without an end.
        """
        if not self.unseen_for:
            return None
        unseen_from, held = seen_at + self.unseen_for, holds(self, file_ends, now)
        if None in held:
            return None
        return max([unseen_from, *(end for end in held if end is not None)])


@dataclass(frozen=True)
class Standing:
    """What is left of the moves of a license.

    Args:
        made: How many programs have made within the span.
        most: How many they may make.
        next_at: When the next one is possible; None: never by a program.
    """

    made: int
    most: int
    next_at: datetime | None

    @property
    def left(self) -> int:
        """How many are left within the span."""
        return max(self.most - self.made, 0)

    def is_open(self, now: datetime) -> bool:
        """Whether a move is possible now."""
        return self.next_at is not None and self.next_at <= now


def holds(rules: MoveRules, file_ends: Sequence[datetime | None], now: datetime) -> list[datetime | None]:
    """Return the ends of the license files that hold their device's place now."""
    return [end for end in file_ends if end is None or end > now] if rules.file_holds_place else []


def standing(rules: MoveRules, moved: Sequence[datetime], *, places: int, now: datetime) -> Standing:
    """Return what is left of the moves of a license.

    Args:
        moved: When programs gave places of the license back, the newest first.
    """
    made, most = sum(at + rules.span > now for at in moved), rules.per_place * places
    if most == 0:
        return Standing(made, 0, None)
    windows = ((rules.cool_down, places), (rules.span, most))
    waits = [moved[count - 1] + span for span, count in windows if len(moved) >= count]
    return Standing(made, most, max([now, *waits]))


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
    _require_no_file(holds(rules, file_ends, now))
    require_left(standing(rules, moved, places=places, now=now), now=now)


def require_left(left: Standing, *, now: datetime) -> None:
    """Refuse a move that would be one too many.

    Raises:
        MoveLimitError: ``next_move_at`` says when the next one is possible, None never.
    """
    if left.next_at is None:
        raise MoveLimitError(
            "Programs do not give places of this license back.",
            action="Have the vendor's support release the place.",
            next_move_at=None,
        )
    if left.next_at > now:
        raise MoveLimitError(
            f"The places of this license were moved too often; the next move is possible at {_text(left.next_at)}.",
            action=_ACTION,
            next_move_at=moments.rfc3339(left.next_at),
        )


def _require_no_file(ends: Sequence[datetime | None]) -> None:
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
            next_move_at=moments.rfc3339(last),
        )


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
