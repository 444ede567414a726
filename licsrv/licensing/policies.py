"""The policy of a product: how its licenses meet repairs, moves and time. Pure.

A product states some values; what it does not state is as the settings say. What is stored of a policy is what was
stated, as a JSON text, so that a changed setting reaches every product that says nothing else. Each group is the value
object of the module that decides by it; see docs/policies.md and docs/adr/0022-policies.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from licsrv.errors import InvalidPolicyError, PolicyContradictionError, ServiceUnavailableError
from licsrv.licensing.bindings import LEARNED_DAYS, LEARNED_PARTS, Budget
from licsrv.licensing.clones import CloneAction, CloneRules
from licsrv.licensing.moves import MoveRules
from licsrv.licensing.places import PlaceRules, Surplus

Number = int | float | bool | str
"""A value as it is stated: a count, days or hours, yes and no, or one of a few words."""

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?", re.ASCII)
_WORDS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_DAY, _HOUR, _MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
_MOST_READ = 4096


@dataclass(frozen=True)
class Recognition:
    """How a device stays the one that it is: the parts that it may learn after repairs, and weak places.

    Args:
        weak_binding: Whether a place may be bound to an install identity.
        virtual_machines: Whether a virtual machine gets a place; one that has one keeps it.
    """

    learned_parts: int = LEARNED_PARTS
    learned_within: timedelta = timedelta(days=LEARNED_DAYS)
    weak_binding: bool = False
    virtual_machines: bool = True

    @property
    def budget(self) -> Budget:
        """How many parts a device may learn."""
        return Budget(self.learned_parts, self.learned_within)


@dataclass(frozen=True)
class Times:
    """When the next check-in is due, and how long a lease lasts without one."""

    interval: timedelta = timedelta(hours=24)
    grace: timedelta = timedelta(hours=168)


@dataclass(frozen=True)
class Floating:
    """How long a seat lasts, who shares one, and how seats are borrowed; see :mod:`licsrv.seats.rules`.

    Args:
        length: How long a seat lasts without renewal.
        shared_by_user: Whether programs of one user on one device share a seat.
        show_names: Whether a refusal names the devices that hold seats.
        longest_borrow: For how long a seat may be borrowed; nothing for not at all.
        borrow_percent: Most seats that may be borrowed at once; one may always be.
        return_after: How long a borrowed seat cannot be given back.
    """

    length: timedelta = timedelta(minutes=15)
    shared_by_user: bool = False
    show_names: bool = True
    longest_borrow: timedelta = timedelta()
    borrow_percent: int = 50
    return_after: timedelta = timedelta()


@dataclass(frozen=True)
class Policy:
    """Everything that a product says of how its licenses are used; the defaults are those of the settings."""

    places: PlaceRules = field(default_factory=PlaceRules)
    recognition: Recognition = field(default_factory=Recognition)
    moves: MoveRules = field(default_factory=MoveRules)
    time: Times = field(default_factory=Times)
    floating: Floating = field(default_factory=Floating)
    clones: CloneRules = field(default_factory=CloneRules)


@dataclass(frozen=True)
class Value:
    """One value of a policy.

    Args:
        name: ``group.name``, as people and programs name it.
        attribute: Where the group keeps it.
        bounds: The least and the most, both allowed; None for words, and for yes and no.
        choices: The words of which it is one.
        unit: What one of it is, where it is a span; None for a count.
        is_whole: Whether a fraction is refused.
        setting: The setting that says it for products that do not, without prefix.
    """

    name: str
    attribute: str
    bounds: tuple[float, float] | None = None
    choices: Sequence[str] = ()
    unit: timedelta | None = None
    is_whole: bool = True
    setting: str = ""

    @property
    def is_yes_or_no(self) -> bool:
        """Whether it is neither a number nor a word."""
        return self.bounds is None and not self.choices

    @property
    def group(self) -> str:
        """The group that it belongs to."""
        return self.name.partition(".")[0]

    def of(self, policy: Policy) -> Number | None:
        """Return it as people state it; None for the number of places where only the setting says one."""
        found: Any = getattr(getattr(policy, self.group), self.attribute)
        number: Number | None = _plain(found / self.unit) if self.unit is not None else found
        return number

    def kept(self, number: Any) -> Any:
        """Return a stated number as its group keeps it."""
        return number * self.unit if self.unit is not None else number

    def problem(self, given: object) -> str | None:
        """Return what is wrong with a stated value, in one sentence."""
        if self.choices:
            return None if given in self.choices else f"One of {', '.join(self.choices)}."
        if self.bounds is None:
            return None if isinstance(given, bool) else "Say yes or no."
        least, most = self.bounds
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        if is_number and least <= given <= most and not (self.is_whole and given % 1):  # type: ignore[operator]
            return None
        if self.is_whole:
            return f"A whole number from {least:g} to {most:.10g}."
        return f"A number from {least:g} to {most:.10g}."


VALUES: Mapping[str, Value] = {
    value.name: value
    for value in (
        Value("places.limit", "limit", (1, 1_000_000), setting="DEVICE_LIMIT"),
        Value("places.amount_counts", "amount_counts"),
        Value("places.floating", "floating"),
        Value("places.overdraft", "overdraft", (0, 100_000)),
        Value("places.overdraft_percent", "overdraft_percent", (0, 100)),
        Value("places.surplus", "surplus", choices=tuple(map(str, Surplus))),
        Value("recognition.learned_parts", "learned_parts", (0, 100)),
        Value("recognition.learned_days", "learned_within", (1, 3650), unit=_DAY),
        Value("recognition.weak_binding", "weak_binding"),
        Value("recognition.virtual_machines", "virtual_machines"),
        Value("moves.per_place", "per_place", (0, 10_000), setting="MOVES_PER_PLACE"),
        Value("moves.days", "span", (1, 366), unit=_DAY, is_whole=False, setting="MOVES_DAYS"),
        Value(
            "moves.cool_down_hours", "cool_down", (0, 8784), unit=_HOUR, is_whole=False, setting="MOVE_COOL_DOWN_HOURS"
        ),
        Value("moves.file_holds_place", "file_holds_place", setting="FILE_HOLDS_PLACE"),
        Value("moves.unseen_days", "unseen_for", (0, 365), unit=_DAY),
        Value("moves.unseen_released", "unseen_released"),
        Value("moves.show_names", "show_names"),
        Value(
            "time.check_in_hours",
            "interval",
            (0.25, 744),
            unit=_HOUR,
            is_whole=False,
            setting="HEARTBEAT_INTERVAL_HOURS",
        ),
        Value("time.grace_hours", "grace", (1, 8784), unit=_HOUR, is_whole=False, setting="LEASE_GRACE_HOURS"),
        Value("floating.seat_minutes", "length", (1, 1440), unit=_MINUTE),
        Value("floating.shared_by_user", "shared_by_user"),
        Value("floating.show_names", "show_names"),
        Value("floating.borrow_days", "longest_borrow", (0, 366), unit=_DAY, is_whole=False),
        Value("floating.borrow_percent", "borrow_percent", (1, 100)),
        Value("floating.return_hours", "return_after", (0, 8784), unit=_HOUR, is_whole=False),
        Value("clones.action", "action", choices=tuple(map(str, CloneAction))),
    )
}
"""Every value, in the order in which they are shown."""


@dataclass(frozen=True)
class Contradiction:
    """Values that cannot hold together, and why in one sentence."""

    names: Sequence[str]
    holds: Callable[[Policy], bool]
    sentence: str


CONTRADICTIONS = (
    Contradiction(
        ("recognition.virtual_machines", "recognition.weak_binding"),
        lambda policy: policy.recognition.weak_binding and not policy.recognition.virtual_machines,
        "Only virtual machines and containers are bound weakly, and they are refused.",
    ),
    Contradiction(
        ("time.check_in_hours", "time.grace_hours"),
        lambda policy: policy.time.interval > policy.time.grace,
        "The lease would end before the next check-in is due: every device would stop in between.",
    ),
    Contradiction(
        ("moves.per_place", "moves.days", "moves.cool_down_hours"),
        lambda policy: (
            policy.moves.per_place > 1 and policy.moves.cool_down * (policy.moves.per_place - 1) >= policy.moves.span
        ),
        "The cool-down leaves no room for so many moves within these days.",
    ),
    Contradiction(
        ("places.overdraft", "places.overdraft_percent"),
        lambda policy: policy.places.overdraft > 0 and policy.places.overdraft_percent > 0,
        "The overdraft is a number or a share, not both.",
    ),
    Contradiction(
        ("floating.borrow_days", "time.grace_hours"),
        lambda policy: policy.floating.longest_borrow > policy.time.grace,
        "The lease would end before the borrowed seat: the program would stop while it is away.",
    ),
    Contradiction(
        ("moves.unseen_days", "time.grace_hours"),
        lambda policy: timedelta(0) < policy.moves.unseen_for < policy.time.grace,
        "A device that works without contact within its grace would lose its place.",
    ),
    Contradiction(
        ("moves.unseen_released", "moves.unseen_days"),
        lambda policy: policy.moves.unseen_released and not policy.moves.unseen_for,
        "Places are freed by themselves after no number of days.",
    ),
)


def over(base: Policy, stated: Mapping[str, Number]) -> Policy:
    """Return what holds for a product that states these values; a name that is not known here is left out.

    A later version may know it: while replicas are replaced, both read what either has written.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name, number in stated.items():
        if (value := VALUES.get(name)) is not None:
            groups.setdefault(value.group, {})[value.attribute] = value.kept(number)
    changed = {group: replace(getattr(base, group), **members) for group, members in groups.items()}
    return replace(base, **changed)


def changed(stated: Mapping[str, Number], given: Mapping[str, object], base: Policy) -> dict[str, Number]:
    """Return what a product states after a change; None takes a statement back.

    Raises:
        InvalidPolicyError: A name is unknown or a value is out of bounds; ``errors`` names every problem.
        PolicyContradictionError: Each value is allowed, and they cannot hold together; ``errors`` says which.
    """
    problems = {name: problem for name, value in given.items() if (problem := _problem(name, value)) is not None}
    good = {name: value for name, value in given.items() if name not in problems}
    result: dict[str, Any] = {**stated, **{name: _plain(value) for name, value in good.items()}}
    result = {name: value for name, value in result.items() if value is not None}
    contradictions = _contradictions(result, over(base, result))
    errors = [{"field": name, "problem": problem} for name, problem in (problems | contradictions).items()]
    if problems:
        raise InvalidPolicyError("The policy cannot be so.", action="Correct each of these values.", errors=errors)
    if contradictions:
        action = "Change one of these values."
        raise PolicyContradictionError("These values contradict each other.", action=action, errors=errors)
    return {name: result[name] for name in sorted(result)}


def _problem(name: str, given: object) -> str | None:
    value = VALUES.get(name)
    if value is None:
        return "There is no such value."
    return value.problem(given) if given is not None else None


def _contradictions(stated: Mapping[str, Number], policy: Policy) -> dict[str, str]:
    """Return what is wrong between values, where the product states one of them: settings are the operator's."""
    found = [one for one in CONTRADICTIONS if not set(one.names).isdisjoint(stated) and one.holds(policy)]
    return {", ".join(one.names): one.sentence for one in found}


def _plain(value: Any) -> Any:
    """Return a whole number without a fraction, so that one policy has one text."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_word(name: str, text: str) -> object:
    """Return what a person typed as a value: a number, yes or no, one of its words, or None for ``default``.

    Anything else comes back as it is, for :func:`changed` to refuse.
    """
    value, word = VALUES.get(name), text.strip().lower()
    if word == "default":
        return None
    if value is not None and value.choices:
        return word if word in value.choices else text
    if value is not None and value.is_yes_or_no:
        return _WORDS.get(word, text)
    if not _NUMBER.fullmatch(word):
        return text
    return float(word) if "." in word else int(word)


def text_of(stated: Mapping[str, Number]) -> str:
    """Return what is stored of a policy."""
    return json.dumps(dict(stated), sort_keys=True, separators=(",", ":"))


def read(text: str) -> dict[str, Number]:
    """Return what a stored policy states.

    Raises:
        ServiceUnavailableError: It is damaged. A device keeps its lease, and gets neither more nor less.
    """
    try:
        stated = json.loads(text) if len(text) <= _MOST_READ else None
    except ValueError:
        stated = None
    if isinstance(stated, dict) and not any(_problem(name, stated[name]) for name in stated if name in VALUES):
        return {name: value for name, value in stated.items() if value is not None}
    raise ServiceUnavailableError(
        "The stored policy of this license's product cannot be read.", action="Ask the vendor's support."
    )


def read_if_whole(text: str) -> dict[str, Number] | None:
    """Return what a stored policy states; None where it is damaged. For people: decisions refuse, see :func:`read`."""
    try:
        return read(text)
    except ServiceUnavailableError:
        return None


_MOST_KEPT = 1000


@dataclass(frozen=True)
class Policies:
    """The policies of all products: what each states, over what the settings say."""

    base: Policy = field(default_factory=Policy)
    _kept: dict[str, Policy] = field(default_factory=dict, compare=False, repr=False)

    def of(self, text: str | None) -> Policy:
        """Return the policy of a stored text; one that was read before is not read again.

        Raises:
            ServiceUnavailableError: It is damaged.
        """
        if not text:
            return self.base
        policy = self._kept.get(text)
        if policy is None:
            policy = over(self.base, read(text))
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[text] = policy
        return policy

    def shown(self, text: str | None) -> Policy:
        """Return what :meth:`of` does, for lists and pages: what the settings say where a policy is damaged."""
        try:
            return self.of(text)
        except ServiceUnavailableError:
            return self.base
