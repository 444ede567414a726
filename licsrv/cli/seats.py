"""``licsrv seats``: who holds the seats of a floating license, and who waits; free one for a customer who cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import license_actions, terminal
from licsrv.cli.options import AsJson, KeptReason, LicenseName, Staff, Yes
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import open_workplace
from licsrv.platform import moments

if TYPE_CHECKING:
    from licsrv.desk.licenses.seats import SeatsShown

app = typer.Typer(name="seats", help="Seats of a floating license: list, free.", no_args_is_help=True)

_SEATS = (
    Column("Seat"),
    Column("Device", flexible=True),
    Column("Since (UTC)"),
    Column("Until (UTC)"),
    Column("", styled=True),
)
_LINE = (Column("In line", number=True), Column("Device", flexible=True), Column("Since (UTC)"))


@app.command("list")
def list_seats(code: LicenseName, as_json: AsJson = False) -> None:
    """List the seats that programs hold, and the programs that wait for one."""
    from licsrv.desk import names
    from licsrv.desk.licenses import seats

    with open_workplace() as place, place.reading() as session:
        license = names.license_of(session, code)
        found = seats.of_license(session, license, place.policies(), now=place.clock.now())
        owner = {"license_id": license.id, "code": license.code}
    if as_json:
        terminal.show_document({**owner, "seats": found})
    elif found is None:
        terminal.warn(f"The places of {license.code} are fixed: see `licsrv devices list {license.code}`.")
    else:
        render(found)


def render(found: SeatsShown) -> None:
    """Print the seats of a license for people."""
    terminal.say(f"{found.taken} of {found.seats} seats in use{_overdraft(found)}.")
    rows = [
        [one.id, one.name or one.device_id, moments.short(one.since), moments.short(one.until),
         "borrowed" if one.borrowed else ""]
        for one in found.held
    ]  # fmt: skip
    terminal.show_table(_SEATS, rows, title="Seats")
    line = [[one.position, one.name or one.device_id, moments.short(one.since)] for one in found.line]
    terminal.show_table(_LINE, line, title="Waiting for a seat")


def _overdraft(found: SeatsShown) -> str:
    return f", {found.most} are given" if found.most > found.seats else ""


@app.command()
def free(
    code: LicenseName,
    seat_id: Annotated[str, typer.Argument(metavar="SEAT_ID", help="As `licsrv seats list` shows it.")],
    reason: KeptReason,
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Free a seat, as of a program that hangs; a borrowed one goes on to work offline until its end."""
    given = {"seat_id": seat_id.strip()}
    license_actions.act("free_seat", code, given, reason=reason, staff_name=staff_name, yes=yes, as_json=as_json)
