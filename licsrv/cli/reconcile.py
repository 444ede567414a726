"""``licsrv reconcile``: compare every license with what the marketplace says of it, and settle what differs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import staff, terminal
from licsrv.cli.logs import logs_on_standard_error
from licsrv.cli.options import AsJson, KeptReason, LicenseName, Limit, Staff, Yes, word_of
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import Workplace, open_workplace
from licsrv.platform import moments
from licsrv.platform.paging import Window
from licsrv.platform.plurals import counted

if TYPE_CHECKING:
    from datetime import datetime

    from licsrv.audit import Cause
    from licsrv.desk.reconciliation.answers import DifferenceShown, RunShown
    from licsrv.marketplace.reconciliation.differences import Repairs
    from licsrv.marketplace.reconciliation.rules import Kind
    from licsrv.marketplace.reconciliation.tables import ReconciliationRun
    from licsrv.runtime import Runtime

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


KindOption = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="WORD",
        callback=word_of("licsrv.marketplace.reconciliation.rules:Kind"),
        help="Only STATUS, EXPIRY, PRODUCT, AMOUNT, UNKNOWN or UNANSWERED.",
    ),
]


@app.command()
def start(
    here: Annotated[
        bool, typer.Option("--here", help="Compare in this process and wait for the end; else a server does it.")
    ] = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Start a comparison of all licenses, or continue the one that is under way."""
    from licsrv.desk.reconciliation import answers
    from licsrv.marketplace.reconciliation import runs

    cause = staff.cause(staff_name)
    with open_workplace() as place:
        _require_key_pair(place)
        now = place.clock.now()
        with place.writing() as session:
            row, is_new = runs.start(session, cause=cause, now=now)
            if row is None:
                raise AssertionError  # a run on demand is refused only while another is active
            run = answers.run_shown(row)
        if here:
            run = _work_off(place, run.id)
    if as_json:
        terminal.show_document({"started": is_new, "changed": is_new, "run": run})
    elif here:
        _say_how_it_ended(run)
    else:
        terminal.say("Started; a server asks." if is_new else "A comparison is under way already.")


def _require_key_pair(place: Workplace) -> None:
    from licsrv.marketplace.reconciliation import differences

    differences.require_key_pair(is_configured=bool(place.settings.marketplace_ak))


def _runtime(place: Workplace) -> Runtime:
    """Build what asks the marketplace; the caller closes it in the same event loop."""
    from licsrv import app as application

    return application.build_runtime(place.settings, clock=place.clock)


def _work_off(place: Workplace, run_id: str) -> RunShown:
    """Work on a run until it has ended, or watch the process that does."""
    from licsrv.desk.reconciliation import answers

    with logs_on_standard_error():
        asyncio.run(_work(_runtime(place)))
    with place.reading() as session:
        return answers.run(session, run_id)


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
    """Show one line of progress, at a terminal only."""
    if sys.stderr.isatty():
        waits = f", waits: {run.note}" if run.waits_until is not None else ""
        line = f"{run.compared} of {run.total} compared, {run.found} found{waits}"
        print(f"\r\x1b[K{terminal.printable(line)[:100]}", end="", file=sys.stderr, flush=True)


def _say_how_it_ended(run: RunShown) -> None:
    note = f" {run.note}" if run.note else ""
    terminal.say(f"{run.state}: {run.compared} of {run.total} compared, {counted(run.found, 'new difference')}.{note}")
    if run.state != "FINISHED":
        raise typer.Exit(1)


@app.command()
def stop(reason: KeptReason, staff_name: Staff = None, as_json: AsJson = False) -> None:
    """End the comparison that is under way; its differences are kept."""
    from licsrv.desk.reconciliation import answers
    from licsrv.desk.reconciliation.answers import StoppedAnswer
    from licsrv.marketplace.reconciliation import runs

    cause = staff.cause(staff_name, reason=reason)
    with open_workplace() as place:
        now = place.clock.now()
        with place.writing() as session:
            row = runs.stop(session, cause=cause, now=now)
            stopped = StoppedAnswer(changed=row is not None, run=answers.run_shown(row) if row else None)
    if as_json:
        terminal.show_document(stopped)
    else:
        terminal.say("Stopped." if stopped.changed else "No comparison is under way. No change needed.")


@app.command()
def status(limit: Limit = 5, as_json: AsJson = False) -> None:
    """Show the latest comparisons, and how many differences are open."""
    from licsrv.desk.reconciliation import answers

    with open_workplace() as place, place.reading() as session:
        stand = answers.stand(session, is_configured=bool(place.settings.marketplace_ak), runs=limit)
    if as_json:
        terminal.show_document(stand)
        return
    terminal.show_table(_RUNS, [_run_row(run) for run in stand.runs])
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(stand.open.items()))
    terminal.warn(f"Open differences: {counts or 'none'}.")


def _run_row(run: RunShown) -> list[object]:
    waits = f"waits until {moments.full(run.waits_until)}: " if run.waits_until else ""
    return [
        moments.short(run.started_at), run.started_by, run.state, run.compared, run.total, run.found, run.vanished,
        moments.short(run.ended_at), waits + run.note,
    ]  # fmt: skip


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
    from licsrv.desk import names
    from licsrv.desk.reconciliation import answers
    from licsrv.desk.reconciliation.answers import State

    if dismissed and closed:
        raise typer.BadParameter("Say --dismissed or --closed, not both.")
    state = State.CLOSED if closed else State.DISMISSED if dismissed else State.OPEN
    with open_workplace() as place, place.reading() as session:
        license_id = names.license_of(session, code).id if code is not None else None
        found = answers.difference_list(
            session, Window(limit), state=state, kind=_as_kind(kind), license_id=license_id
        ).items
    if as_json:
        terminal.show_document({"differences": found})
        return
    terminal.show_table(_DIFFERENCES, [_row(one) for one in found])


def _as_kind(word: str | None) -> Kind | None:
    from licsrv.marketplace.reconciliation.rules import Kind

    return Kind(word) if word is not None else None


def _row(one: DifferenceShown) -> list[object]:
    return [one.id, one.code, one.kind, one.ours, one.theirs, one.explained, moments.short(one.found_at)]


@app.command()
def compare(code: LicenseName, as_json: AsJson = False) -> None:
    """Ask the marketplace about one license now, and show what differs."""
    from licsrv.desk import names
    from licsrv.desk.licenses import page
    from licsrv.desk.reconciliation import answers

    with open_workplace() as place:
        _require_key_pair(place)
        with place.reading() as session:
            license_id = names.license_of(session, code).id
        with logs_on_standard_error():
            asyncio.run(_compare(_runtime(place), license_id))
        with place.reading() as session:
            found = answers.of_license(session, license_id)
            compared = page.compared(session, license_id, view=place.view())
    if as_json:
        terminal.show_document({**dict(compared), "differences": found})
        return
    if not found:
        terminal.say("Nothing differs.")
        return
    terminal.show_table(_DIFFERENCES, [_row(one) for one in found])


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
    from licsrv.desk.reconciliation import answers

    if bool(difference_ids) == every or (kind is not None and not every):
        raise typer.BadParameter("Name differences, or say --all, which --kind may narrow.")
    cause = staff.cause(staff_name, reason=reason)
    with open_workplace() as place:
        ids = list(dict.fromkeys(difference_ids or ())) or _open_ids(place, kind)
        if ids:
            question = f"Take the marketplace's word over for {counted(len(ids), 'difference')}?"
            staff.confirm(question, yes=yes)
        done = _repair(place, ids, cause=cause, now=place.clock.now())
    if as_json:
        terminal.show_document(answers.repaired(done, None))
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


def _repair(place: Workplace, ids: Sequence[str], *, cause: Cause, now: datetime) -> Repairs:
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
    from licsrv.desk.reconciliation.answers import SettledAnswer
    from licsrv.marketplace.reconciliation import differences

    cause = staff.cause(staff_name, reason=reason)
    with open_workplace() as place:
        now = place.clock.now()
        with place.writing() as session:
            changed = differences.dismiss(session, difference_id, cause=cause, now=now)
    if as_json:
        terminal.show_document(SettledAnswer(id=difference_id, changed=changed))
    else:
        terminal.say(
            f"Dismissed {difference_id}." if changed else f"{difference_id} is already settled. No change needed."
        )
