"""``licsrv desk``: what needs somebody now, as the console's first page shows it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from licsrv.cli import moments, terminal
from licsrv.cli.options import AsJson
from licsrv.cli.terminal import Column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from licsrv.cli.workplace import Workplace
    from licsrv.desk.today.board import BoardAnswer

_LICENSES = (Column("Code"), Column("Status", styled=True), Column("Customer", flexible=True), Column("Ends (UTC)"))
_REFUSED = (
    Column("License"),
    Column("Device", flexible=True),
    Column("Why"),
    Column("Times", number=True),
    Column("Last (UTC)"),
)
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
    """Show what needs somebody now; each list is cut after 50 rows. `licsrv doctor` looks at the clock, too."""
    from licsrv.cli.workplace import open_workplace

    with open_workplace() as place:
        board = _board(place)
    if as_json:
        terminal.show_document(board.model_dump(mode="json"))
    else:
        _show(board)


def _board(place: Workplace) -> BoardAnswer:
    from licsrv.desk.licenses.showing import View
    from licsrv.desk.today import board
    from licsrv.marketplace.open_api.guarded import key_pair_id

    settings = place.settings
    with place.reading() as session:
        return board.board(
            session,
            keyring=place.keys.read(),
            key_pair=key_pair_id(settings.marketplace_ak) if settings.marketplace_ak else "",
            clock_difference=None,  # only who has just asked the marketplace knows
            view=View(settings.device_limit, place.clock.now()),
            zone=settings.marketplace_timezone,
        )


def _show(board: BoardAnswer) -> None:
    shown = board.model_dump(mode="json")
    for alert in shown["alerts"]:
        terminal.say(f"{alert['area']}: {alert['says']['en']}")
    if not shown["alerts"]:
        terminal.say("Nothing alarming.")
    for title, columns, rows in (
        ("Ending within 30 days", _LICENSES, [_license(one) for one in shown["ending"]]),
        ("Frozen by the marketplace", _LICENSES, [_license(one) for one in shown["frozen"]]),
        ("Refused today", _REFUSED, [_refused(one) for one in shown["refused"]]),
        ("Deliveries that do not move", _DELIVERIES, [_delivery(one) for one in shown["outbox"]["still"]]),
        ("Callbacks that failed", _CALLBACKS, [_callback(one) for one in shown["callbacks"]]),
        ("Differences from the marketplace", _DIFFERENCES, [_difference(one) for one in shown["differences"]]),
    ):
        terminal.show_table(columns, rows, title=title)
    terminal.show_facts(_counts(shown))


def _counts(shown: Mapping[str, Any]) -> Sequence[tuple[str, object]]:
    outbox = shown["outbox"]
    open_differences = ", ".join(f"{count} {kind}" for kind, count in sorted(shown["open_differences"].items()))
    return [
        ("Outbox", f"{outbox['waiting']} wait, {outbox['parked']} parked"),
        ("Unsigned callbacks", f"{shown['unsigned_callbacks']} within a day"),
        ("Open differences", open_differences or "none"),
    ]


def _license(one: Mapping[str, Any]) -> list[object]:
    return [one["code"], one["status"], one["customer"], _moment(one["expires_at"]) or "never"]


def _refused(one: Mapping[str, Any]) -> list[object]:
    device = one["name"] or one["device_id"] or ""
    return [one["code"] or one["license_id"], device, one["why"], one["count"], _moment(one["last_at"])]


def _delivery(one: Mapping[str, Any]) -> list[object]:
    return [one["id"], one["kind"], one["code"] or one["license_id"], one["state"], one["attempts"], one["last_error"]]


def _callback(one: Mapping[str, Any]) -> list[object]:
    return [_moment(one["received_at"]), one["activity"], one["code"], one["result_code"], one["id"]]


def _difference(one: Mapping[str, Any]) -> list[object]:
    return [one["id"], one["code"], one["kind"], one["ours"], one["theirs"]]


def _moment(text: str | None) -> str:
    return moments.short(datetime.fromisoformat(text)) if text else ""
