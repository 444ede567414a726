"""``licsrv backup``: a copy of the database, taken while the service runs."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import terminal
from licsrv.cli.options import AsJson
from licsrv.errors import ConflictError, StorageError

if TYPE_CHECKING:
    from licsrv.platform.config import Settings

app = typer.Typer(name="backup", help="Backups: create.", no_args_is_help=True)


@app.callback()
def backup() -> None:
    """Backups of the database; the keys are files and are copied as such."""


@app.command()
def create(
    path: Annotated[Path, typer.Argument(help="The new file; one that is there is never overwritten.")],
    as_json: AsJson = False,
) -> None:
    """Copy the database into a new file and check the copy. Back up the folder of the keys as well."""
    from licsrv.cli import opening
    from licsrv.platform import config

    settings = config.load()
    with opening.open_ready(settings):
        source = opening.sqlite_path(settings)
    if source is None:
        raise _postgres(settings, path)
    size = copy(source, path)
    if as_json:
        keys = str(settings.keys_dir)
        terminal.show_document({"path": str(path), "bytes": size, "is_intact": True, "keys_dir": keys})
        return
    terminal.say(f"Backed up to {path} ({size:,} bytes, checked).")
    terminal.say(
        f"Back up {settings.keys_dir}/ too, in another place: without its keys no license can be issued or recognised."
    )


def _postgres(settings: Settings, path: Path) -> Exception:
    from licsrv.cli import opening

    return ConflictError(
        "PostgreSQL makes its own backups.",
        action=f"Run pg_dump --format=custom --file={path} '{opening.place_of(settings)}', "
        f"and back up {settings.keys_dir}/ as well.",
    )


def copy(source: Path, target: Path) -> int:
    """Copy an SQLite database while others write to it; return the size of the copy in bytes.

    1. The name is taken, so that nothing that is there can be overwritten.
    2. The copy is made under a draft's name, checked, and written to disk.
    3. It gets its name; whatever fails before leaves nothing behind.

    Raises:
        ConflictError: There is a file of this name.
        StorageError: The copy could not be made, or is not whole.
    """
    _take_name(target)  # 1
    draft = target.with_name(f".{target.name}.draft-{os.getpid()}")
    try:
        _copy_checked(source, draft)  # 2
        draft.replace(target)  # 3
    except BaseException:
        for path in (draft, target):
            with suppress(OSError):
                path.unlink()
        raise
    _sync(target.parent)
    return target.stat().st_size


def _take_name(target: Path) -> None:
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        raise ConflictError(f"{target} exists already; a backup never overwrites.", action="Choose a name.") from error


def _copy_checked(source: Path, draft: Path) -> None:
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as original,
            closing(sqlite3.connect(draft, isolation_level=None)) as copied,
        ):
            original.backup(copied)
            copied.execute("PRAGMA journal_mode=DELETE")  # one file, without a separate log
            verdict = copied.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        raise StorageError(f"The backup failed ({error}); nothing was kept.") from error
    if verdict != "ok":
        raise StorageError("The copy is not whole: the database is damaged. Nothing was kept; run `licsrv doctor`.")
    _sync(draft)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
