"""The revocation list with a hundred thousand entries: how large it is, what it costs to make and to check.

It is read from a database and signed by the server's code, and checked by the client's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

from sqlalchemy import insert, update

from benchmarks import installation, seeding
from benchmarks.errors import BenchmarkError
from benchmarks.installation import ISSUER, Installation
from benchmarks.report import Figure, at_most
from client_stub import PinnedKeys, VerificationError
from client_stub.trust import revocations as client
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Keyring, Purpose
from licsrv.licensing.revocation import lists, store
from licsrv.licensing.tables import RevocationChange, RevocationHead
from licsrv.platform.db import Database, open_database, reading, table_of

NAME = "revocations"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    entries: int = 100_000
    delta: int = 1_000
    rounds: int = 5


def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Carry the benchmark out in a folder of its own."""
    home = installation.build(folder)
    keyring = KeyFolder(home.keys).read()
    with _opened(home) as database:
        _fill(database, scale.entries)
        made = [_timed(lambda: _make(database, keyring, 0)) for _ in range(scale.rounds)]
        since = scale.entries - scale.delta
        deltas = [_timed(lambda: _make(database, keyring, since)) for _ in range(scale.rounds)]
    whole, delta = made[0][1], deltas[0][1]
    keys = PinnedKeys.from_jwks(dict(keyring.jwks()))
    checked = [_timed(lambda: is_listed(whole, keys, "license:1")) for _ in range(scale.rounds)]
    if not all(found for _, found in checked) or is_listed(whole, keys, "license:0"):
        raise BenchmarkError("The list does not say what was put on it.")
    times = [[seconds for seconds, _ in measured] for measured in (made, deltas, checked)]
    return figures(len(whole), len(delta), times, scale=scale)


@contextmanager
def _opened(home: Installation) -> Iterator[Database]:
    database = open_database(f"sqlite:///{home.database}")
    try:
        yield database
    finally:
        database.dispose()


def _fill(database: Database, count: int) -> None:
    """Put so many licenses on the list, past the use cases."""
    at = seeding.now()
    ends_at = at + timedelta(days=365)
    with database.write.begin() as connection:
        rows = [
            {
                "number": number,
                "entry": lists.license_entry(str(number)),
                "action": "add",
                "ends_at": ends_at,
                "at": at,
            }
            for number in range(1, count + 1)
        ]
        connection.execute(insert(table_of(RevocationChange)), rows)
        connection.execute(update(table_of(RevocationHead)).values(number=count, changed_at=at))


def _make(database: Database, keyring: Keyring, since: int) -> str:
    """Make the text of the list as the route does for its first caller."""
    now = seeding.now()
    with reading(database) as session:
        head = store.head(session)
        edition = store.edition(head, since=since, issuer=ISSUER, now=now)
        changes = store.changes_of(session, edition)
    return lists.signed_list(edition, changes, key=keyring.signer(Purpose.LICENSE, now=now))


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    started = perf_counter()
    result = work()
    return (perf_counter() - started) * 1000, result


def is_listed(text: str, keys: PinnedKeys, owner: str) -> bool:
    """Verify a whole list and look an owner up with the code of the client, as one that was just started does.

    Raises:
        BenchmarkError: The client does not take the list.
    """
    try:
        held, _ = client.apply(client.RevocationList(), client.open_update(text, keys))
    except VerificationError as error:
        raise BenchmarkError(f"The client does not take the list: {error}") from error
    return held.holds(owner)


def figures(whole: int, delta: int, times: list[list[float]], scale: Scale) -> list[Figure]:
    """Return what the runs showed."""
    made, deltas, checked = map(median, times)
    entries = f"{scale.entries:,} entries"
    return [
        Figure(NAME, f"list of {entries}", whole / 2**20, unit="MiB", target=at_most(1)),
        Figure(NAME, f"{entries} verified and one looked up", checked, unit="ms", target=at_most(10)),
        Figure(NAME, f"{entries} read and signed", made, unit="ms"),
        Figure(NAME, f"delta of {scale.delta:,} entries", delta / 2**10, unit="KiB"),
        Figure(NAME, f"delta of {scale.delta:,} entries read and signed", deltas, unit="ms"),
    ]
