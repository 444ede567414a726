"""The machine: it plays one life of random steps against the service, and compares with the model after each step.

A step sends one request, or several at once, about one license. The model says what each possible state of the license
would answer and become; what does not fit the answer and the look at the database is ruled out. When nothing is left,
the service did what the model does not allow, and the violation says how to play the same life again.
"""

from __future__ import annotations

import asyncio
import itertools
import random as randomness
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from licsrv.platform.config import Settings
from tests.conftest import NOW, StandingClock
from tests.model import checks, looking
from tests.model.looking import Seen
from tests.model.model import DONE, OK, Answer, License, Message, Policy
from tests.model.seats import Presence
from tests.model.seller import Seller
from tests.model.service import LATE, Fault, Service, text_id

PRODUCTS = ("CAD", "CAM")
COMPUTERS = 4
SHOWN = 30
DIGESTED = 0.4
"""Of the requests that change nothing, how many are checked by a digest of all tables."""
NOTHING = object()
"""What a step returns that has nothing to do with the life as it is; then it is none."""
_FAILED = frozenset({"CRASHED", "000005", "SERVICE_UNAVAILABLE"})


class ViolationError(AssertionError):
    """The service did what the model does not allow."""


@dataclass(frozen=True)
class Request:
    """Something that is asked of the service about a license.

    Args:
        predict: What a state of the license answers; it changes the state.
        outcomes: The same where several answers are right: each with the state after it, which is a copy.
        partly: States in which a crash may leave the license half-way, where it takes several transactions.
        notes: Tables that it may write although no fact of the license changes.
        computer: The number of the computer that asks, which keeps the text that it gets.
    """

    says: str
    code: str
    predict: Callable[[License], Answer]
    send: Callable[[], Awaitable[Answer]]
    partly: Callable[[License], Sequence[License]] = lambda _: ()
    notes: Callable[[License, Answer], Collection[str]] = lambda *_: ()
    computer: int | None = None
    outcomes: Callable[[License], Iterable[tuple[Answer, License]]] | None = None
    may_crash: bool = True

    def foresee(self, state: License) -> Iterator[tuple[Answer, License]]:
        """What a state may answer, and become then."""
        if self.outcomes is not None:
            yield from self.outcomes(state)
            return
        after = state.copy()
        yield self.predict(after), after


@dataclass(frozen=True)
class Holding:
    """A license string that a computer holds."""

    code: str
    computer: int
    id: str
    text: str


@dataclass
class Life:
    """One database, one service, one marketplace, and everything that happens to them.

    Args:
        seed: What decides all that happens, but for the order in which a database serves requests that come at once.
    """

    seed: int
    settings: Settings
    random: Random = field(init=False)
    clock: StandingClock = field(default_factory=StandingClock)
    seller: Seller = field(init=False)
    service: Service = field(init=False)
    computers: list[dict[str, str]] = field(default_factory=list)
    policies: dict[str, Policy] = field(default_factory=lambda: {product: Policy() for product in PRODUCTS})
    licenses: dict[str, list[License]] = field(default_factory=dict)
    presence: Presence = field(default_factory=Presence)
    holdings: list[Holding] = field(default_factory=list)
    unsure: dict[str, Request] = field(default_factory=dict)
    last: dict[str, Request] = field(default_factory=dict)
    history: deque[str] = field(default_factory=lambda: deque(maxlen=SHOWN))
    count: int = 0
    numbers: Iterator[int] = field(default_factory=itertools.count)
    seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        randomness.seed(self.seed)  # the outbox spreads its retries by it
        self.seller = Seller(self.clock.now)
        self.service = Service(self.settings, self.clock, self.seller)
        self.computers = [self._computer() for _ in range(COMPUTERS)]
        for product in PRODUCTS:
            self.service.describe(product)

    def _computer(self) -> dict[str, str]:
        return {part: self.part(part) for part in ("mac", "disk", "board", "cpu")}

    def part(self, kind: str) -> str:
        """Return a part that no computer has had."""
        number = self.random.randrange(16**6) * 1000 + next(self.numbers)
        if kind == "mac":
            return "04:7C:16:" + ":".join(f"{number % 16**6:06X}"[at : at + 2] for at in (0, 2, 4))
        return f"{kind.upper()}-{number:010X}Q{self.random.randrange(10**4):04}W"

    # Playing.

    async def play(self, steps: int) -> None:
        """Play so many steps, then look at everything.

        Raises:
            ViolationError: With the seed, the number of the step and the last steps.
        """
        from tests.model.steps import STEPS

        weights = [step.weight for step in STEPS]
        try:
            with self.service.listening():
                for self.count in range(1, steps + 1):
                    self.clock.advance(seconds=1)
                    while await self.random.choices(STEPS, weights)[0].play(self) is NOTHING:
                        pass  # another kind is chosen
                    if self.count % 50 == 0:
                        await checks.everything(self)
                await checks.the_end(self)
        except Exception as error:
            raise ViolationError(self._report(error)) from error
        finally:
            await self.service.runtime.close()

    def _report(self, error: Exception) -> str:
        steps = "\n".join(self.history)
        return (
            f"step {self.count} of the life with seed {self.seed}: {type(error).__name__}: {error}\n{steps}\n"
            f"Play it again: LICSRV_MODEL_SEED={self.seed} pytest tests/model"
        )

    def note(self, text: str) -> None:
        """Remember what happens, for the report."""
        self.history.append(f"{self.count:5} {self.now:%m-%d %H:%M:%S} {text}")

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def require(self, holds: bool, says: object) -> None:
        """Check something that must be so.

        Raises:
            ViolationError: It is not.
        """
        if not holds:
            raise ViolationError(says)

    # Choosing.

    def known(self) -> list[str]:
        """The codes that the service knows for certain."""
        return [code for code, states in self.licenses.items() if all(state.is_known for state in states)]

    def state(self, code: str) -> License:
        """One of the possible states of a license; mostly the only one."""
        return self.licenses[code][0]

    def policy(self, license: License) -> Policy:
        return self.policies[license.product]

    def moment(self, days: float) -> datetime:
        """A moment within so many days on either side of now, in whole seconds; mostly ahead."""
        return (self.now + timedelta(days=self.random.uniform(-0.2, 1) * days)).replace(microsecond=0)

    # Asking.

    async def perform(self, *requests: Request) -> list[Answer]:
        """Send requests about one license at once; rule out the states that do not fit what comes back."""
        code = requests[0].code
        states = self.licenses[code]
        foreseen = [found for state in states for found in _foreseen(requests, state)]
        fault = self._armed(requests)
        still = len(requests) == 1 and self.random.random() < DIGESTED and all(_is_still(one) for one in foreseen)
        before = looking.digest(self.service.runtime.database) if still else {}

        given = list(await asyncio.gather(*(request.send() for request in requests)))

        has_struck = fault is not None and fault.disarm()
        self.note(" || ".join(f"{one.says} -> {answer.word}" for one, answer in zip(requests, given, strict=True)))
        self._require_no_failure(given, has_struck=has_struck)
        if has_struck:
            self._after_crash(requests[0], states, foreseen)
            return given
        self.seen.update(f"{one.says.split()[0]} {answer.word}" for one, answer in zip(requests, given, strict=True))
        self._after(requests, foreseen, given)
        if still:
            self._require_still(requests[0], states, given[0], before=before)
        for request, answer in zip(requests, given, strict=True):
            self._keep(request, answer)
        return given

    def _armed(self, requests: Sequence[Request]) -> Fault | None:
        if len(requests) > 1 or not requests[0].may_crash or self.random.random() > 0.04:
            return None
        fault = self.service.fault
        fault.arm(self.random.choice((1, 1, 1, 2, 3)), is_after=self.random.random() < 0.5)
        return fault

    def _require_no_failure(self, given: Sequence[Answer], *, has_struck: bool) -> None:
        for answer in given:
            if answer.word == LATE:  # says neither that it was done nor that it was not
                continue
            failed = answer.word in _FAILED
            self.require(failed is has_struck, f"answered {answer} ({'after' if has_struck else 'without'} a crash)")

    def _after_crash(self, request: Request, states: Sequence[License], foreseen: Sequence[_Foreseen]) -> None:
        """Keep every state in which the crash may have left the license, until the next look."""
        self.note("      the process crashed at a commit")
        self.seen["crash"] += 1
        partly = [one for state in states for one in request.partly(state)]
        after = [state for _, _, state in foreseen]
        self.licenses[request.code] = _distinct([*states, *partly, *after])
        self.unsure[request.code] = request
        if partly:  # what it had begun at the marketplace's gate ends by itself
            self.clock.advance(minutes=1)
        if self.random.random() < 0.5:
            self.look(request.code)

    def _after(self, requests: Sequence[Request], foreseen: Sequence[_Foreseen], given: Sequence[Answer]) -> None:
        code = requests[0].code
        seen = looking.look(self.service.runtime.database, code)
        answered = [state for answers, _, state in foreseen if _is_answered(state, answers, given, seen=seen)]
        left = [state for state in answered if _adopted(state, seen)]
        if not left:
            raise ViolationError(_misfit(given, foreseen, seen, views=[state.view() for state in answered]))
        self.licenses[code] = _distinct(left)

    def look(self, code: str) -> None:
        """Look at a license, and rule out the states that it does not show."""
        seen = looking.look(self.service.runtime.database, code)
        left = [state for state in self.licenses[code] if _adopted(state, seen)]
        if not left:
            views = "\n".join(str(state.view()) for state in self.licenses[code])
            raise ViolationError(f"{code} is what no state allows\nseen: {seen.view()}\nstates: {views}")
        self.licenses[code] = _distinct(left)

    def _require_still(
        self, request: Request, states: Sequence[License], answer: Answer, *, before: dict[str, int]
    ) -> None:
        """Check that a request that changes nothing has changed nothing."""
        after = looking.digest(self.service.runtime.database)
        noted = {table for state in states for table in request.notes(state, answer)}
        changed = {table for table, number in after.items() if number != before[table]} - noted
        self.require(not changed, f"{request.says} changed {changed}")

    def _keep(self, request: Request, answer: Answer) -> None:
        """Keep what a caller keeps: its license string, and what may be sent again."""
        self.last[request.code] = request
        if answer.word in (OK.word, DONE.word):
            self.unsure.pop(request.code, None)
        text = answer.members.get("license_string")
        if text is not None and request.computer is not None:
            holding = Holding(request.code, request.computer, text_id(answer) or "", text)
            if holding not in self.holdings:
                self.holdings.append(holding)


_Foreseen = tuple[Sequence[Answer], License, License]


def _foreseen(requests: Sequence[Request], state: License) -> Iterator[_Foreseen]:
    """What a state answers to requests in any order, and what it becomes."""
    for order in itertools.permutations(range(len(requests))):
        found: list[tuple[dict[int, Answer], License]] = [({}, state)]
        for place in order:
            found = [
                (answers | {place: answer}, after)
                for answers, before in found
                for answer, after in requests[place].foresee(before)
            ]
        for answers, after in found:
            yield [answers[place] for place in range(len(requests))], state, after


def _misfit(given: Sequence[Answer], foreseen: Sequence[_Foreseen], seen: Seen, *, views: Sequence[object]) -> str:
    """What came back and is on disk, next to what was foreseen."""
    names = {name for answers, _, _ in foreseen for answer in answers for name in answer.members}
    found = [(answer.word, {name: answer.members.get(name) for name in names}) for answer in given]
    expected = {str([(answer.word, dict(answer.members)) for answer in answers]) for answers, _, _ in foreseen}
    lines = [f"no state fits {found}", "foreseen:", *expected, "seen:", str(seen.view()), "states:", *map(str, views)]
    return "\n".join(lines)


def _is_still(foreseen: _Foreseen) -> bool:
    """Whether no fact changes: a refusal, or something that is so already."""
    answers, before, after = foreseen
    is_refused = all(answer.word not in (OK.word, DONE.word) for answer in answers)
    return after == before or (is_refused and after.is_known is before.is_known)


def _is_answered(state: License, answers: Sequence[Answer], given: Sequence[Answer], *, seen: Seen) -> bool:
    """Whether what came back is what was foreseen; texts that are new get their ids."""
    pairs = list(zip(answers, given, strict=True))
    return all(answer.fits(found) or found.word == LATE for answer, found in pairs) and all(
        _is_named(state, answer, found, seen=seen) for answer, found in pairs
    )


def _is_named(state: License, answer: Answer, given: Answer, *, seen: Seen) -> bool:
    if answer.seat is not None:
        seat, seat_id = state.seats[answer.seat], given.members["seat_id"]
        is_same = seat.id in (None, seat_id)
        seat.id = seat_id
        return is_same
    if answer.text is None:
        return True
    text = state.texts[answer.text]
    found = text_id(given)
    device = next((row.device_id for row in seen.texts if row.id == found), None)
    if device is None or text.id not in (None, found) or text.device.id not in (None, device):
        return False
    text.id, text.device.id = found, device
    return True


def _adopted(state: License, seen: Seen) -> bool:
    """Whether a state is what a look shows; what was made without an answer gets its ids."""
    devices = {row.id for row in seen.devices} - {one.id for one in state.devices}
    nameless = [one for one in state.devices if one.id is None]
    if len(nameless) == len(devices) == 1:
        nameless[0].id = devices.pop()
    texts = {row.id for row in seen.texts} - {one.id for one in state.texts}
    unnamed = [one for one in state.texts if one.id is None]
    if len(unnamed) == len(texts) == 1:
        unnamed[0].id = texts.pop()
    seats = {row.id for row in seen.seats} - {one.id for one in state.seats}
    without = [one for one in state.seats if one.id is None]
    if len(without) == len(seats) == 1:
        without[0].id = seats.pop()
    return state.view() == seen.view()


def _distinct(states: Sequence[License]) -> list[License]:
    found: list[License] = []
    for state in states:
        if state not in found:
            found.append(state)
    return found


__all__ = ["NOW", "Holding", "Life", "Message", "Request", "ViolationError"]
