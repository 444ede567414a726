"""The marketplace's probes: saved debug cases of every scene, replayed twice a day; failing ones can freeze the trade.

A case is tried once a round. Five days of failure freeze the trade (a flag, for the person at the control API): ten
failing rounds in a row, or failing rounds that lie five days apart by the marketplace's clock. A person lifts the
freeze at the control API.

Source: protocol/online-license-and-sdk.md §4.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from licsrv.emulator.clock import MovableClock
from licsrv.emulator.deliveries import Delivery, DeliveryState
from licsrv.emulator.errors import ControlError
from licsrv.emulator.moments import rfc3339

INTERVAL = timedelta(hours=12)
FAILING_SPAN = timedelta(days=5)
FAILING_ROUNDS = 10
SHOWN_ROUNDS = 20
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")

SendProbe = Callable[[Mapping[str, object], Callable[[Delivery], None]], Delivery]


@dataclass
class Round:
    """One replay of every saved case."""

    at: datetime
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Every case has ended."""
        return len(self.ended) == len(self.deliveries)

    @property
    def failing(self) -> list[str]:
        """The cases that ended otherwise than delivered."""
        return sorted(name for name in self.ended if self.deliveries[name].state is not DeliveryState.DELIVERED)

    def view(self) -> dict[str, object]:
        """Describe the round for the control API."""
        return {
            "at": rfc3339(self.at),
            "complete": self.complete,
            "failing": {name: _reason(self.deliveries[name]) for name in self.failing},
            "callback_ids": {name: delivery.delivery_id for name, delivery in self.deliveries.items()},
        }


class Probes:
    """Saved debug cases, the rounds they went through, and whether trade is frozen.

    Args:
        clock: The marketplace's clock.
        samples: Gives the cases that are saved in the beginning.
        send: Sends a case once, and calls back when it has ended.
    """

    def __init__(
        self, clock: MovableClock, samples: Callable[[], Mapping[str, Mapping[str, object]]], send: SendProbe
    ) -> None:
        self._clock = clock
        self._samples = samples
        self._send = send
        self.forget()

    def forget(self) -> None:
        """Go back to the samples, with no round behind."""
        self._saved: dict[str, Mapping[str, object] | None] = {}
        self._rounds: list[Round] = []
        self.trading_frozen = False

    def cases(self) -> dict[str, Mapping[str, object]]:
        """Return the saved cases; where none was saved, the current sample."""
        merged: dict[str, Mapping[str, object] | None] = {**self._samples(), **self._saved}
        return {name: body for name, body in merged.items() if body is not None}

    def save(self, name: str, body: Mapping[str, object]) -> None:
        """Save a case, or replace one; ``testFlag`` becomes 1.

        Raises:
            ControlError: The name or the body makes no sense.
        """
        if not _NAME.fullmatch(name):
            raise ControlError("name must be a word of letters, digits and _ . : -")
        if not isinstance(body.get("activity"), str):
            raise ControlError("body must have an activity")
        self._saved[name] = {**body, "testFlag": "1"}

    def remove(self, name: str) -> None:
        """Do not replay a case any more.

        Raises:
            ControlError: There is none of this name.
        """
        if name not in self.cases():
            raise ControlError(f"there is no case {name[:64]}", status=404)
        self._saved[name] = None

    def start_round(self) -> Round:
        """Send every saved case once; needs a running event loop."""
        started = Round(self._clock.now())
        self._rounds.append(started)
        for name, body in self.cases().items():
            started.deliveries[name] = self._send(body, self._ender(started, name))
        return started

    def lift_freeze(self) -> None:
        """Let trade go on, and start counting failures from zero."""
        self.trading_frozen = False
        self._rounds.clear()

    def view(self) -> dict[str, object]:
        """Describe the probes for the control API."""
        latest = self._rounds[-1] if self._rounds else None
        return {
            "cases": self.cases(),
            "failing": latest.failing if latest else [],
            "failing_rounds_in_a_row": len(self._failing_streak()),
            "trading_frozen": self.trading_frozen,
            "rounds": [each.view() for each in self._rounds[-SHOWN_ROUNDS:]],
        }

    def _ender(self, round: Round, name: str) -> Callable[[Delivery], None]:
        def end(_delivery: Delivery) -> None:
            round.ended.add(name)
            if round.complete:
                self._judge()

        return end

    def _judge(self) -> None:
        streak = self._failing_streak()
        if streak and (len(streak) >= FAILING_ROUNDS or streak[-1].at - streak[0].at >= FAILING_SPAN):
            self.trading_frozen = True

    def _failing_streak(self) -> list[Round]:
        streak: list[Round] = []
        for each in reversed([each for each in self._rounds if each.complete]):
            if not each.failing:
                break
            streak.insert(0, each)
        return streak


def _reason(delivery: Delivery) -> str:
    return delivery.attempts[-1].failure if delivery.attempts else ""
