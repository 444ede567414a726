"""Answers in another form than documented: members replaced, renamed or left out, dates in other forms. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from licsrv.emulator.errors import ControlError
from licsrv.emulator.replies import json_bytes

ABSENT, NAMED = "(absent)", "(named "
"""As a member's new value: it is left out; ``(named other)``: it keeps its value under another name."""
DATES = frozenset({"expire_time", "expireTime", "activate_time", "createTime"})
_CODES = frozenset({"error_code", "resultCode"})

Change = Callable[[str, object], tuple[str, object] | None]


def rewritten(body: bytes, change: Change) -> bytes:
    """Return a JSON answer with every member changed, also in objects that travel as JSON inside a string."""
    return json_bytes(_object(json.loads(body), change))


def _object(members: Mapping[str, object], change: Change) -> dict[str, object]:
    changed = [change(name, _value(value, change)) for name, value in members.items()]
    return dict(member for member in changed if member is not None)


def _value(value: object, change: Change) -> object:
    if isinstance(value, Mapping):
        return _object(value, change)
    if isinstance(value, list):
        return [_value(item, change) for item in value]
    if isinstance(value, str) and value.startswith("{"):
        return json.dumps(_object(json.loads(value), change), ensure_ascii=False)
    return value


def replacing(text: str) -> Change:
    """Return the change that a JSON object of new values describes.

    Raises:
        ControlError: It is no JSON object.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ControlError("value must be a JSON object of members and their new values") from error
    if not isinstance(values, dict):
        raise ControlError("value must be a JSON object of members and their new values")

    def change(name: str, value: object) -> tuple[str, object] | None:
        new = values.get(name, value)
        if new == ABSENT:
            return None
        if isinstance(new, str) and new.startswith(NAMED):
            return new.removeprefix(NAMED).removesuffix(")"), value
        return name, new

    return change


def dated(form: str) -> Change:
    """Return the change that writes dates in another form."""

    def change(name: str, value: object) -> tuple[str, object] | None:
        if name not in DATES or not isinstance(value, str):
            return name, value
        return None if form == "absent" else (name, DATE_FORMS[form](value))

    return change


def _iso(text: str) -> str:
    return _moment(text).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)


DATE_FORMS: Mapping[str, Callable[[str], object]] = {
    "iso": _iso,
    "spaced": lambda text: _iso(text).replace("T", " ").removesuffix("Z"),
    "epoch_ms": lambda text: int(_moment(text).timestamp() * 1000),
    "blank": lambda _: "",
    "null": lambda _: None,
    "absent": lambda text: text,
}


def prefixed(prefix: str) -> Change:
    """Return the change that gives codes of the ``CBC.`` and ``MKT.`` family another prefix."""

    def change(name: str, value: object) -> tuple[str, object] | None:
        if name in _CODES and isinstance(value, str) and value.startswith(("CBC.", "MKT.")):
            return name, prefix + value[4:]
        return name, value

    return change
