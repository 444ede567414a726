"""``licsrv desk``: what needs attention now, as the console's first page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from licsrv.cli import terminal
from licsrv.cli.options import AsJson
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import Workplace, open_workplace
from licsrv.platform import moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from licsrv.desk.callbacks.answers import Callback
    from licsrv.desk.deliveries.answers import Delivery
    from licsrv.desk.licenses.answers import LicenseLine
    from licsrv.desk.reconciliation.answers import DifferenceShown
    from licsrv.desk.today.answers import BoardAnswer, CopiedShown, RefusedShown

_LICENSES = (Column("Code"), Column("Status", styled=True), Column("Customer", flexible=True), Column("Ends (UTC)"))
_REFUSED = (
    Column("License"),
    Column("Device", flexible=True),
    Column("Why"),
    Column("Times", number=True),
    Column("Last (UTC)"),
)
_COPIED = (Column("Code"), Column("Device"), Column("Name", flexible=True), Column("Found (UTC)"))
_DELIVERIES = (
    Column("Id", number=True),
    Column("Kind"),
    Column("Code"),
    Column("State", styled=True),
    Column("Tries", number=True),
    Column("Last error", flexible=True),
)
_CALLBACKS = (Column("Received (UTC)"), Column("Activity"), Column("Code"), Column("Result"), Column("Id"))
_DIFFERENCES = (
    Column("Id"),
    Column("Code"),
    Column("Kind"),
    Column("Here", flexible=True),
    Column("Marketplace", flexible=True),
)


def desk(as_json: AsJson = False) -> None:
    """Show what needs attention now; each list is cut after 50 rows. `licsrv doctor` checks the clock as well."""
    with open_workplace() as place:
        board = _board(place)
    if as_json:
        terminal.show_document(board)
    else:
        _show(board)


def _board(place: Workplace) -> BoardAnswer:
    from licsrv.desk.today import answers
    from licsrv.marketplace.open_api.guarded import key_pair_id

    settings = place.settings
    with place.reading() as session:
        return answers.board(
            session,
            keyring=place.keys.read(),
            key_pair=key_pair_id(settings.marketplace_ak) if settings.marketplace_ak else "",
            clock_difference=None,  # known only to a process that has just asked the marketplace
            view=place.view(),
            zone=settings.marketplace_timezone,
        )


def _show(board: BoardAnswer) -> None:
    for alert in board.alerts:
        terminal.say(f"{alert.area}: {alert.says.en}")
    if not board.alerts:
        terminal.say("No alerts.")
    for title, columns, rows in (
        ("Ending within 30 days", _LICENSES, [_license(one) for one in board.ending]),
        ("Frozen by the marketplace", _LICENSES, [_license(one) for one in board.frozen]),
        ("More in use than bought", _LICENSES, [_license(one) for one in board.overfull]),
        ("Machines in use in two copies", _COPIED, [_copied(one) for one in board.copied]),
        ("Refused today", _REFUSED, [_refused(one) for one in board.refused]),
        ("Deliveries that do not move", _DELIVERIES, [_delivery(one) for one in board.outbox.still]),
        ("Callbacks that failed", _CALLBACKS, [_callback(one) for one in board.callbacks]),
        ("Differences from the marketplace", _DIFFERENCES, [_difference(one) for one in board.differences]),
    ):
        terminal.show_table(columns, rows, title=title)
    terminal.show_facts(_counts(board))


def _counts(board: BoardAnswer) -> Sequence[tuple[str, object]]:
    open_differences = ", ".join(f"{count} {kind}" for kind, count in sorted(board.open_differences.items()))
    return [
        ("Outbox", f"{board.outbox.waiting} waiting, {board.outbox.parked} parked"),
        ("Unsigned callbacks", f"{board.unsigned_callbacks} within a day"),
        ("Open differences", open_differences or "none"),
    ]


def _license(one: LicenseLine) -> list[object]:
    return [one.code, one.status, one.customer, moments.short(one.expires_at) or "never"]


def _copied(one: CopiedShown) -> list[object]:
    return [one.code or one.license_id, one.device_id, one.name, moments.short(one.proven_at)]


def _refused(one: RefusedShown) -> list[object]:
    device = one.name or one.device_id or ""
    return [one.code or one.license_id, device, one.why, one.count, moments.short(one.last_at)]


def _delivery(one: Delivery) -> list[object]:
    return [one.id, one.kind, one.code or one.license_id, one.state, one.attempts, one.last_error]


def _callback(one: Callback) -> list[object]:
    return [moments.short(one.received_at), one.activity, one.code, one.result_code, one.id]


def _difference(one: DifferenceShown) -> list[object]:
    return [one.id, one.code, one.kind, one.ours, one.theirs]
