"""The revocation list: what is on it, and its signed text. Pure.

A JWS in compact serialization whose payload is binary (formats of the list: one line of JSON, then entries of 7 bytes):
100,000 entries take less than 1 MiB as text. An entry is the beginning of a digest, so the list says nothing to who
does not hold the license. ``client_stub`` and the tests read it with code of their own on purpose (three witnesses).

Two kinds of entries: a whole license (revoked, or released) and one string or file (of a device that gave its place
back). A list has a number that only rises; a delta says what changed since the number that its holder has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from licsrv.licensing.signing import SigningKey, seconds

LIST_TYPE = "revocations"
ENTRY_BYTES = 7
VERSION = 1
KEPT = timedelta(days=30)  # after a license's end: by then every clock agrees that it is over


class Action(StrEnum):
    """What a change does to an entry. For one entry the two take turns, beginning with ADD."""

    ADD = "add"
    REMOVE = "remove"


class Change(NamedTuple):
    """One step of the list. ``entry`` is hex; ``is_over``: what it names ended before :func:`over_before`."""

    number: int
    entry: str
    action: str
    is_over: bool


@dataclass(frozen=True)
class Difference:
    """What leads from one list to another: entries in hex, each group sorted."""

    add: list[str]
    remove: list[str]


@dataclass(frozen=True)
class Edition:
    """Which list: its number, the number of the list that it continues (0: it is whole), and its date."""

    issuer: str
    number: int
    since: int
    issued_at: datetime


def license_entry(license_id: str) -> str:
    """Return the entry of a whole license, hex."""
    return _entry("license", license_id)


def string_entry(issued_id: str) -> str:
    """Return the entry of one license string or file, hex."""
    return _entry("string", issued_id)


def _entry(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}:{name}".encode()).digest()[:ENTRY_BYTES].hex()


def issued_at(changed_at: datetime | None, now: datetime) -> datetime:
    """Return the date of the list as of ``now``: its last change, or the beginning of this day (UTC).

    So all replicas give the same bytes under one ETag, and a list that does not change is never dated long ago.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return max(changed_at, today) if changed_at is not None else today


def over_before(at: datetime) -> datetime:
    """Return before which moment a license must have ended for a list of ``at`` to leave it out."""
    return at - KEPT


def difference(changes: Iterable[Change]) -> Difference:
    """Return what changes come to, in the order of their numbers; what was done and undone leaves nothing."""
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for _, entry, action, _ in changes:
        first.setdefault(entry, action)
        last[entry] = action
    lasting: dict[str, list[str]] = {Action.ADD: [], Action.REMOVE: []}
    for entry, action in last.items():
        if first[entry] == action:
            lasting[action].append(entry)
    return Difference(sorted(lasting[Action.ADD]), sorted(lasting[Action.REMOVE]))


def current(changes: Iterable[Change]) -> Difference:
    """Return the whole list, without what ended so long ago that no verifier accepts it anyway.

    A whole list continues no other, so it removes nothing.
    """
    listed: dict[str, bool] = {}
    for _, entry, action, is_over in changes:
        if action == Action.ADD:
            listed[entry] = is_over
        else:
            listed.pop(entry, None)
    return Difference(sorted(entry for entry, is_over in listed.items() if not is_over), [])


def payload(edition: Edition, found: Difference) -> bytes:
    """Return the bytes that are signed: one line of JSON, then the entries."""
    head = {
        "v": VERSION,
        "iss": edition.issuer,
        "iat": seconds(edition.issued_at),
        "number": edition.number,
        "since": edition.since,
        "add": len(found.add),
        "remove": len(found.remove),
    }
    line = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    return line + b"\n" + bytes.fromhex("".join((*found.add, *found.remove)))


def signed_list(edition: Edition, changes: Iterable[Change], *, key: SigningKey) -> str:
    """Return the signed text of a list.

    Args:
        edition: Which one; ``since`` 0 makes a whole list of all changes ever, else a delta of those after it.
        changes: The changes after ``edition.since``, in the order of their numbers.
        key: A license key.
    """
    found = current(changes) if edition.since == 0 else difference(changes)
    return key.typed(LIST_TYPE).sign(payload(edition, found))
