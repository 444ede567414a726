"""``licsrv outbox``: what still has to be reported to the marketplace, and what to do with what it refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import details, staff, terminal
from licsrv.cli.options import AsJson, KeptReason, Limit, Staff, Yes, word_of
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import Workplace, open_workplace
from licsrv.platform import moments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel import Session

    from licsrv.audit import Cause
    from licsrv.desk.deliveries.answers import Delivery

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
_AT_ONCE = 200

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
            callback=word_of("licsrv.outbox.rules:State"),
            help="WAITING, PARKED, DELIVERED or DROPPED; left out: all that are waiting or parked.",
        ),
    ] = None,
    code: Annotated[str | None, typer.Option("--code", help="Only those of this license.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List deliveries: by default what is not done yet, oldest first."""
    from licsrv.outbox import store

    with open_workplace() as place, place.reading() as session:
        found, depth, now = _found(session, state, code, limit=limit), store.depth(session), place.clock.now()
    if as_json:
        terminal.show_document(
            {"waiting": depth.waiting, "parked": depth.parked, "oldest_at": depth.oldest_at, "deliveries": found}
        )
        return
    terminal.show_table(_COLUMNS, [_row(one) for one in found])
    oldest = f", the oldest for {moments.span(now - depth.oldest_at)}" if depth.oldest_at else ""
    terminal.warn(f"{depth.waiting} waiting{oldest}; {depth.parked} parked.")


def _found(session: Session, state: str | None, code: str | None, limit: int) -> Sequence[Delivery]:
    from licsrv.desk import names
    from licsrv.desk.deliveries import answers
    from licsrv.outbox.rules import State

    states = answers.OPEN if state is None else (State(state),)
    license_id = names.license_of(session, code).id if code is not None else None
    return answers.oldest(session, states=states, license_id=license_id, limit=limit)


def _row(one: Delivery) -> list[object]:
    return [
        one.id,
        one.kind,
        one.code or one.license_id,
        one.state,
        one.attempts,
        moments.short(one.due_at),
        moments.short(one.created_at),
        one.last_error,
    ]


@app.command()
def show(delivery_id: DeliveryId, as_json: AsJson = False) -> None:
    """Show one delivery with its content and its last failure."""
    from licsrv.desk.deliveries import answers

    with open_workplace() as place, place.reading() as session:
        found, now = answers.delivery(session, delivery_id), place.clock.now()
    if as_json:
        terminal.show_document({"delivery": found})
        return
    terminal.show_heading(f"Delivery {found.id}", found.state)
    terminal.show_facts(_facts(found, now))


def _facts(one: Delivery, now: datetime) -> list[tuple[str, object]]:
    return [
        ("Kind", one.kind),
        ("Code", one.code or one.license_id),
        ("Says", details.in_words(one.payload)),
        ("Tries", str(one.attempts)),
        ("Made", moments.both(one.created_at, now)),
        ("Due", moments.both(one.due_at, now) if one.settled_at is None else ""),
        ("Settled", moments.both(one.settled_at, now)),
        ("Last error", one.last_error),
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
    """Try deliveries again now, as if they were new: all of those named or none, or everything that is parked."""
    if bool(delivery_ids) == all_parked:
        raise typer.BadParameter("Name deliveries, or say --all-parked.")
    cause = staff.cause(staff_name)
    with open_workplace() as place:
        tried = (
            _retry_parked(place, cause) if all_parked else _retry(place, list(dict.fromkeys(delivery_ids or ())), cause)
        )
    retried = [row_id for row_id, is_due in tried.items() if is_due]
    if as_json:
        terminal.show_document({"retried": retried})
    else:
        terminal.say(f"{len(retried)} of {len(tried)} will be tried again now." if tried else "Nothing is parked.")


def _retry(place: Workplace, ids: Sequence[int], cause: Cause) -> dict[int, bool]:
    """Make deliveries due in one transaction; return of each whether it is tried again now."""
    from licsrv.desk.deliveries import actions

    with place.writing() as session:
        return {row_id: actions.retry(session, row_id, cause=cause, now=place.clock.now()) for row_id in ids}


def _retry_parked(place: Workplace, cause: Cause) -> dict[int, bool]:
    """Make everything due that is parked, in short transactions: nothing else waits for a long list."""
    from licsrv.desk.deliveries import actions, store

    tried: dict[int, bool] = {}
    while True:
        with place.writing() as session:
            ids = store.parked_ids(session, after=max(tried, default=0), limit=_AT_ONCE)
            tried |= {row_id: actions.retry(session, row_id, cause=cause, now=place.clock.now()) for row_id in ids}
        if len(ids) < _AT_ONCE:
            return tried


@app.command()
def drop(
    delivery_id: DeliveryId, reason: KeptReason, yes: Yes = False, staff_name: Staff = None, as_json: AsJson = False
) -> None:
    """Give a delivery up: it is never sent to the marketplace."""
    from licsrv.desk.deliveries import actions
    from licsrv.desk.deliveries.answers import DecidedAnswer

    cause = staff.cause(staff_name, reason=reason)
    with open_workplace() as place:
        staff.confirm(f"Give delivery {delivery_id} up?", yes=yes)
        now = place.clock.now()
        with place.writing() as session:
            changed = actions.drop(session, delivery_id, cause=cause, now=now)
    if as_json:
        terminal.show_document(DecidedAnswer(id=delivery_id, changed=changed))
    else:
        terminal.say(f"Dropped {delivery_id}." if changed else f"{delivery_id} was already dropped. No change needed.")
