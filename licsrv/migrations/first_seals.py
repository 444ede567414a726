"""Sealing what was in the database before its rows had seals: once, at the upgrade; again on demand.

It happens by itself only where the folder of keys says that nothing is sealed yet: a row that is put in later by other
means stays without a seal, and no start gives it one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlmodel import Session

from licsrv import audit
from licsrv.errors import KeyringError
from licsrv.licensing import store as licensing
from licsrv.licensing.key_folder import SEAL_KEY_NAME, KeyFolder
from licsrv.people import row_seals
from licsrv.platform.db import Database, reading, transaction
from licsrv.platform.seals import Sealed

_DOES_NOT_FIT = (
    f"The database does not fit {SEAL_KEY_NAME}: sign-ins and licenses on record do not count. Restore the file, or "
    "compare the database with a backup and run `licsrv keys reseal`."
)
Page = Callable[[Session, Any], Any]


def seal_once(database: Database, folder: KeyFolder, *, warn: Callable[[str], None]) -> bool:
    """Seal what is there where nothing was sealed yet; return whether there was anything to do.

    Args:
        warn: Takes a sentence for the operator: the database was sealed, and does not fit the key any more.

    Raises:
        KeyringError: The seal key cannot be read, or the database is sealed under another one.
        StorageError: The database cannot be changed.
    """
    sealed = folder.seals().sealed
    with reading(database) as session:
        is_ours = audit.is_head_ours(session)
    if sealed is Sealed.EVERYTHING:
        if not is_ours:  # no reason to stop: a person with write access to the database could do that
            warn(_DOES_NOT_FIT)
        return False
    if not is_ours:
        raise KeyringError(
            f"The database is sealed under another key: restore {SEAL_KEY_NAME}, copy it from the machine that was "
            "upgraded first, or accept what is there by `licsrv keys reseal`."
        )
    if sealed is Sealed.NOTHING:
        reseal(database, folder)
    else:
        _seal_start(database)
        folder.note_sealed()
    return True


def reseal(database: Database, folder: KeyFolder) -> None:
    """Seal every row as it is, page by page, and believe in nothing else from then on."""
    for page, start in _pages(folder):
        after = start
        while after is not None:
            with transaction(database) as session:
                after = page(session, after)
    folder.note_sealed()


def _pages(folder: KeyFolder) -> Sequence[tuple[Page, object]]:
    """Return what seals a page of rows behind a place and returns the next place, None at the end; with the start."""
    issued = partial(licensing.reseal_issued, seal=folder.read().issued_seal)
    return (audit.reseal, -1), (row_seals.reseal, ""), (issued, "")


def _seal_start(database: Database) -> None:
    """Seal the head of a new installation's audit, so that it cannot be put back to an empty one."""
    with transaction(database) as session:
        audit.reseal_head(session)
