"""``licsrv outbox``: what still has to be told to the marketplace, and what to do about what it refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import moments, staff, terminal
from licsrv.cli.options import AsJson, KeptReason, Limit, Staff, Yes
from licsrv.cli.terminal import Column

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel import Session

    from licsrv.outbox.tables import OutboxRow

app = typer.Typer(name="outbox", help="Deliveries to the marketplace: list, show, retry, drop.", no_args_is_help=True)

_COLUMNS = (
    Column("Id", number=True),
    Column("Kind"),
    Column("Code"),
    Column("State", styled=True),
    Column("Tries", number=True),
    Column("Due (UTC)", from_width=terminal.WIDE),
    Column("Made (UTC)", from_width=terminal.VERY_WIDE),
    Column("Last error", flexible=True),
)


def _state(word: str | None) -> str | None:
    from licsrv.outbox.rules import State

    if word is not None and word.upper() not in list(State):
        raise typer.BadParameter(f"One of {', '.join(State)}.")
    return word.upper() if word is not None else None


DeliveryId = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=2**31 - 1, help="As `licsrv outbox list` shows it.")
]


@app.command("list")
def list_deliveries(
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            metavar="WORD",
            callback=_state,
            help="WAITING, PARKED, DELIVERED or DROPPED; left out: all that are waiting or parked.",
        ),
    ] = None,
    code: Annotated[str | None, typer.Option("--code", help="Only those of this license.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List deliveries: by default what is not done yet, oldest first."""
    from licsrv.cli import documents, queries
    from licsrv.cli.workplace import open_workplace
    from licsrv.outbox import store

    with open_workplace() as place, place.reading() as session:
        rows = _rows(session, state, code, limit)
        codes = queries.codes_of(session, [row.ordering_key for row in rows])
        depth = store.depth(session)
        session.expunge_all()
        now = place.clock.now()
    if as_json:
        listed = [documents.delivery(row, code=codes.get(row.ordering_key)) for row in rows]
        oldest = moments.rfc3339(depth.oldest_at)
        terminal.show_document(
            {"waiting": depth.waiting, "parked": depth.parked, "oldest_at": oldest, "deliveries": listed}
        )
        return
    terminal.show_table(_COLUMNS, [_row(row, codes) for row in rows])
    oldest = f", the oldest for {moments.span(now - depth.oldest_at)}" if depth.oldest_at else ""
    terminal.warn(f"{depth.waiting} waiting{oldest}; {depth.parked} parked.")


def _rows(session: Session, state: str | None, code: str | None, limit: int) -> Sequence[OutboxRow]:
    from licsrv.cli import queries
    from licsrv.outbox import store
    from licsrv.outbox.rules import State

    key = queries.license_named(session, code).id if code is not None else None
    if state is not None:
        return store.rows(session, state=State(state), key=key, limit=limit)
    return queries.deliveries(session, (State.PARKED, State.WAITING), key=key, limit=limit)


def _row(row: OutboxRow, codes: dict[str, str]) -> list[object]:
    return [
        row.id,
        row.kind,
        codes.get(row.ordering_key, row.ordering_key),
        row.state,
        row.attempts,
        moments.short(row.due_at),
        moments.short(row.created_at),
        row.last_error,
    ]


@app.command()
def show(delivery_id: DeliveryId, as_json: AsJson = False) -> None:
    """Show one delivery with what it says and why it failed last."""
    from licsrv.cli import documents, queries
    from licsrv.cli.workplace import open_workplace
    from licsrv.desk.deliveries import actions as decisions
    from licsrv.outbox.tables import OutboxRow

    with open_workplace() as place, place.reading() as session:
        row = session.get(OutboxRow, delivery_id)
        if row is None:
            raise decisions.unknown(delivery_id)
        code = queries.codes_of(session, [row.ordering_key]).get(row.ordering_key)
        session.expunge_all()
        now = place.clock.now()
    if as_json:
        terminal.show_document({"delivery": documents.delivery(row, code=code)})
        return
    terminal.show_heading(f"Delivery {row.id}", row.state)
    terminal.show_facts(_facts(row, code, now))


def _facts(row: OutboxRow, code: str | None, now: datetime) -> list[tuple[str, object]]:
    from licsrv.cli import documents

    return [
        ("Kind", row.kind),
        ("Code", code or row.ordering_key),
        ("Says", documents.in_words(row.payload)),
        ("Tries", str(row.attempts)),
        ("Made", moments.both(row.created_at, now)),
        ("Due", moments.both(row.due_at, now) if row.settled_at is None else ""),
        ("Settled", moments.both(row.settled_at, now)),
        ("Last error", row.last_error),
    ]


@app.command()
def retry(
    delivery_ids: Annotated[
        list[int] | None, typer.Argument(metavar="ID...", min=1, max=2**31 - 1, help="Which ones.")
    ] = None,
    all_parked: Annotated[bool, typer.Option("--all-parked", help="Everything that is parked.")] = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Try deliveries again now, as if they were new; all of those named, or none."""
    from licsrv.audit import Cause
    from licsrv.cli import queries
    from licsrv.cli.workplace import open_workplace
    from licsrv.desk.deliveries import actions as decisions

    if bool(delivery_ids) == all_parked:
        raise typer.BadParameter("Name deliveries, or say --all-parked.")
    cause = Cause(staff.actor(staff_name))
    with open_workplace() as place:
        now = place.clock.now()
        with place.writing() as session:
            ids = queries.parked_ids(session) if all_parked else list(dict.fromkeys(delivery_ids or ()))
            retried = [row_id for row_id in ids if decisions.retry(session, row_id, cause=cause, now=now)]
    if as_json:
        terminal.show_document({"retried": retried})
    else:
        terminal.say(f"{len(retried)} of {len(ids)} will be tried again now." if ids else "Nothing is parked.")


@app.command()
def drop(
    delivery_id: DeliveryId, reason: KeptReason, yes: Yes = False, staff_name: Staff = None, as_json: AsJson = False
) -> None:
    """Give a delivery up for good: the marketplace is never told."""
    from licsrv.audit import Cause
    from licsrv.cli.workplace import open_workplace
    from licsrv.desk.deliveries import actions as decisions

    cause = Cause(staff.actor(staff_name), reason=reason)
    with open_workplace() as place:
        staff.confirm(f"Give delivery {delivery_id} up?", yes=yes)
        now = place.clock.now()
        with place.writing() as session:
            changed = decisions.drop(session, delivery_id, cause=cause, now=now)
    if as_json:
        terminal.show_document({"changed": changed, "id": delivery_id})
    else:
        terminal.say(f"Dropped {delivery_id}." if changed else f"{delivery_id} was dropped already. Nothing changed.")
