"""The vendor's signed list of what is revoked: read it, bring it up to date, and ask whether it names a license.

Three witnesses: server and this client each implement the format on their own, on purpose. Do not replace this module
by an import.

Pure. Fetching is the transport's work, keeping ``revocation_store``'s. A list carries a number that never falls: one
with a lower number than the held list is old, whatever its source. A full list replaces the held one; a delta
changes exactly the list with the number that it was made from.

Entries are the first seven bytes of SHA-256 over ``license:<id>`` or ``string:<jti>``, in ascending order in one run
of bytes: 100,000 of them are 700 KB, and a look-up reads 17 of them.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from client_stub.trust import claim_values, tokens
from client_stub.trust.claims import License
from client_stub.trust.errors import BadClaimsError, MalformedError, WrongIssuerError
from client_stub.trust.keys import KeyPurpose, PinnedKeys
from client_stub.trust.tokens import TokenKind

ENTRY_BYTES = 7
MAXIMUM_CHARACTERS = 16 * 1024 * 1024
LIST = TokenKind("revocations", KeyPurpose.LICENSE, MAXIMUM_CHARACTERS)
_ENTRY_BITS = 8 * ENTRY_BYTES
_VERSION = 1
_LARGEST_NUMBER = 2**53 - 1
_LARGEST_COUNT = MAXIMUM_CHARACTERS // ENTRY_BYTES


@dataclass(frozen=True)
class RevocationUpdate:
    """A list as the server hands it out, with a good signature: full when ``since`` is 0, else a delta."""

    issuer: str
    issued_at: datetime
    number: int
    since: int
    added: bytes
    removed: bytes


@dataclass(frozen=True)
class RevocationList:
    """The list that the client holds; ``issued_at`` is None and ``number`` 0 before there is one."""

    number: int = 0
    issued_at: datetime | None = None
    entries: bytes = b""

    def __len__(self) -> int:
        return len(self.entries) // ENTRY_BYTES

    def names(self, license: License) -> bool:
        """Return True when the license is revoked, or this very string or file."""
        owners = (f"license:{license.license_id}", f"string:{license.string_id}")
        return any(self.holds(owner) for owner in owners)

    def holds(self, owner: str) -> bool:
        """Return True when the list names ``license:<id>`` or ``string:<jti>``."""
        wanted = entry(owner)
        position = bisect_left(range(len(self)), wanted, key=self._at)
        return position < len(self) and self._at(position) == wanted

    def _at(self, position: int) -> bytes:
        return self.entries[position * ENTRY_BYTES : (position + 1) * ENTRY_BYTES]


class Outcome(StrEnum):
    """The result of offering an update to the held list."""

    APPLIED = "APPLIED"
    KNOWN = "KNOWN"
    """It says what the held list says."""
    OLDER = "OLDER"
    """Its number is lower than the held one: the list was rolled back. It is not used."""
    GAP = "GAP"
    """A delta made from another list than the held one. The full list is needed."""


def entry(owner: str) -> bytes:
    """Return the entry for ``license:<id>`` or ``string:<jti>``."""
    return hashlib.sha256(owner.encode()).digest()[:ENTRY_BYTES]


def open_update(text: str | bytes, keys: PinnedKeys, *, issuer: str | None = None) -> RevocationUpdate:
    """Believe a list from the network or from a file, or say why not.

    1. The text is well-formed, of type ``revocations`` and signed with a pinned license key (``tokens.open_signed``).
    2. Its first line is complete, and the entries are as many as it says.
    3. Each group of entries is in ascending order, without doubles.
    4. The issuer is the expected one, where an expectation is given.

    Raises:
        VerificationError: The first step that fails; never another exception, whatever the bytes are.
    """
    line, separator, entries = tokens.open_signed(text, LIST, keys).payload.partition(b"\n")  # 1
    if not separator:
        raise MalformedError("The list has no first line.")
    update = _read(tokens.read_object(line), entries)  # 2
    _check_order(update.added)  # 3
    _check_order(update.removed)
    if issuer is not None and update.issuer != issuer:  # 4
        raise WrongIssuerError("The list was issued by another issuer.")
    return update


def apply(held: RevocationList, update: RevocationUpdate) -> tuple[RevocationList, Outcome]:
    """Bring the held list up to date, or leave it as it is and say why."""
    if update.number < held.number:
        return held, Outcome.OLDER
    if held.issued_at is not None and update.number == held.number:
        return held, Outcome.KNOWN
    if update.since == 0:
        return RevocationList(update.number, update.issued_at, update.added), Outcome.APPLIED
    if update.since != held.number:
        return held, Outcome.GAP
    entries = (set(_split(held.entries)) | set(_split(update.added))) - set(_split(update.removed))
    return RevocationList(update.number, update.issued_at, b"".join(sorted(entries))), Outcome.APPLIED


def _read(head: Mapping[str, object], entries: bytes) -> RevocationUpdate:
    if claim_values.whole_number(head, "v", _LARGEST_NUMBER) != _VERSION:
        raise BadClaimsError("The list is of a version that this program does not know.")
    number = claim_values.whole_number(head, "number", _LARGEST_NUMBER)
    since = claim_values.whole_number(head, "since", _LARGEST_NUMBER)
    add = claim_values.whole_number(head, "add", _LARGEST_COUNT) * ENTRY_BYTES
    remove = claim_values.whole_number(head, "remove", _LARGEST_COUNT) * ENTRY_BYTES
    if len(entries) != add + remove:
        raise BadClaimsError("The list does not have as many entries as it says.")
    if since > number or (since == 0 and remove):
        raise BadClaimsError("The list ends before it begins, or a full list takes something back.")
    return RevocationUpdate(
        issuer=claim_values.text(head, "iss"),
        issued_at=claim_values.moment(head, "iat"),
        number=number,
        since=since,
        added=entries[:add],
        removed=entries[add:],
    )


def _check_order(entries: bytes) -> None:
    """Compare every entry with the one before it, all of them at once and without taking them apart.

    Two very long numbers are subtracted in one step, the entries without the first minus the entries without the last.
    An entry that is smaller than the one before it borrows from its neighbour; after that, taking 1 from every
    difference borrows where two are equal. A borrow shows in the lowest bit of the neighbour. One by one, this was
    half of what a list of a hundred thousand costs to check.
    """
    count = len(entries) // ENTRY_BYTES
    if count < 2:
        return
    ones = int.from_bytes((b"\0" * (ENTRY_BYTES - 1) + b"\1") * (count - 1))
    neighbours = ones << _ENTRY_BITS
    earlier = int.from_bytes(entries) >> _ENTRY_BITS
    later = int.from_bytes(memoryview(entries)[ENTRY_BYTES:])
    differences = later - earlier
    if (later ^ earlier ^ differences) & neighbours or (differences ^ ones ^ (differences - ones)) & neighbours:
        raise BadClaimsError("The entries of the list are not in ascending order.")


def _split(entries: bytes) -> list[bytes]:
    return [entries[start : start + ENTRY_BYTES] for start in range(0, len(entries), ENTRY_BYTES)]
