"""``licsrv licenses grace``, ``maintenance``, ``note``, ``reissue``: the staff actions of the console."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Annotated, Any

import typer

from licsrv.cli import staff, terminal
from licsrv.cli.options import AsJson, KeptReason, LicenseName, Staff, Yes
from licsrv.cli.workplace import Workplace, open_workplace
from licsrv.platform import days
from licsrv.platform.days import Typed
from licsrv.platform.text_limits import LONGEST_NOTE

if TYPE_CHECKING:
    from sqlmodel import Session

    from licsrv.audit import Cause
    from licsrv.desk.licenses.actions.answers import ActionAnswer, TermsRequest

_NEVER = "none"


def _until(text: str) -> str:
    if text.strip().lower() != _NEVER:
        try:
            days.read(text)
        except ValueError as error:
            raise typer.BadParameter(f"{error} `{_NEVER}` removes it.") from error
    return text.strip()


Until = Annotated[
    str,
    typer.Option(
        "--until", metavar="DAY", callback=_until,
        help="The last day, such as 2027-01-31, or RFC 3339; `none` removes it.",
    ),
]  # fmt: skip


def grace(
    code: LicenseName, until: Until, reason: KeptReason, yes: Yes = False, staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Let a license be used after its end, at most 90 days from now; a freeze still counts."""
    act("extend_grace", code, {"until": until}, reason=reason, staff_name=staff_name, yes=yes, as_json=as_json)


def maintenance(
    code: LicenseName, until: Until, reason: KeptReason, yes: Yes = False, staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Set the last publication date that a license covers; `--until none` leaves it to its product."""
    act("set_maintenance", code, {"until": until}, reason=reason, staff_name=staff_name, yes=yes, as_json=as_json)


def note(
    code: LicenseName,
    text: Annotated[str, typer.Argument(help=f"The note; at most {LONGEST_NOTE} characters.")],
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Add a note to a license's timeline; the license stays as it is."""
    if len(text) > LONGEST_NOTE:
        raise typer.BadParameter(f"At most {LONGEST_NOTE} characters.")
    act("add_note", code, {"text": text}, reason="", staff_name=staff_name, yes=True, as_json=as_json)


def reissue(
    code: LicenseName,
    reason: KeptReason,
    device: Annotated[str | None, typer.Option("--device", metavar="ID", help="Only for this device.")] = None,
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Reissue a license: the copies on its devices go onto the revocation list, and the devices ask for new ones."""
    act("reissue", code, {"device_id": device}, reason=reason, staff_name=staff_name, yes=yes, as_json=as_json)


def _end(text: str, zone: tzinfo) -> datetime | None:
    return None if text.lower() == _NEVER else days.read(text).end(zone)


def _read(arguments: Mapping[str, Any], zone: tzinfo) -> dict[str, Any]:
    """Return what an action is given as its request has it: a typed day becomes its end in a zone."""
    read = {name: value.end(zone) if isinstance(value, Typed) else value for name, value in arguments.items()}
    if isinstance(until := read.get("until"), str):
        read["until"] = _end(until, zone)
    if isinstance(terms := read.get("terms"), dict):
        read["terms"] = read_terms(json.dumps({name: _plain(value, zone) for name, value in terms.items()}))
    return read


def _plain(value: object, zone: tzinfo) -> object:
    if isinstance(value, list):
        from licsrv.licensing import entitlements

        return [entitlements.canonical(text, zone) for text in value]
    return value.end(zone).isoformat() if isinstance(value, Typed) else value


def read_terms(text: str) -> TermsRequest:
    """Return terms from the JSON of them that the API takes.

    Raises:
        InvalidRequestError: They are none.
    """
    from licsrv.desk.licenses.actions.answers import TermsRequest
    from licsrv.platform.openapi import parse_model

    return parse_model(TermsRequest, text.encode("utf-8", "surrogatepass"))


def confirmed(
    place: Workplace, name: str, code: str, arguments: Mapping[str, Any], *, yes: bool
) -> Callable[[Session, Cause], ActionAnswer]:
    """Say what an action will change and ask; return what does it, to the license as it was read and no other."""
    from licsrv.desk.licenses.actions import ACTIONS, service
    from licsrv.desk.licenses.actions.answers import ActionRequest

    arguments = _read(arguments, place.settings.day_zone)
    action, view = ACTIONS[name], place.view()
    request = ActionRequest.model_construct(
        **{"device_id": None, "branch": None, "until": None, "text": None, "terms": None, "state": None, **arguments}
    )
    with place.reading() as session:
        preview = service.preview(session, code, action, request=request, view=view)
    staff.confirm(f"{terminal.printable(preview.says.en)} Do it?", yes=yes)
    request = request.model_copy(update={"state": preview.state})
    return lambda session, cause: service.do(session, code, action, request=request, cause=cause, view=view)


def carried_out(
    name: str, code: str, arguments: Mapping[str, Any], reason: str, staff_name: str | None, *, yes: bool
) -> ActionAnswer:
    """Say what an action will change, ask, and do it through the use case that the console goes through."""
    cause = staff.cause(staff_name, reason=reason)
    with open_workplace() as place:
        meant = confirmed(place, name, code, arguments=arguments, yes=yes)
        with place.writing() as session:
            return meant(session, cause)


def act(
    name: str, code: str, arguments: Mapping[str, Any], reason: str, staff_name: str | None, *, yes: bool, as_json: bool
) -> None:
    """Do what :func:`carried_out` does, and print what was done."""
    done = carried_out(name, code, arguments, reason=reason, staff_name=staff_name, yes=yes)
    if as_json:
        terminal.show_document(done)
        return
    terminal.say(done.says.en)
    terminal.say(done.license.says.en)
