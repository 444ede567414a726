"""``licsrv bulk``: one action on many listed licenses: prepare it, check it, start it, approve another person's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from licsrv.cli import license_actions, staff, terminal
from licsrv.cli.logs import logs_on_standard_error
from licsrv.cli.options import AsJson, KeptReason, Limit, ShownReason, Staff, Yes, typed
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import Workplace, open_workplace
from licsrv.platform import moments
from licsrv.platform.days import Typed
from licsrv.platform.paging import Window

if TYPE_CHECKING:
    from sqlmodel import Session

    from licsrv.desk.bulk.execution import Progress
    from licsrv.people.actors import Actor

app = typer.Typer(
    name="bulk",
    help="Bulk work: prepare, list, show, start, approve, reject, stop, run, result.",
    no_args_is_help=True,
)

Result = TypeVar("Result")
_JOBS = (
    Column("Id"),
    Column("Action"),
    Column("State", styled=True),
    Column("Lines", number=True),
    Column("Done", number=True),
    Column("Changed", number=True),
    Column("Made (UTC)", from_width=terminal.VERY_WIDE),
    Column("By", from_width=terminal.VERY_WIDE),
    Column("Why", flexible=True),
)


def _action(word: str) -> str:
    from licsrv.desk.bulk.rules import FOR_LISTS

    word = word.replace("-", "_")
    if word not in FOR_LISTS:
        raise typer.BadParameter(f"One of {', '.join(FOR_LISTS)}.")
    return word


JobId = Annotated[str, typer.Argument(metavar="ID", help="As `licsrv bulk list` shows it.")]


@app.command()
def prepare(
    action: Annotated[
        str,
        typer.Argument(
            metavar="ACTION",
            callback=_action,
            help="One of revoke, reinstate, extend, set_terms, extend_grace, set_maintenance.",
        ),
    ],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Codes or license ids, text or CSV.")],
    reason: ShownReason,
    until: Annotated[
        Typed | None,
        typer.Option(
            "--until",
            metavar="DAY",
            parser=typed,
            help="For extend, extend_grace and set_maintenance: the last day, such as 2027-01-31, or RFC 3339.",
        ),
    ] = None,
    terms: Annotated[
        str | None,
        typer.Option("--terms", metavar="JSON", help='For set_terms: what the API takes, such as {"places": 3}.'),
    ] = None,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Read a list and show what each line would change; nothing is changed until `licsrv bulk start`."""
    from licsrv.desk.bulk import rules

    with open_workplace() as place:
        actor, now = staff.person(staff_name), place.clock.now()
        end = until.end(place.settings.day_zone) if until is not None else None
        given = license_actions.read_terms(terms).terms() if terms is not None else None
        task = rules.task_of(action, end, terms=given, now=now)
        document = asyncio.run(_prepared(place, task, file, actor=actor, reason=reason, now=now))
    _show(document, as_json=as_json)


async def _prepared(
    place: Workplace, task: Any, file: Path, actor: Actor, reason: str, now: datetime
) -> dict[str, Any]:  # fmt: skip
    from licsrv.desk.bulk import intake, jobs

    storage = _Storage(place)
    raw = await intake.body_of(_pieces(file))
    cause = actor.cause(reason=reason)
    job_id = await storage.change(lambda session: jobs.make(session, task, actor=actor, cause=cause, now=now).id)
    await intake.take_in(storage, job_id, raw, actor=actor, clock=place.clock)
    return _document(place, job_id)


async def _pieces(file: Path) -> Any:
    with file.open("rb") as opened:
        while piece := opened.read(1024 * 1024):
            yield piece


class _Storage:
    """Where the intake of a command reads and writes."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    async def read(self, use_case: Callable[[Session], Result]) -> Result:
        """Return what a use case reads."""
        with self._place.reading() as session:
            return use_case(session)

    async def change(self, use_case: Callable[[Session], Result]) -> Result:
        """Return what a use case says once what it wrote is on disk."""
        with self._place.writing() as session:
            return use_case(session)


@app.command("list")
def list_jobs(limit: Limit = 50, as_json: AsJson = False) -> None:
    """List bulk jobs, newest first."""
    from licsrv.desk.bulk import answers

    with open_workplace() as place, place.reading() as session:
        found = answers.jobs(session, Window(limit)).items
    if as_json:
        terminal.show_document({"jobs": found})
        return
    rows = [
        [job.id, job.action, job.state, job.lines, job.done, job.changed, moments.short(job.created_at),
         job.created_by, job.reason]
        for job in found
    ]  # fmt: skip
    terminal.show_table(_JOBS, rows)
    if not rows:
        terminal.warn("There is no bulk job: `licsrv bulk prepare revoke LIST --reason TEXT`.")


@app.command()
def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job: what it would change, or its progress."""
    with open_workplace() as place:
        document = _document(place, job_id)
    _show(document, as_json=as_json)


@app.command()
def start(job_id: JobId, yes: Yes = False, staff_name: Staff = None, as_json: AsJson = False) -> None:
    """Start a job, or request approval where it is large; a server (or `licsrv bulk run`) carries it out."""
    from licsrv.desk.bulk import jobs

    with open_workplace() as place:
        actor, before = staff.person(staff_name), _document(place, job_id)
        staff.confirm(f"{before['action']} {before['licenses']} license(s)?", yes=yes)
        now, above = place.clock.now(), place.settings.bulk_approval_above
        cause = actor.cause(reason=before["reason"])
        with place.writing() as session:
            jobs.start(session, before["id"], actor=actor, approval_above=above, cause=cause, now=now)
        document = _document(place, job_id)
    _show(document, as_json=as_json)


@app.command()
def approve(job_id: JobId, reason: KeptReason, staff_name: Staff = None, as_json: AsJson = False) -> None:
    """Approve another person's job; it starts."""
    _decide("approve", job_id, reason, staff_name=staff_name, as_json=as_json)


@app.command()
def reject(job_id: JobId, reason: KeptReason, staff_name: Staff = None, as_json: AsJson = False) -> None:
    """Reject another person's job; none of it is carried out."""
    _decide("reject", job_id, reason, staff_name=staff_name, as_json=as_json)


@app.command()
def stop(job_id: JobId, reason: KeptReason, staff_name: Staff = None, as_json: AsJson = False) -> None:
    """Stop a job; changes that were made remain."""
    _decide("stop", job_id, reason, staff_name=staff_name, as_json=as_json)


def _decide(word: str, job_id: str, reason: str, staff_name: str | None, *, as_json: bool) -> None:
    from licsrv.desk.bulk import jobs

    decide = {"approve": jobs.approve, "reject": jobs.reject, "stop": jobs.stop}[word]
    with open_workplace() as place:
        actor, now = staff.person(staff_name), place.clock.now()
        with place.writing() as session:
            decide(session, job_id.strip(), actor=actor, cause=actor.cause(reason=reason), now=now)
        document = _document(place, job_id)
    _show(document, as_json=as_json)


@app.command()
def run(as_json: AsJson = False) -> None:
    """Carry out the started jobs that no server has, in this process, until none is left."""
    with open_workplace() as place:
        with logs_on_standard_error():
            done = asyncio.run(_run(place, quiet=as_json))
        documents = [_document(place, job_id) for job_id in done]
    if as_json:
        terminal.show_document({"jobs": documents})
    elif not documents:
        terminal.say("There is no job to carry out.")
    for document in [] if as_json else documents:
        terminal.say(f"{document['id']}: {document['state']}, {document['changed']} license(s) changed.")


async def _run(place: Workplace, *, quiet: bool) -> list[str]:
    import secrets

    from licsrv import audit
    from licsrv.desk.bulk.runner import BulkRunner
    from licsrv.platform.writer import Writer

    def report(progress: Progress) -> None:
        if not quiet:
            terminal.warn(f"{progress.done} of {progress.total}, {progress.changed} changed")

    writer = Writer(place.database, hooks=(audit.seal,))
    runner = BulkRunner(place.database, writer, clock=place.clock, owner=secrets.token_hex(8))
    done: list[str] = []
    try:
        while (job_id := await runner.work(report)) is not None:
            done.append(job_id)
    finally:
        await asyncio.to_thread(writer.close)
    return done


@app.command()
def result(
    job_id: JobId,
    file: Annotated[
        Path, typer.Argument(dir_okay=False, help="The new file; its ending, .csv or .xlsx, is the format.")
    ],
    as_json: AsJson = False,
) -> None:
    """Write the result of each line to a file in which no cell is a formula."""
    from licsrv.cli import reports
    from licsrv.desk.bulk import answers

    with open_workplace() as place:
        known = str(_document(place, job_id)["id"])
        reports.write_file(place, file, lambda session: answers.sheet(session, known))
    reports.told_of(file, as_json=as_json)


def _document(place: Workplace, job_id: str) -> dict[str, Any]:
    from licsrv.desk.bulk import answers

    with place.reading() as session:
        found = answers.answer(
            session,
            answers.known(session, job_id.strip()),
            above=place.settings.bulk_approval_above,
            now=place.clock.now(),
        )
    return found.model_dump(mode="json")


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        terminal.show_document({"job": document})
        return
    terminal.show_heading(f"{document['action']} {document['id']}", document["state"])
    terminal.show_facts(
        [
            ("Reason", document["reason"]),
            ("Made by", document["created_by"]),
            ("Lines", document["lines"]),
            ("Licenses", document["licenses"]),
            ("Dry run", _counts(document["planned"])),
            ("Done", f"{document['done']}: {_counts(document['outcomes'])}" if document["done"] else ""),
            ("Decided by", document["decided_by"]),
        ]
    )
    if document["state"] == "WAITING":
        terminal.warn("A second person has to approve it: `licsrv bulk approve ID --reason TEXT --as NAME`.")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
