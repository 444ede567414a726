"""The devices of a license as the server lists them: for a page where the user frees a place. Values only.

Read strictly from an answer that is not signed: nothing is allowed or refused by it, and nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from client_stub.session.problems import Problem

_MOST = 1000


@dataclass(frozen=True)
class LicenseDevice:
    """One device of the license.

    Attributes:
        name: May be empty; of a machine without a place the server shows names only where the vendor says so.
        is_mine: It is this computer.
        can_be_released: By this computer, now.
    """

    device_id: str
    name: str
    last_contact_at: datetime | None
    is_mine: bool = False
    holds_place: bool = True
    can_be_released: bool = True


@dataclass(frozen=True)
class DeviceList:
    """The devices of a license; ``next_move_at`` is when a place may be freed, None when no program may."""

    places: int
    places_taken: int
    moves_left: int
    next_move_at: datetime | None
    devices: tuple[LicenseDevice, ...]


def read_list(answer: Mapping[str, object]) -> DeviceList | None:
    """Read the answer to ``POST /v1/devices/list``; None when it is something else."""
    numbers = [answer.get(name) for name in ("places", "places_taken", "moves_left")]
    devices = _devices(answer.get("devices"))
    if devices is None or not all(type(number) is int for number in numbers):
        return None
    places, taken, left = (number if isinstance(number, int) else 0 for number in numbers)
    return DeviceList(places, taken, left, next_move_at=_moment(answer.get("next_move_at")), devices=devices)


def movable(problem: Problem | None) -> tuple[LicenseDevice, ...]:
    """Return the devices whose place this computer may take, where a refusal (DEVICE_LIMIT_REACHED) names some."""
    return _devices(problem.details.get("movable")) or () if problem is not None else ()


def _devices(listed: object) -> tuple[LicenseDevice, ...] | None:
    if not isinstance(listed, list) or len(listed) > _MOST:
        return None
    read = [_device(entry) for entry in listed]
    return None if None in read else tuple(one for one in read if one is not None)


def _device(entry: object) -> LicenseDevice | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("device_id"), str):
        return None
    name, flags = entry.get("name", ""), ("is_mine", "holds_place", "can_be_released")
    if not isinstance(name, str) or not all(isinstance(entry.get(flag, True), bool) for flag in flags):
        return None
    return LicenseDevice(
        device_id=entry["device_id"],
        name="".join(letter if letter.isprintable() else " " for letter in name[:100]).strip(),
        last_contact_at=_moment(entry.get("last_contact_at")),
        is_mine=entry.get("is_mine", False),
        holds_place=entry.get("holds_place", True),
        can_be_released=entry.get("can_be_released", True),
    )


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
