"""What a staff action is: who may do it, what it takes, what it decides, does and says, and what undoes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.errors import ConflictError, RefusalError
from licsrv.licensing.clones import Branch
from licsrv.licensing.moves import MoveRules
from licsrv.licensing.moving import SeenDevice
from licsrv.licensing.own_sales import AS_BEFORE, Catalogue, ChangeableLicense, NewTerms
from licsrv.licensing.tables import Device, License
from licsrv.people.roles import Permission
from licsrv.seats.tables import Seat
from licsrv.words import actions as words
from licsrv.words.actions import ActionWords
from licsrv.words.sentences import Sentence


class Takes(StrEnum):
    """What an action can take next to the license; the words are members of its request."""

    DEVICE = "device_id"
    SEAT = "seat_id"
    BRANCH = "branch"
    UNTIL = "until"
    TEXT = "text"
    TERMS = "terms"


@dataclass(frozen=True)
class PlacesNow:
    """The places of a license as they are.

    Args:
        is_full: Whether a further device gets none.
        moves: When a place may be freed.
        unseen: The devices that were not seen for so long.
    """

    is_full: bool
    moves: MoveRules = field(default_factory=MoveRules)
    unseen: Sequence[SeenDevice] = ()


@dataclass(frozen=True)
class Given:
    """What an action was given; each reads what it takes."""

    device: Device | None = None
    until: datetime | None = None
    text: str = ""
    terms: NewTerms = AS_BEFORE
    catalogue: Catalogue = field(default_factory=dict)
    floating: frozenset[str] = frozenset()
    """Products whose places float, where it takes terms."""
    seat: Seat | None = None
    branch: str = ""
    copies: Mapping[str, Branch] = field(default_factory=dict)
    """The proven copies of the device, by branch."""
    places: PlacesNow | None = None
    """Where the action reads them."""


class Facts(ChangeableLicense, Protocol):
    """The facts of a license that decide; a table row and a plain row both have them."""

    @property
    def code(self) -> str:
        """Its code."""

    @property
    def maintenance_until(self) -> datetime | None:
        """Until when its releases are covered, where it has an end of its own."""


@dataclass(frozen=True)
class Change:
    """The license will be changed; ``note`` says what a person should know before that."""

    note: Sentence | None = None


@dataclass(frozen=True)
class Unchanged:
    """The license is already as it should be."""

    why: Sentence


@dataclass(frozen=True)
class Refused:
    """It cannot be done."""

    refusal: RefusalError


Decision = Change | Unchanged | Refused


@dataclass(frozen=True)
class Undo:
    """The action that takes another one back, and what it is given."""

    action: str
    device_id: str | None = None
    branch: str | None = None
    until: datetime | None = None
    reason: str | None = None
    terms: NewTerms | None = None


class StaffAction(ABC):
    """One thing that staff can do to a license.

    Attributes:
        takes: What it takes, required or not.
        needs: What it cannot do without.
        reads_places: Whether it decides by the places of the license.
        is_for_lists: Whether bulk work offers it, for many licenses at once. It then takes a moment or terms at most.
        acts_on_released: Whether it makes sense for a license that was released.
        can_be_undone: Whether :meth:`undo` names an action.
        is_dangerous: Whether pages mark it as such.
    """

    name: str
    permission: Permission = Permission.CHANGE_LICENSES
    takes: frozenset[Takes] = frozenset()
    needs: frozenset[Takes] = frozenset()
    reads_places: bool = False
    is_for_lists: bool = False
    acts_on_released: bool = False
    can_be_undone: bool = True
    is_dangerous: bool = False

    @property
    def words(self) -> ActionWords:
        """What it says."""
        return words.ACTIONS[self.name]

    def is_offered(self, license: License) -> bool:
        """Whether a page offers it for a license as it is."""
        return license.released_at is None or self.acts_on_released

    def problem(self, given: Given, *, now: datetime) -> RefusalError | None:
        """Return what is wrong with what was given, whatever the license."""
        return None

    def decide(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        """Return what the action means for a license at ``now``: the one rule, for a preview, the action and a list."""
        if license.released_at is not None and not self.acts_on_released:
            return Refused(ConflictError(words.RELEASED.en))
        problem = self.problem(given, now=now)
        return Refused(problem) if problem is not None else self.judge(license, given, now=now)

    @abstractmethod
    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        """Decide where neither the release of the license nor what was given rules it out."""

    @abstractmethod
    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        """Do it to licenses for which :meth:`decide` answered :class:`Change`; return how many were changed."""

    @abstractmethod
    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        """Say what it will change."""

    def undo(self, license: License, given: Given, *, now: datetime) -> Undo | None:
        """Return what takes it back, for a license as it is before."""
        return None
