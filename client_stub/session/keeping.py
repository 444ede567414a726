"""Keep the license between two starts, together with other programs that use the same store.

Before anything is written the store is read again, under a lock: the later lease, the younger license and the highest
time are kept, whichever program learned them. The memory of the time is kept a second time next to the store, so that
a store that was deleted or exchanged for an older copy is noticed.

Decides nothing about licenses; failures are a ``problem`` and not an exception.
"""

from __future__ import annotations

from dataclasses import replace

from client_stub.machine import disk
from client_stub.machine.store import LicenseStore, Record
from client_stub.session import problems
from client_stub.session.admission import Admission
from client_stub.session.holding import Holding, Machine, is_same_license, is_same_string, unix
from client_stub.session.problems import Problem
from client_stub.trust import clock_memory
from client_stub.trust.claims import License
from client_stub.trust.clock_memory import ClockMemory
from client_stub.trust.errors import VerificationError
from client_stub.trust.verification import LEEWAY

_LEEWAY = int(LEEWAY.total_seconds())
"""A stored lease that is this much younger than the server's own time was issued before the server's clock was set."""


class Keeper:
    """What one program knows of the store, and of the time.

    Args:
        store: Where the license is kept; without a path nothing is.
        admission: What is believed of it.
    """

    def __init__(self, store: LicenseStore, admission: Admission) -> None:
        self._store = store
        self._mark = LicenseStore(store.path.with_suffix(".clock") if store.path else None)
        self._admission = admission
        self._saved = ClockMemory()
        self.memory = ClockMemory()
        self.problem: Problem | None = None if store.path else problems.NO_STORE

    def load(self, machine: Machine) -> Record | None:
        """Return what is stored for this machine, and take up what is remembered of the time."""
        if self._store.path is not None:
            disk.remove_unfinished(self._store.path.parent)
        record = self._store.load(machine.device).record
        mark = self._mark.load(machine.device).record
        self._saved = _memory_of(record)
        self.memory = clock_memory.merged(self._saved, _memory_of(mark))
        return record

    def save(self, holding: Holding, *, replaces: bool = False, is_confirmed: bool = False) -> Holding:
        """Store what is held, and return it with what another program has learned meanwhile.

        Args:
            replaces: The license was just exchanged on purpose; a stored one does not come back.
            is_confirmed: The server has just confirmed the time.
        """
        if self._store.path is None:
            return holding
        with disk.taking_turns(self._store.path):
            stored = self._store.load(holding.machine.device).record
            if stored is not None:
                holding = self._with_learned(holding, stored, replaces=replaces, is_confirmed=is_confirmed)
                if not is_confirmed and _memory_of(stored) != self._saved:  # another program has learned something
                    self.memory = clock_memory.merged(self.memory, _memory_of(stored))
            record = _with_memory(holding.record, self.memory)
            mark = _with_memory(Record("", obtained_at=0, highest_seen_at=0), self.memory)
            is_kept = self._store.save(record, holding.machine.device)
            is_kept = self._mark.save(mark, holding.machine.device) and is_kept
        self.problem = None if is_kept else problems.NOT_STORED
        self._saved = self.memory
        return replace(holding, record=record)

    def unsaved_seconds(self) -> int:
        """Return how far the memory of the time is ahead of what is stored."""
        return max(self.memory.highest, self.memory.leapt_to) - max(self._saved.highest, self._saved.leapt_to)

    def _with_learned(self, holding: Holding, stored: Record, *, replaces: bool, is_confirmed: bool) -> Holding:
        try:
            other = self._admission.stored(stored, holding.machine)
        except VerificationError:
            return holding
        if not replaces:
            holding = _with_younger_texts(holding, other)
        is_from_the_future = (
            is_confirmed and other.lease is not None and unix(other.lease.issued_at) > self.memory.signed + _LEEWAY
        )
        return holding if is_from_the_future else _with_later_lease(holding, other)


def _with_younger_texts(holding: Holding, other: Holding) -> Holding:
    if _is_younger(other.file, holding.file, holding.license):
        record = replace(holding.record, license_file=other.record.license_file, obtained_at=other.record.obtained_at)
        holding = replace(holding, record=record, file=other.file)
    if _is_younger(other.string, holding.string, holding.license):
        kept = replace(other.record, license_file=holding.record.license_file)
        holding = replace(holding, record=kept, string=other.string, lease=other.lease)
    return holding


def _is_younger(other: License | None, held: License | None, license: License) -> bool:
    if other is None or not is_same_license(other, license):
        return False
    return held is None or other.issued_at > held.issued_at


def _with_later_lease(holding: Holding, other: Holding) -> Holding:
    if other.lease is None or other.string is None or not is_same_string(holding.string, other.string):
        return holding
    if holding.lease is not None and holding.lease.issued_at >= other.lease.issued_at:
        return holding
    record = replace(holding.record, lease=other.record.lease, lease_nonce=other.record.lease_nonce)
    return replace(holding, record=record, lease=other.lease)


def _memory_of(record: Record | None) -> ClockMemory:
    return ClockMemory() if record is None else ClockMemory(record.highest_seen_at, record.signed_at, record.leapt_to)


def _with_memory(record: Record, memory: ClockMemory) -> Record:
    return replace(record, highest_seen_at=memory.highest, signed_at=memory.signed, leapt_to=memory.leapt_to)
