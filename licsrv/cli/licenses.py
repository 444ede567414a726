"""``licsrv licenses``: look a code up, add one sold elsewhere, take one back and give it back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from licsrv.cli import license_actions, moments, staff, terminal
from licsrv.cli.options import AsJson, LicenseName, Limit, ShownReason, Staff, Yes, typed
from licsrv.cli.terminal import Column
from licsrv.platform import days
from licsrv.platform.days import Typed

if TYPE_CHECKING:
    from sqlmodel import Session

    from licsrv.audit import Cause
    from licsrv.cli.workplace import Workplace
    from licsrv.licensing.tables import License, Product

app = typer.Typer(
    name="licenses", help="Licenses: look up, add, revoke, reinstate, a grace, notes.", no_args_is_help=True
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


def _text(most: int, *, least: int = 0) -> Callable[[str | None], str | None]:
    """Return a callback that checks the length of a text and that it can be printed."""

    def check(value: str | None) -> str | None:
        if value is None:
            return None
        value = value.strip()
        if not least <= len(value) <= most or not value.isprintable():
            raise typer.BadParameter(f"At most {most} printable characters{', and not blank' if least else ''}.")
        return value

    return check


def _status(word: str | None) -> str | None:
    from licsrv.licensing.lifecycle import Status

    if word is not None and word.upper() not in list(Status):
        raise typer.BadParameter(f"One of {', '.join(Status)}.")
    return word.upper() if word is not None else None


@app.command("list")
def list_licenses(
    text: Annotated[str | None, typer.Argument(help="Beginning of a code, id, order or customer.")] = None,
    status: Annotated[
        str | None, typer.Option("--status", metavar="WORD", callback=_status, help="Only those that are, say, FROZEN.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List licenses, newest first."""
    from licsrv.cli import queries
    from licsrv.cli.workplace import open_workplace
    from licsrv.licensing import store
    from licsrv.licensing.lifecycle import Status

    with open_workplace() as place, place.reading() as session:
        now = place.clock.now()
        if status is None:
            found = list(store.find_licenses(session, text=text, limit=limit))
        else:
            found = queries.licenses_in(session, Status(status), text=text, limit=limit, now=now)
        documents = _documents(place, session, found, now)
    if as_json:
        terminal.show_document({"licenses": documents})
        return
    terminal.show_table(_COLUMNS, [_row(document) for document in documents])
    terminal.warn(_count(len(documents), limit))


def _documents(place: Workplace, session: Session, found: list[License], now: datetime) -> list[dict[str, Any]]:
    from licsrv.licensing import store

    products = {product.product_id: product for product in store.products(session)}
    return [_document(place, license, products.get(license.product_id), now) for license in found]


def _document(place: Workplace, license: License, product: Product | None, now: datetime) -> dict[str, Any]:
    from licsrv.cli import documents
    from licsrv.licensing.places import limit

    places = limit(license, product, default=place.settings.device_limit)
    return documents.license(license, places=places, now=now)


def _row(document: dict[str, Any]) -> list[object]:
    expires_at = document["expires_at"] or document["provisional_until"]
    return [
        document["code"],
        document["status"],
        f"{document['places_taken']}/{document['places']}",
        moments.short(datetime.fromisoformat(expires_at)) if expires_at else "never",
        document["product_id"],
        document["customer"],
        document["order_id"],
    ]


def _count(found: int, limit: int) -> str:
    if not found:
        return "No license was found."
    more = "; there may be more: raise --limit" if found == limit else ""
    return f"{found} license{'s' if found > 1 else ''}{more}."


@app.command()
def show(code: LicenseName, as_json: AsJson = False) -> None:
    """Show what a license is and may do now, and everything that is known of it."""
    from licsrv.cli import license_page
    from licsrv.cli.workplace import open_workplace

    with open_workplace() as place, place.reading() as session:
        page = license_page.gather(session, code, default_places=place.settings.device_limit, now=place.clock.now())
    if as_json:
        terminal.show_document(page.document())
    else:
        license_page.render(page)


@app.command()
def add(
    code: Annotated[str, typer.Argument(callback=_text(64, least=1), help="The code, as the customer will type it.")],
    product_id: Annotated[str, typer.Option("--product-id", callback=_text(128), help="The product it is for.")] = "",
    expires: Annotated[
        Typed | None,
        typer.Option("--expires", metavar="DAY", parser=typed,
                     help="Its last day, such as 2027-01-31, or RFC 3339; left out: never."),
    ] = None,
    devices: Annotated[int | None, typer.Option("--devices", min=1, max=1_000_000, help="Places it has.")] = None,
    amount: Annotated[int | None, typer.Option("--amount", min=1, max=1_000_000, help="Amount sold.")] = None,
    order: Annotated[str, typer.Option("--order", callback=_text(64), help="Your order number.")] = "",
    customer: Annotated[str, typer.Option("--customer", callback=_text(200), help="Who bought it.")] = "",
    test: Annotated[bool, typer.Option("--test", help="It is a test license, and says so.")] = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Add a license that was sold elsewhere; it can be used at once."""
    from dataclasses import replace

    from licsrv.audit import Cause
    from licsrv.cli.workplace import open_workplace
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
        document = _add(place, purchase, Cause(staff.actor(staff_name)))
    if as_json:
        terminal.show_document({"license": document})
        return
    ends = f"until {days.until(purchase.expires_at, zone)}" if purchase.expires_at else "without an end"
    terminal.say(f"Added {code}: {document['places']} place(s), {ends}.")


def _add(place: Workplace, purchase: Any, cause: Cause) -> dict[str, Any]:
    from sqlalchemy.exc import IntegrityError

    from licsrv.errors import ConflictError, InvalidRequestError, StorageError
    from licsrv.licensing import changes, store

    now = place.clock.now()
    if purchase.expires_at is not None and purchase.expires_at <= now:
        raise InvalidRequestError(f"{moments.full(purchase.expires_at)} has passed; a new license must end later.")
    try:
        with place.writing() as session:
            license = changes.add(session, purchase, cause=cause, now=now)
            return _document(place, license, store.product(session, purchase.product_id), now)
    except StorageError as error:
        if isinstance(error.__cause__, IntegrityError):  # somebody else added it at the same moment
            raise ConflictError("A license with this code exists already.") from error
        raise


@app.command()
def revoke(
    code: LicenseName, reason: ShownReason, yes: Yes = False, staff_name: Staff = None, as_json: AsJson = False
) -> None:
    """Take a license back: its devices are told at their next check-in, with the reason. `reinstate` undoes it."""
    document, changed = _decide("revoke", code, reason, staff_name, yes=yes)
    if as_json:
        terminal.show_document({"changed": changed, "license": document})
    elif changed:
        terminal.say(
            f"Revoked {document['code']}. Its {document['places_taken']} device(s) learn it at their next check-in; "
            "one that stays offline may go on until its lease ends."
        )
    else:
        revoked_at = moments.full(datetime.fromisoformat(document["revoked_at"]))
        terminal.say(
            f"{document['code']} was revoked already, {revoked_at} by {document['revoked_by']}: "
            f"“{document['revoked_reason']}”. Nothing was changed."
        )


@app.command()
def reinstate(
    code: LicenseName, reason: ShownReason, yes: Yes = False, staff_name: Staff = None, as_json: AsJson = False
) -> None:
    """Undo a revocation; the audit keeps both."""
    document, changed = _decide("reinstate", code, reason, staff_name, yes=yes)
    if as_json:
        terminal.show_document({"changed": changed, "license": document})
    elif changed:
        terminal.say(f"Reinstated {document['code']}. It is {document['status']}. {document['reason']}".rstrip())
    else:
        terminal.say(f"{document['code']} is not revoked (it is {document['status']}). Nothing was changed.")


def _decide(name: str, code: str, reason: str, staff_name: str | None, *, yes: bool) -> tuple[dict[str, Any], bool]:
    """Ask, then change one license; return it as it is afterwards, and whether anything was changed."""
    from licsrv.audit import Cause
    from licsrv.cli import queries
    from licsrv.cli.workplace import open_workplace
    from licsrv.licensing import store

    cause = Cause(staff.actor(staff_name), reason=reason)
    with open_workplace() as place:
        meant = license_actions.confirmed(place, name, code, {}, yes=yes)
        with place.writing() as session:
            done = meant(session, cause)
            license = queries.license_named(session, code)
            product = store.product(session, license.product_id)
            return _document(place, license, product, place.clock.now()), done.changed


for _action in (license_actions.grace, license_actions.maintenance, license_actions.note, license_actions.reissue):
    app.command()(_action)
