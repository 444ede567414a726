"""Asking the marketplace about licenses at a bounded rate, a few at once.

It distinguishes "no answer for this license" from "marketplace down".
It writes nothing: what was said goes to ``reconciliation_runs``.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta

from licsrv.errors import (
    MarketplaceAuthenticationError,
    MarketplaceError,
    MarketplacePausedError,
    MarketplaceRefusedError,
)
from licsrv.marketplace.open_api import gate
from licsrv.marketplace.open_api.guarded import GuardedOpenApi
from licsrv.marketplace.reconciliation import rules
from licsrv.marketplace.reconciliation.rules import Silent
from licsrv.marketplace.reconciliation.runs import Answered, Question
from licsrv.outbox.rules import delay
from licsrv.platform.clock import Clock

AT_ONCE = 3
"""Calls under way at once: the gate lets five through, and the outbox wants its share."""
TRIES = 3
"""How often a license is asked about that the marketplace does not answer while it answers others."""
LOST = "another replica goes on with this run, or it was stopped"
_IN_A_ROW = 6

Sleep = Callable[[timedelta], Awaitable[None]]


class Pace:
    """Lets so many through in a second, one after the other, evenly.

    Args:
        sleep: Waits; another one for tests.
    """

    def __init__(self, per_second: float, *, clock: Clock, sleep: Sleep) -> None:
        self._step = timedelta(seconds=1 / per_second)
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._next_at: datetime | None = None

    async def wait(self) -> None:
        """Wait for one's turn."""
        async with self._turn:
            now = self._clock.now()
            # A clock that is put back must not stop the questions for hours.
            left = min(self._next_at - now, self._step) if self._next_at is not None else timedelta()
            if left > timedelta():
                await self._sleep(left)
            self._next_at = max(now + left, now) + self._step


@dataclass(frozen=True)
class Asked:
    """What came of a page of questions.

    Args:
        answers: What was said, of some licenses or of all.
        trouble: Why not all could be asked, or empty.
        until: When the way is free again, where the gate said so.
    """

    answers: Sequence[Answered]
    trouble: str = ""
    until: datetime | None = None


@dataclass
class _Round:
    """Questions asked once each; it ends early where calls are paused or the marketplace seems to be down."""

    waiting: list[Question]
    is_patient: bool
    answers: dict[str, Answered] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    in_a_row: int = 0
    closed: str = ""
    until: datetime | None = None

    @property
    def is_over(self) -> bool:
        return not self.waiting or bool(self.closed) or (self.in_a_row >= _IN_A_ROW and not self.is_patient)


@dataclass
class _Page:
    """A page of questions on its way to be answered."""

    left: list[Question]
    answers: dict[str, Answered] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)

    def take(self, done: _Round) -> None:
        """Take over what a round brought."""
        self.answers |= done.answers
        self.tries.update(list(done.silent))
        self._forget_answered()

    def give_up(self, done: _Round, now: datetime) -> None:
        """Call those silent that were often enough, in a round in which others were not."""
        for question in self.left:
            reason = done.silent.get(question.license_id)
            if reason is not None and self.tries[question.license_id] >= TRIES:
                self.answers[question.license_id] = Answered(question, Silent(reason), now)
        self._forget_answered()

    def broken_off(self, trouble: str, until: datetime | None = None) -> Asked:
        """Return what there is, and why it is not all."""
        return Asked(list(self.answers.values()), trouble, until)

    def _forget_answered(self) -> None:
        self.left = [question for question in self.left if question.license_id not in self.answers]


@dataclass(frozen=True)
class Inquiry:
    """Asks pages of questions.

    Args:
        time_limit: For one call.
        hold: Called before each call; False when the caller has lost the right to go on, which ends the page.
    """

    api: GuardedOpenApi
    _: KW_ONLY
    pace: Pace
    clock: Clock
    time_limit: timedelta
    sleep: Sleep
    hold: Callable[[], Awaitable[bool]]

    async def ask(self, questions: Sequence[Question], known: Question | None) -> Asked:
        """Ask until each license was answered about, or was silent three times while others were not.

        Args:
            known: One that the marketplace has answered before: where a whole round is silent, it tells whether the
                marketplace is there at all.
        """
        page = _Page(list(questions))
        is_there = known is None  # without one that answers, only a whole round can tell
        while page.left:
            done = await self._ask_round(page.left, is_patient=is_there)
            page.take(done)
            if done.closed:
                return page.broken_off(done.closed, done.until)
            known = next((answered.question for answered in done.answers.values()), known)
            is_there = bool(done.answers) or not done.silent or await self._is_there(known)
            if not is_there:
                return page.broken_off(next(iter(done.silent.values())))
            page.give_up(done, self.clock.now())
            if page.left and done.silent:
                await self.sleep(delay(max(page.tries.values()), 1.0))
        return Asked(list(page.answers.values()))

    async def _is_there(self, known: Question | None) -> bool:
        if known is None:
            return False
        return bool((await self._ask_round([known], is_patient=True)).answers)

    async def _ask_round(self, questions: Sequence[Question], *, is_patient: bool) -> _Round:
        round = _Round(list(reversed(questions)), is_patient)
        await asyncio.gather(*(self._ask_some(round) for _ in range(AT_ONCE)))
        return round

    async def _ask_some(self, round: _Round) -> None:
        while not round.is_over:
            question = round.waiting.pop()
            await self.pace.wait()
            if not await self.hold():
                round.closed = round.closed or LOST
                return
            await self._ask_one(round, question)

    async def _ask_one(self, round: _Round, question: Question) -> None:
        try:
            answered = await ask_one(self.api, question, clock=self.clock, time_limit=self.time_limit)
        except MarketplacePausedError as error:
            round.closed, round.until = error.message, error.until
        except MarketplaceAuthenticationError as error:
            # The gate counts these failures; the next call gets its longer pause.
            round.closed, round.until = error.message, self.clock.now() + gate.pause(1, locked=error.locked)
        except MarketplaceError as error:
            round.silent[question.license_id] = error.message
            round.in_a_row += 1
        else:
            round.answers[question.license_id] = answered
            round.in_a_row = 0


async def ask_one(api: GuardedOpenApi, question: Question, *, clock: Clock, time_limit: timedelta) -> Answered:
    """Ask about one license, once.

    Raises:
        MarketplaceError: It was not answered, or the way is closed.
    """
    asked_at = clock.now()
    try:
        if not question.is_online:
            state = await api.query(question.code, time_limit=time_limit)
            raw = json.dumps(state.raw, ensure_ascii=True)
            return Answered(question, rules.word_of_code(state), asked_at, raw=raw)
        if question.order is None:
            return Answered(question, Silent("no order of this license is known here"), asked_at)
        order = await api.query_order(*question.order, time_limit=time_limit)
        return Answered(question, rules.word_of_order(order), asked_at)
    except MarketplaceRefusedError as error:
        return Answered(question, rules.word_of_refusal(error.error_code, error.message), asked_at)
