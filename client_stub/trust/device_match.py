"""The parts of a device, and how two devices compare part by part. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """The four parts, in the order of the text; the value is the word that is hashed with."""

    MAC = "mac"
    DISK = "disk"
    BOARD = "board"
    CPU = "cpu"


class PartVerdict(StrEnum):
    """How one part of two devices compares."""

    MATCHES = "matches"
    """They have a value in common."""
    DIFFERS = "differs"
    """Both have values, none in common."""
    ABSENT = "absent"
    """At least one of the two has no value here."""


@dataclass(frozen=True)
class DeviceMatch:
    """How a machine compares with the one that a license was issued for."""

    parts: Mapping[Part, PartVerdict]
    agreeing: int
    required: int

    @property
    def is_same_machine(self) -> bool:
        """True when enough parts agree; a license bound to no part fits every machine."""
        return self.agreeing >= self.required

    def explain(self) -> str:
        """Say it part by part, without values: ``mac matches, disk differs, board absent, cpu matches``."""
        return ", ".join(f"{part} {verdict}" for part, verdict in self.parts.items())
