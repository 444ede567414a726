"""Misbehaviour on demand: which fault is set, where it applies and how often still.

Only book-keeping and the rules for values; the open API endpoint and the courier do the misbehaving.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import count

from licsrv.emulator import rewriting
from licsrv.emulator.errors import ControlError
from licsrv.emulator.open_api_codes import UNAUTHORIZED_NAME, CommerceCode, OpenApiCode

FaultValue = int | float | str | None
ALL_PATHS = "all"
_PATH_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


class Side(StrEnum):
    """Which direction misbehaves, or the desktop client between the marketplace and the software."""

    OPEN_API = "open_api"
    CALLBACKS = "callbacks"
    ISCDESK = "iscdesk"


class FaultKind(StrEnum):
    """What goes wrong; some kinds exist on both sides."""

    DELAY_SECONDS = "delay_seconds"
    STATUS = "status"
    LOSE_ANSWER = "lose_answer"
    GARBAGE = "garbage"
    LOCK_KEY_PAIR = "lock_key_pair"
    REFUSE_SIGNATURE = "refuse_signature"
    CLOCK_SKEW_SECONDS = "clock_skew_seconds"
    ERROR_CODE = "error_code"
    LATE_SECONDS = "late_seconds"
    DOUBLE = "double"
    REORDER = "reorder"
    WRONG_SIGNATURE = "wrong_signature"
    MEMBERS = "members"
    DATE_FORM = "date_form"
    CHARGING_MODE = "charging_mode"
    CODE_PREFIX = "code_prefix"
    TRAILING_SLASH = "trailing_slash"
    RAW_PLUS = "raw_plus"


@dataclass
class Fault:
    """One fault that is set.

    Args:
        fault_id: Name for the control API.
        side: Where it applies.
        kind: What goes wrong.
        value: What the kind needs to know; see ``RULES``.
        path: Which operation of the open API, or which activity of a callback, or ``all``.
        times: How often it still applies; None for ever.
    """

    fault_id: str
    side: Side
    kind: FaultKind
    value: FaultValue
    path: str = ALL_PATHS
    times: int | None = None

    @property
    def number(self) -> float:
        """The value of a kind that counts or measures."""
        return float(self.value or 0)

    @property
    def text(self) -> str:
        """The value of a kind that names something."""
        return str(self.value or "")

    def view(self) -> dict[str, object]:
        """Describe the fault for the control API."""
        return {
            "id": self.fault_id,
            "side": self.side.value,
            "kind": self.kind.value,
            "value": self.value,
            "path": self.path,
            "times": self.times,
        }


class Faults:
    """The faults that are set now."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._numbers = count(1)

    def set(
        self,
        side: Side,
        kind: FaultKind,
        value: object = None,
        *,
        path: str = ALL_PATHS,
        times: int | None = None,
    ) -> Fault:
        """Let something go wrong from now on; a fault of the same side, kind and path is replaced.

        Raises:
            ControlError: The side has no such fault, or the value, path or number of times makes no sense.
        """
        rule = RULES.get((side, kind))
        if rule is None:
            raise ControlError(f"there is no fault {kind.value} on the side {side.value}")
        if times is not None and not 1 <= times <= 1_000_000:
            raise ControlError("times must be between 1 and 1000000")
        if not _PATH_WORD.fullmatch(path):
            raise ControlError("path must be the name of an operation or an activity, or all")
        fault = Fault(f"fault-{next(self._numbers)}", side=side, kind=kind, value=rule(value), path=path, times=times)
        self._faults = [old for old in self._faults if (old.side, old.kind, old.path) != (side, kind, path)]
        self._faults.append(fault)
        return fault

    def find(self, side: Side, kind: FaultKind, path: str = ALL_PATHS) -> Fault | None:
        """Return the fault that applies here without using it up; one for this path goes before one for all."""
        for wanted in (path, ALL_PATHS):
            for fault in self._faults:
                if (fault.side, fault.kind, fault.path) == (side, kind, wanted):
                    return fault
        return None

    def is_set(self, side: Side, kind: FaultKind) -> bool:
        """Say whether such a fault is set, for whatever path."""
        return any((fault.side, fault.kind) == (side, kind) for fault in self._faults)

    def take(self, side: Side, kind: FaultKind, path: str = ALL_PATHS) -> Fault | None:
        """Return the fault that applies here and count it as used once."""
        fault = self.find(side, kind, path)
        if fault is not None:
            self._spend(fault)
        return fault

    def clear(self, fault_id: str | None = None) -> None:
        """Take back one fault, or all.

        Raises:
            ControlError: No fault has this id (any more).
        """
        if fault_id is not None and fault_id not in {fault.fault_id for fault in self._faults}:
            raise ControlError(f"no fault is called {fault_id}", status=404)
        self._faults = [fault for fault in self._faults if fault_id is not None and fault.fault_id != fault_id]

    def view(self) -> list[dict[str, object]]:
        """Describe every fault for the control API."""
        return [fault.view() for fault in self._faults]

    def _spend(self, fault: Fault) -> None:
        if fault.times is None:
            return
        fault.times -= 1
        if fault.times == 0:
            self._faults.remove(fault)


Rule = Callable[[object], FaultValue]


def _number(low: float, high: float) -> Rule:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ControlError("value must be a number")
        if not low <= value <= high:  # false for NaN as well; no float() of a huge int
            raise ControlError(f"value must be between {low:g} and {high:g}")
        return value

    return check


def _integer(low: int, high: int, default: int) -> Rule:
    def check(value: object) -> int:
        chosen = default if value is None else value
        if isinstance(chosen, bool) or not isinstance(chosen, int) or not low <= chosen <= high:
            raise ControlError(f"value must be a whole number between {low} and {high}")
        return chosen

    return check


def _word(*words: str) -> Rule:
    def check(value: object) -> str:
        chosen = words[0] if value is None else value
        if chosen not in words:
            raise ControlError(f"value must be one of {', '.join(words)}")
        return str(chosen)

    return check


def _text(default: str) -> Rule:
    def check(value: object) -> str:
        chosen = default if value is None else value
        if not isinstance(chosen, str) or len(chosen) > 10_000:
            raise ControlError("value must be a text of at most 10000 characters")
        return chosen

    return check


def _members(value: object) -> str:
    text = _text("{}")(value)
    rewriting.replacing(str(text))
    return str(text)


def _nothing(value: object) -> None:
    if value is not None and value is not True:
        raise ControlError("this fault takes no value")


_SKEW_LIMIT = 10 * 365 * 86_400
_SUCCESSES = {OpenApiCode.SUCCESS, CommerceCode.SUCCESS, CommerceCode.MARKET_SUCCESS}
_ERROR_CODES = [code.value for code in (*OpenApiCode, *CommerceCode) if code not in _SUCCESSES]

RULES: dict[tuple[Side, FaultKind], Rule] = {
    (Side.OPEN_API, FaultKind.DELAY_SECONDS): _number(0, 600),
    (Side.OPEN_API, FaultKind.STATUS): _integer(500, 599, 503),
    (Side.OPEN_API, FaultKind.LOSE_ANSWER): _word("502", "close"),
    (Side.OPEN_API, FaultKind.GARBAGE): _text('{"error_code":"92020000","error_msg":'),
    (Side.OPEN_API, FaultKind.LOCK_KEY_PAIR): _nothing,
    (Side.OPEN_API, FaultKind.REFUSE_SIGNATURE): _nothing,
    (Side.OPEN_API, FaultKind.CLOCK_SKEW_SECONDS): _number(-_SKEW_LIMIT, _SKEW_LIMIT),
    (Side.OPEN_API, FaultKind.ERROR_CODE): _word(*_ERROR_CODES, UNAUTHORIZED_NAME),
    (Side.OPEN_API, FaultKind.MEMBERS): _members,
    (Side.OPEN_API, FaultKind.DATE_FORM): _word(*rewriting.DATE_FORMS),
    (Side.OPEN_API, FaultKind.CHARGING_MODE): _text("SUBSCRIPTION"),
    (Side.OPEN_API, FaultKind.CODE_PREFIX): _word("MKT.", "MKT. ", "CBC."),
    (Side.CALLBACKS, FaultKind.TRAILING_SLASH): _nothing,
    (Side.CALLBACKS, FaultKind.RAW_PLUS): _nothing,
    (Side.CALLBACKS, FaultKind.LATE_SECONDS): _number(0, 86_400),
    (Side.CALLBACKS, FaultKind.DOUBLE): _word("fresh", "identical"),
    (Side.CALLBACKS, FaultKind.REORDER): _integer(0, 1000, 2),
    (Side.CALLBACKS, FaultKind.LOSE_ANSWER): _integer(1, 60, 1),
    (Side.CALLBACKS, FaultKind.CLOCK_SKEW_SECONDS): _number(-_SKEW_LIMIT, _SKEW_LIMIT),
    (Side.CALLBACKS, FaultKind.WRONG_SIGNATURE): _nothing,
    (Side.ISCDESK, FaultKind.DELAY_SECONDS): _number(0, 600),
    (Side.ISCDESK, FaultKind.STATUS): _integer(500, 599, 503),
    (Side.ISCDESK, FaultKind.LOSE_ANSWER): _word("502", "close"),
    (Side.ISCDESK, FaultKind.GARBAGE): _text('{"events":[{"number":'),
    (Side.ISCDESK, FaultKind.DOUBLE): _nothing,
}
