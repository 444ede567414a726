"""``licsrv licenses``: look a code up, add one sold elsewhere, take one back and give it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import license_actions, license_terms, staff, terminal
from licsrv.cli.options import AsJson, LicenseName, Limit, ShownReason, Staff, Yes, short_text, typed, word_of
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import Workplace, open_workplace
from licsrv.errors import ConflictError, InvalidRequestError, StorageError
from licsrv.platform import days, moments
from licsrv.platform.days import Typed
from licsrv.platform.plurals import counted

if TYPE_CHECKING:
    from licsrv.audit import Cause
    from licsrv.desk.licenses.answers import LicenseFactsShown
    from licsrv.licensing.changes import Purchase

app = typer.Typer(
    name="licenses",
    help="Licenses: look up, add, extend, change, revoke, reinstate, a grace, notes.",
    no_args_is_help=True,
)

_COLUMNS = (
    Column("Code"),
    Column("Status", styled=True),
    Column("Places", number=True),
    Column("Expires (UTC)"),
    Column("Product"),
    Column("Customer", flexible=True, from_width=terminal.WIDE),
    Column("Order", from_width=terminal.WIDE),
)


@app.command("list")
def list_licenses(
    text: Annotated[str | None, typer.Argument(help="Beginning of a code, id, order or customer.")] = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="WORD",
            callback=word_of("licsrv.licensing.lifecycle:Status"),
            help="Only those that are, say, FROZEN.",
        ),
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List licenses, newest first."""
    from licsrv.desk.licenses import page
    from licsrv.licensing.lifecycle import Status

    with open_workplace() as place, place.reading() as session:
        only = Status(status) if status is not None else None
        found = page.listed(session, text=text, status=only, limit=limit, view=place.view())
    if as_json:
        terminal.show_document({"licenses": found})
        return
    terminal.show_table(_COLUMNS, [_row(license) for license in found])
    terminal.warn(_count(len(found), limit))


def _row(license: LicenseFactsShown) -> list[object]:
    return [
        license.code,
        license.status,
        f"{license.places_taken}/{license.places}",
        moments.short(license.expires_at or license.provisional_until) or "never",
        license.product_id,
        license.customer,
        license.order_id,
    ]


def _count(found: int, limit: int) -> str:
    if not found:
        return "No license was found."
    more = "; there may be more: raise --limit" if found == limit else ""
    return f"{counted(found, 'license')}{more}."


@app.command()
def show(code: LicenseName, as_json: AsJson = False) -> None:
    """Show a license: its status, what it may do now, its devices and its history."""
    from licsrv.cli import license_page
    from licsrv.desk.licenses import page
    from licsrv.desk.licenses.actions import service

    with open_workplace() as place, place.reading() as session:
        view = place.view()
        found = page.dossier(session, code, view=view, offered=service.offered)
    if as_json:
        terminal.show_document(found)
    else:
        license_page.render(found, view.now)


@app.command()
def add(
    code: Annotated[str, typer.Argument(callback=short_text(64, least=1), help="The code, as customers will type it.")],
    product_id: Annotated[str, typer.Option("--product-id", callback=short_text(128), help="Its product.")] = "",
    expires: Annotated[
        Typed | None,
        typer.Option("--expires", metavar="DAY", parser=typed,
                     help="Its last day, such as 2027-01-31, or RFC 3339; left out: never."),
    ] = None,
    devices: Annotated[int | None, typer.Option("--devices", min=1, max=1_000_000, help="Places it has.")] = None,
    amount: Annotated[int | None, typer.Option("--amount", min=1, max=1_000_000, help="Amount sold.")] = None,
    order: Annotated[str, typer.Option("--order", callback=short_text(64), help="Your order number.")] = "",
    customer: Annotated[str, typer.Option("--customer", callback=short_text(200), help="Who bought it.")] = "",
    test: Annotated[bool, typer.Option("--test", help="Mark it as a test license.")] = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Add a license that was sold elsewhere; it can be used at once."""
    from dataclasses import replace

    from licsrv.licensing.changes import Purchase
    from licsrv.licensing.origins import MANUAL

    purchase = Purchase(
        code=code,
        source=MANUAL,
        product_id=product_id,
        order_id=order,
        customer=customer,
        amount=amount,
        device_limit=devices,
        is_test=test,
    )
    with open_workplace() as place:
        zone = place.settings.day_zone
        purchase = replace(purchase, expires_at=expires.end(zone) if expires else None)
        license = _add(place, purchase, staff.cause(staff_name))
    if as_json:
        terminal.show_document({"license": license})
        return
    ends = f"until {days.until(license.expires_at, zone)}" if license.expires_at else "without an end"
    terminal.say(f"Added {code}: {counted(license.places, 'seat' if license.floating else 'place')}, {ends}.")


def _add(place: Workplace, purchase: Purchase, cause: Cause) -> LicenseFactsShown:
    from sqlalchemy.exc import IntegrityError

    from licsrv.desk.licenses import showing
    from licsrv.licensing import changes

    now = place.clock.now()
    if purchase.expires_at is not None and purchase.expires_at <= now:
        raise InvalidRequestError(f"{moments.full(purchase.expires_at)} has passed; a new license must end later.")
    try:
        with place.writing() as session:
            license = changes.add(session, purchase, cause=cause, now=now)
            return showing.all_facts(session, [license], place.view())[0]
    except StorageError as error:
        if isinstance(error.__cause__, IntegrityError):  # another process added it at the same moment
            raise ConflictError("A license with this code exists already.") from error
        raise


@app.command()
def revoke(
    code: LicenseName, reason: ShownReason, yes: Yes = False, staff_name: Staff = None, as_json: AsJson = False
) -> None:
    """Revoke a license: its devices get the reason at their next check-in. `reinstate` undoes it."""
    done = license_actions.carried_out("revoke", code, {}, reason=reason, staff_name=staff_name, yes=yes)
    license = done.license
    if as_json:
        terminal.show_document(done)
    elif done.changed:
        learn = "learns" if license.places_taken == 1 else "learn"
        terminal.say(
            f"Revoked {license.code}. {counted(license.places_taken, 'device')} {learn} it at the next check-in; "
            "one that stays offline may go on until its lease ends."
        )
    else:
        terminal.say(
            f"{license.code} was already revoked, {moments.full(license.revoked_at)} by {license.revoked_by}: "
            f"“{license.revoked_reason}”. No change needed."
        )


@app.command()
def reinstate(
    code: LicenseName, reason: ShownReason, yes: Yes = False, staff_name: Staff = None, as_json: AsJson = False
) -> None:
    """Undo a revocation; the audit keeps both."""
    done = license_actions.carried_out("reinstate", code, {}, reason=reason, staff_name=staff_name, yes=yes)
    license = done.license
    if as_json:
        terminal.show_document(done)
    elif done.changed:
        terminal.say(f"Reinstated {license.code}. It is {license.status}. {license.reason}".rstrip())
    else:
        terminal.say(f"{license.code} is not revoked (it is {license.status}). No change needed.")


app.command("set")(license_terms.set_terms)
app.command()(license_terms.extend)
for _action in (license_actions.grace, license_actions.maintenance, license_actions.note, license_actions.reissue):
    app.command()(_action)
