"""``licsrv reconcile``: compare every license with what the marketplace says of it, and settle what differs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import moments, staff, terminal
from licsrv.cli.logs import logs_on_standard_error
from licsrv.cli.options import AsJson, KeptReason, LicenseName, Limit, Staff, Yes
from licsrv.cli.terminal import Column

if TYPE_CHECKING:
    from datetime import datetime

    from licsrv.app import Runtime
    from licsrv.audit import Cause
    from licsrv.cli.workplace import Workplace
    from licsrv.marketplace.reconciliation.differences import Repairs
    from licsrv.marketplace.reconciliation.rules import Kind
    from licsrv.marketplace.reconciliation.tables import Difference, ReconciliationRun

app = typer.Typer(
    name="reconcile",
    help="Comparison with the marketplace: start, stop, status, list, compare, repair, dismiss.",
    no_args_is_help=True,
)

_EVERY = 1_000_000
_LOOK_AGAIN_SECONDS = 1.0
_RUNS = (
    Column("Started (UTC)"),
    Column("By"),
    Column("State", styled=True),
    Column("Compared", number=True),
    Column("Of", number=True),
    Column("Found", number=True),
    Column("Vanished", number=True),
    Column("Ended (UTC)", from_width=terminal.WIDE),
    Column("Note", flexible=True),
)
_DIFFERENCES = (
    Column("Id"),
    Column("Code"),
    Column("Kind"),
    Column("Here", flexible=True),
    Column("Marketplace", flexible=True),
    Column("Means", flexible=True),
    Column("Found (UTC)", from_width=terminal.VERY_WIDE),
)


def _kind(word: str | None) -> str | None:
    from licsrv.marketplace.reconciliation.rules import Kind

    if word is not None and word.upper() not in list(Kind):
        raise typer.BadParameter(f"One of {', '.join(Kind)}.")
    return word.upper() if word is not None else None


KindOption = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="WORD",
        callback=_kind,
        help="Only STATUS, EXPIRY, PRODUCT, AMOUNT, UNKNOWN or UNANSWERED.",
    ),
]


@app.command()
def start(
    here: Annotated[
        bool, typer.Option("--here", help="Do the asking in this process, and wait for the end; else a server does.")
    ] = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Start a comparison of every license; one that is under way is gone on with."""
    from licsrv.audit import Cause
    from licsrv.cli.workplace import open_workplace
    from licsrv.marketplace.reconciliation import runs

    cause = Cause(staff.actor(staff_name))
    with open_workplace() as place:
        _require_key_pair(place)
        now = place.clock.now()
        with place.writing() as session:
            run, is_new = runs.start(session, cause=cause, now=now)
            session.expunge_all()
        if run is None:
            raise AssertionError  # without a night a run is refused only while another one is under way
        if here:
            run = _work_off(place, run.id)
    if as_json:
        terminal.show_document({"started": is_new, "run": _run_document(run)})
    elif here:
        _say_how_it_ended(run)
    else:
        terminal.say("Started; a server asks." if is_new else "A comparison is under way already.")


def _require_key_pair(place: Workplace) -> None:
    from licsrv.marketplace.reconciliation import differences

    differences.require_key_pair(is_configured=bool(place.settings.marketplace_ak))


def _runtime(place: Workplace) -> Runtime:
    """Put together what asks the marketplace; who uses it closes it in the same event loop."""
    from licsrv import app as application

    return application.build_runtime(place.settings, clock=place.clock)


def _work_off(place: Workplace, run_id: str) -> ReconciliationRun:
    """Work on a run until it is over, or watch who does."""
    from licsrv.marketplace.reconciliation.tables import ReconciliationRun

    with logs_on_standard_error():
        asyncio.run(_work(_runtime(place)))
    with place.reading() as session:
        run = session.get_one(ReconciliationRun, run_id)
        session.expunge_all()
    return run


async def _work(runtime: Runtime) -> None:
    try:
        while (run := runtime.reconciler.under_way()) is not None:
            _show_progress(run)
            if not await runtime.reconciler.work(_show_progress):
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    finally:
        await runtime.close()
        if sys.stderr.isatty():
            print(file=sys.stderr)


def _show_progress(run: ReconciliationRun) -> None:
    """Show one line that moves on; where nobody looks, nothing."""
    if sys.stderr.isatty():
        waits = f", waits: {run.note}" if run.waits_until is not None else ""
        line = f"{run.compared} of {run.total} compared, {run.found} found{waits}"
        print(f"\r\x1b[K{terminal.printable(line)[:100]}", end="", file=sys.stderr, flush=True)


def _say_how_it_ended(run: ReconciliationRun) -> None:
    note = f" {run.note}" if run.note else ""
    terminal.say(f"{run.state}: {run.compared} of {run.total} compared, {run.found} new differences.{note}")
    if run.state != "FINISHED":
        raise typer.Exit(1)


@app.command()
def stop(reason: KeptReason, staff_name: Staff = None, as_json: AsJson = False) -> None:
    """End the comparison that is under way; what it found stays."""
    from licsrv.audit import Cause
    from licsrv.cli.workplace import open_workplace
    from licsrv.marketplace.reconciliation import runs

    cause = Cause(staff.actor(staff_name), reason=reason)
    with open_workplace() as place:
        now = place.clock.now()
        with place.writing() as session:
            run = runs.stop(session, cause=cause, now=now)
            document = _run_document(run) if run else None
    if as_json:
        terminal.show_document({"changed": document is not None, "run": document})
    else:
        terminal.say("Stopped." if document else "No comparison is under way. Nothing changed.")


@app.command()
def status(limit: Limit = 5, as_json: AsJson = False) -> None:
    """Show the latest comparisons, and how many differences are open."""
    from licsrv.cli.workplace import open_workplace
    from licsrv.marketplace.reconciliation import differences

    with open_workplace() as place, place.reading() as session:
        summary = differences.summary(session, runs=limit)
        session.expunge_all()
    if as_json:
        terminal.show_document({"open": dict(summary.open), "runs": [_run_document(run) for run in summary.runs]})
        return
    terminal.show_table(_RUNS, [_run_row(run) for run in summary.runs])
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(summary.open.items()))
    terminal.warn(f"Open differences: {counts or 'none'}.")


def _run_row(run: ReconciliationRun) -> list[object]:
    waits = f"waits until {moments.full(run.waits_until)}: " if run.waits_until else ""
    return [
        moments.short(run.started_at), run.started_by, run.state, run.compared, run.total, run.found, run.vanished,
        moments.short(run.ended_at), waits + run.note,
    ]  # fmt: skip


def _run_document(run: ReconciliationRun) -> dict[str, object]:
    return {
        "id": run.id,
        "state": run.state,
        "started_by": run.started_by,
        "started_at": moments.rfc3339(run.started_at),
        "ended_at": moments.rfc3339(run.ended_at),
        "waits_until": moments.rfc3339(run.waits_until),
        "total": run.total,
        "compared": run.compared,
        "found": run.found,
        "vanished": run.vanished,
        "note": run.note,
    }


@app.command("list")
def list_differences(
    kind: KindOption = None,
    code: Annotated[str | None, typer.Option("--code", help="Only those of this license.")] = None,
    dismissed: Annotated[bool, typer.Option("--dismissed", help="Those that were dismissed.")] = False,
    closed: Annotated[bool, typer.Option("--closed", help="Those that were repaired or have vanished.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List differences, the oldest first: those that are open, unless others are asked for."""
    from licsrv.cli import queries
    from licsrv.cli.workplace import open_workplace
    from licsrv.marketplace.reconciliation import store
    from licsrv.marketplace.reconciliation.store import Filter

    if dismissed and closed:
        raise typer.BadParameter("Say --dismissed or --closed, not both.")
    with open_workplace() as place, place.reading() as session:
        license_id = queries.license_named(session, code).id if code is not None else None
        which = Filter(closed, None if closed else dismissed, _as_kind(kind), license_id)
        rows = store.differences(session, which, limit=limit)
        session.expunge_all()
    if as_json:
        terminal.show_document({"differences": [_document(row, of) for row, of in rows]})
        return
    terminal.show_table(_DIFFERENCES, [_row(row, of) for row, of in rows])


def _as_kind(word: str | None) -> Kind | None:
    from licsrv.marketplace.reconciliation.rules import Kind

    return Kind(word) if word is not None else None


def _row(row: Difference, code: str) -> list[object]:
    return [row.id, code, row.kind, row.ours, row.theirs, row.explained, moments.short(row.found_at)]


def _document(row: Difference, code: str) -> dict[str, object]:
    return {
        "id": row.id,
        "code": code,
        "license_id": row.license_id,
        "kind": row.kind,
        "ours": row.ours,
        "theirs": row.theirs,
        "explained": row.explained,
        "found_at": moments.rfc3339(row.found_at),
        "asked_at": moments.rfc3339(row.asked_at),
        "dismissed_at": moments.rfc3339(row.dismissed_at),
        "dismissed_by": row.dismissed_by,
        "closed_at": moments.rfc3339(row.closed_at),
        "closed_by": row.closed_by,
        "reason": row.reason,
    }


@app.command()
def compare(code: LicenseName, as_json: AsJson = False) -> None:
    """Ask the marketplace about one license now, and show what differs."""
    from licsrv.cli import queries
    from licsrv.cli.workplace import open_workplace
    from licsrv.marketplace.reconciliation import store
    from licsrv.marketplace.reconciliation.store import Filter

    with open_workplace() as place:
        _require_key_pair(place)
        with place.reading() as session:
            license_id = queries.license_named(session, code).id
        with logs_on_standard_error():
            asyncio.run(_compare(_runtime(place), license_id))
        with place.reading() as session:
            rows = store.differences(session, Filter(is_dismissed=None, license_id=license_id))
            session.expunge_all()
    if as_json:
        terminal.show_document({"differences": [_document(row, of) for row, of in rows]})
        return
    if not rows:
        terminal.say("Nothing differs.")
        return
    terminal.show_table(_DIFFERENCES, [_row(row, of) for row, of in rows])


async def _compare(runtime: Runtime, license_id: str) -> None:
    try:
        await runtime.reconciler.compare(license_id)
    finally:
        await runtime.close()


@app.command()
def repair(
    reason: KeptReason,
    difference_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="As `licsrv reconcile list` shows them.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All open ones; those of kind UNKNOWN only with `--kind unknown`.")
    ] = False,
    kind: KindOption = None,
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Take the marketplace's word over. What it does not know is revoked; `licsrv licenses reinstate` undoes that."""
    from licsrv.audit import Cause
    from licsrv.cli.workplace import open_workplace

    if bool(difference_ids) == every or (kind is not None and not every):
        raise typer.BadParameter("Name differences, or say --all, which --kind may narrow.")
    cause = Cause(staff.actor(staff_name), reason=reason)
    with open_workplace() as place:
        ids = list(dict.fromkeys(difference_ids or ())) or _open_ids(place, kind)
        if ids:
            question = f"Take the marketplace's word over for {len(ids)} difference{'s' if len(ids) > 1 else ''}?"
            staff.confirm(question, yes=yes)
        done = _repair(place, ids, cause, place.clock.now())
    if as_json:
        left = [{"id": name, "why": why} for name, why in done.left.items()]
        terminal.show_document({"repaired": list(done.repaired), "left": left})
    else:
        terminal.say(f"{len(done.repaired)} of {len(ids)} repaired." if ids else "Nothing is to be repaired.")
    for name, why in done.left.items():
        terminal.warn(f"{name}: {why}")
    if done.left and not every:
        raise typer.Exit(1)


def _open_ids(place: Workplace, kind: str | None) -> list[str]:
    from licsrv.marketplace.reconciliation import differences
    from licsrv.marketplace.reconciliation.rules import Kind

    kinds = [Kind(kind)] if kind else differences.UNASKED
    with place.reading() as session:
        return [one for of in kinds for one in differences.open_ids(session, of, limit=_EVERY)]


def _repair(place: Workplace, ids: Sequence[str], cause: Cause, now: datetime) -> Repairs:
    from licsrv.marketplace.reconciliation import differences

    done, alive_unfreezes = differences.Repairs(), place.settings.alive_unfreezes
    for portion in differences.portions(ids):
        with place.writing() as session:
            done += differences.repair_many(session, portion, cause=cause, alive_unfreezes=alive_unfreezes, now=now)
    return done


@app.command()
def dismiss(
    difference_id: Annotated[str, typer.Argument(metavar="ID", help="As `licsrv reconcile list` shows it.")],
    reason: KeptReason,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Leave a difference as it is; it comes back only when either side changes."""
    from licsrv.audit import Cause
    from licsrv.cli.workplace import open_workplace
    from licsrv.marketplace.reconciliation import differences

    cause = Cause(staff.actor(staff_name), reason=reason)
    with open_workplace() as place:
        now = place.clock.now()
        with place.writing() as session:
            changed = differences.dismiss(session, difference_id, cause=cause, now=now)
    if as_json:
        terminal.show_document({"changed": changed, "id": difference_id})
    else:
        terminal.say(f"Dismissed {difference_id}." if changed else f"{difference_id} is settled. Nothing changed.")
