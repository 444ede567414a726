"""Check that the database is there, undamaged, safe, large enough and consistent. It changes nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text
from sqlmodel import Session

from licsrv import audit, migrations
from licsrv.audit import heads
from licsrv.cli import opening
from licsrv.cli.doctor.diagnosis import Diagnosis, ok, problem, warning
from licsrv.desk.audit import store as audit_store
from licsrv.desk.licenses import store
from licsrv.desk.today import answers as today
from licsrv.desk.today import store as today_store
from licsrv.errors import KeyringError, LicsrvError, StorageError
from licsrv.licensing import learning
from licsrv.licensing import store as licenses
from licsrv.licensing.issuing import issuing
from licsrv.marketplace import store as marketplace
from licsrv.marketplace.open_api.guarded import key_pair_id
from licsrv.outbox import store as outbox
from licsrv.people import row_seals
from licsrv.platform import days, moments
from licsrv.platform.config import Settings
from licsrv.platform.db import Database, reading, translated_errors
from licsrv.platform.writability import require_rights

AREA = "database"
LITTLE_ROOM, NO_ROOM = 1 << 30, 100 << 20
ENTRIES_CHECKED = 20_000
WAITING_LONG = timedelta(hours=6)
HEADS_LATE = timedelta(hours=3)
_SEND_HEADS = "Set LICSRV_AUDIT_HEADS: an older end that is put back is found by it."
_SIDE_FILES = ("-wal", "-shm")
_FULL = 2  # PRAGMA synchronous


def check(settings: Settings, *, now: datetime) -> Iterator[Diagnosis]:
    """Look at the database and at what is in it."""
    path = opening.sqlite_path(settings)
    try:
        if path is not None:
            yield from _file(path)
        with opening.open_reachable(settings) as (database, step):
            yield _step(settings, step)
            if step == migrations.HEAD:
                yield from _inside(settings, database, now)
    except LicsrvError as error:
        yield problem(AREA, str(error), "If it was there before, restore a backup.")


def _file(path: Path) -> Iterator[Diagnosis]:
    if not path.exists():
        return  # opening it reports that
    free = shutil.disk_usage(path.parent).free
    room = f"{free >> 20:,} MiB are free next to the database."
    if free < NO_ROOM:
        yield problem(AREA, room, "Make room at once: without it nothing can be acknowledged.")
    elif free < LITTLE_ROOM:
        yield warning(AREA, room, "Make room.")
    else:
        yield ok(AREA, room)
    yield from _rights(path)
    yield from _header(path)


def _rights(path: Path) -> Iterator[Diagnosis]:
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        yield problem(AREA, f"{path} or its folder cannot be written to by this user.", "Correct the owner and mode.")
    files = [found for found in (path, *(path.with_name(path.name + end) for end in _SIDE_FILES)) if found.exists()]
    if open_ones := [found.name for found in files if found.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]:
        yield warning(
            AREA, f"Others on this machine may read or change {', '.join(open_ones)}.", f"Run chmod 600 {path}*"
        )


def _header(path: Path) -> Iterator[Diagnosis]:
    """Read the journal mode as it is on disk, before our own connections set it."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    except sqlite3.Error:
        return  # opening it reports that
    if mode != "wal":
        yield warning(AREA, f"The journal mode on disk is {mode}, not wal.", "The next start of the service sets it.")


def _step(settings: Settings, step: str | None) -> Diagnosis:
    if step == migrations.HEAD:
        return ok(AREA, f"{opening.place_of(settings)} is at schema step {step}.")
    found = f"at step {step}" if step else "empty"
    return problem(AREA, f"The database is {found}; this version needs step {migrations.HEAD}.", "Run `licsrv init`.")


def _inside(settings: Settings, database: Database, now: datetime) -> Iterator[Diagnosis]:
    noted = _noted_heads(settings)  # before the database: an end that is noted meanwhile would be missing in it
    with reading(database) as session:
        yield from _whole(session) if database.is_sqlite else _durable(session)
        if not database.is_sqlite:
            yield _pooling(database)
            yield _writable(database)
        yield _places(session)
        yield _policies(session)
        yield from _many_texts(session, now)
        yield _audit(session)
        yield _heads(session, settings, noted=noted, now=now)
        yield _people(session)
        yield from _issued(session, settings)
        yield from _outbox(session, now)
        yield from _gate(session, settings, now)
        yield from _second_signature(session, settings, now)


def _whole(session: Session) -> Iterator[Diagnosis]:
    verdict = str(session.execute(text("PRAGMA quick_check(1)")).scalar())
    if verdict == "ok":
        yield ok(AREA, "The file is whole.")
    else:
        yield problem(AREA, f"The file is damaged: {verdict}.", "Stop the service and restore a backup.")
    if session.execute(text("PRAGMA synchronous")).scalar() != _FULL:
        yield problem(AREA, "Commits are not forced to disk (synchronous is not FULL).", "Use an unchanged licsrv.")


def _durable(session: Session) -> Iterator[Diagnosis]:
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        value = session.execute(text(f"SHOW {name}")).scalar()
        if value == "off":
            yield problem(AREA, f"PostgreSQL runs with {name}=off: what is acknowledged can be lost.", "Turn it on.")


def _pooling(database: Database) -> Diagnosis:
    from licsrv.platform.postgresql import Pooling, pooling

    found = pooling(database.read)
    if found is Pooling.TRANSACTION:
        return ok(AREA, "A pooler in transaction mode is in between: statements are not prepared, limits are set in "
                  "each transaction.")  # fmt: skip
    if found is Pooling.SESSION:
        return ok(AREA, "A pooler in session mode is in between.",
                  "Give it at least as many server connections as all replicas hold.")  # fmt: skip
    return ok(AREA, "Connections lead to the server itself, without a pooler.")


def _writable(database: Database) -> Diagnosis:
    """Look for a standby and for missing rights; `/readyz` also commits a test write."""
    try:
        with translated_errors(), database.write.connect() as connection:
            require_rights(connection)
    except StorageError as error:
        return problem(AREA, str(error), "Point LICSRV_DATABASE_URL to the primary, or grant the rights.")
    return ok(AREA, "The database accepts changes.")


def _places(session: Session) -> Diagnosis:
    wrong = store.miscounted(session)
    if wrong:
        names = ", ".join(wrong)
        return problem(AREA, f"Places are counted wrong for {names} (at least).", "Report this; it must not happen.")
    return ok(AREA, "Every license's count of places is the number of its devices.")


def _policies(session: Session) -> Diagnosis:
    damaged = licenses.damaged_policies(session)
    if damaged:
        return problem(
            AREA,
            f"The policy of {', '.join(damaged)} is damaged: devices get no new lease.",
            f"Go back to the version before: `licsrv products policy {damaged[0]} --undo`.",
        )
    return ok(AREA, "Every policy can be read.")


def _many_texts(session: Session, now: datetime) -> Iterator[Diagnosis]:
    since = days.day_of(now - today.RECENT, UTC)
    rows = today_store.many_texts(session, since, least=learning.MANY_TEXTS, limit=today.MOST)
    if rows:
        found = len({row.device_id for row in rows})
        yield warning(
            AREA, f"{found} device(s) described themselves in many ways on one day.",
            "Several machines may share a place: see many_texts on the desk.",
        )  # fmt: skip


def _audit(session: Session) -> Diagnosis:
    """Check the chain: each entry where that takes a second, of a long one only that none is missing."""
    length = audit_store.length(session)
    is_long = length > ENTRIES_CHECKED
    fault = audit_store.gap(session) if is_long else audit.verify(session)
    if fault is not None:
        return problem("audit", fault, "The database was changed by hand: compare it with a backup.")
    if is_long:
        return ok("audit", f"None of {length:,} entries is missing.", "`licsrv audit verify` checks each of them.")
    return ok("audit", f"All {length} entries are as they were written.")


def _noted_heads(settings: Settings) -> Sequence[heads.Noted] | OSError:
    path = heads.file_of(settings.audit_heads)
    try:
        return heads.read(path) if path is not None else ()
    except OSError as error:
        return error


def _heads(
    session: Session, settings: Settings, *, noted: Sequence[heads.Noted] | OSError, now: datetime
) -> Diagnosis:  # fmt: skip
    """Compare the audit with the ends that were noted in a second place."""
    place = settings.audit_heads
    path = heads.file_of(place)
    if path is None:
        found = "The end of the audit is sent to a second place." if place else "The end of the audit is sent nowhere."
        return ok("audit", found, "Compare it by `licsrv audit verify --noted`." if place else _SEND_HEADS)
    if isinstance(noted, OSError):
        return warning("audit", f"{path} cannot be read ({noted.strerror}).", "The service writes it each hour.")
    gone = audit.missing(session, [one.mark for one in noted])
    if gone is not None:
        return problem("audit", f"Entry {gone.seq}, noted in {path}, is not in the audit: it was cut off or rewritten.",
                       "The database was changed by hand: compare it with a backup.")  # fmt: skip
    if not noted or now - noted[-1].at > HEADS_LATE:
        return warning("audit", f"{path} holds no end of the last hours.", "Is the service running? Its log says why.")
    return ok("audit", f"Every end noted in {path} is in the audit.")


def _people(session: Session) -> Diagnosis:
    """Name accounts and tokens that this server did not write as they are."""
    found = row_seals.forged(session)
    if found:
        return problem(
            "people", f"Not written by this server, so refused: {', '.join(found[:10])}.",
            "The database was changed by hand: compare it with a backup. After a lost seal key: `licsrv keys reseal`.",
        )  # fmt: skip
    return ok("people", "Every account and token is as it was written.")


def _issued(session: Session, settings: Settings) -> Iterator[Diagnosis]:
    """Count licenses on record that were not handed out here; unreadable keys are reported elsewhere."""
    with suppress(KeyringError, OSError):
        keyring = opening.key_folder(settings).read()
        rows = licenses.newest_issued(session, ENTRIES_CHECKED)
        forged = [row for row in rows if not keyring.is_issued_here(row.seal, row[:-1])]
        if forged:
            yield problem(
                "licenses", f"{len(forged)} license(s) on record were not issued by this server, so they are refused; "
                f"the newest is {forged[0].id} of license {forged[0].license_id}.",
                "The database was changed by hand: compare it with a backup. After a lost seal key: "
                "`licsrv keys reseal`.",
            )  # fmt: skip


def _outbox(session: Session, now: datetime) -> Iterator[Diagnosis]:
    depth = outbox.depth(session)
    age = now - depth.oldest_at if depth.oldest_at else timedelta()
    waiting = f"{depth.waiting} waiting" + (f", the oldest for {moments.span(age)}" if depth.waiting else "")
    if age > WAITING_LONG:
        yield warning("outbox", f"{waiting}.", "See `licsrv outbox list`: the last error says why.")
    else:
        yield ok("outbox", f"{waiting}.")
    if depth.parked:
        yield warning(
            "outbox", f"{depth.parked} parked: the marketplace refused them for good.",
            "See `licsrv outbox list --state PARKED`, then retry or drop.",
        )  # fmt: skip


def _gate(session: Session, settings: Settings, now: datetime) -> Iterator[Diagnosis]:
    if not settings.marketplace_ak:
        return
    gate = marketplace.gate(session, key_pair_id(settings.marketplace_ak))
    if gate is not None and gate.failures:
        until = moments.both(gate.paused_until, now)
        yield problem(
            "marketplace",
            f"The key pair was refused {gate.failures} time(s); calls are paused until {until}: {gate.reason}",
            "Check LICSRV_MARKETPLACE_AK and _SK, that the pair is active, and this machine's clock.",
        )


def _second_signature(session: Session, settings: Settings, now: datetime) -> Iterator[Diagnosis]:
    """Look for the key that a product's license files need; the checks of the keys report an unreadable folder."""
    products = licenses.products_with_second_signature(session)
    if not products:
        return
    with suppress(KeyringError, OSError):
        keyring = opening.key_folder(settings).read()
        missing = issuing.missing_keys(session, keyring, now=now)
        if missing is not None:
            yield problem("keys", f"License files of {', '.join(products[:5])} cannot be issued.", missing)
