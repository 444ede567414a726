"""``licsrv devices``: the machines that hold the places of a license; give one back for a customer who cannot."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from licsrv.cli import license_actions, staff, terminal
from licsrv.cli.files import replaced
from licsrv.cli.options import AsJson, KeptReason, LicenseName, Staff, Yes
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import open_workplace
from licsrv.platform import moments
from licsrv.platform.paging import Window
from licsrv.platform.plurals import counted

if TYPE_CHECKING:
    from licsrv.desk.licenses.answers import CopiedDevice, CopyShown

app = typer.Typer(
    name="devices",
    help="Devices of a license: list, release, restore, release-unseen, bless, clock-reset, file.",
    no_args_is_help=True,
)

DeviceId: TypeAlias = Annotated[str, typer.Argument(metavar="DEVICE_ID", help="As `licsrv devices list` shows it.")]
_COPIES = (
    Column("Device"), Column("Copy"), Column("Name", flexible=True), Column("Network"), Column("Version"),
    Column("Last contact (UTC)"), Column("May work"),
)  # fmt: skip
_EVERY = 1_000_000
_HUGE = 150


@app.command("list")
def list_devices(code: LicenseName, as_json: AsJson = False) -> None:
    """List the devices of a license, those that gave their place back included."""
    from licsrv.cli import license_page
    from licsrv.desk import names
    from licsrv.desk.licenses import copies, page

    with open_workplace() as place, place.reading() as session:
        license = names.license_of(session, code)
        found = page.devices(session, license.id, Window(_EVERY)).items
        copied = copies.copied(session, license_id=license.id, limit=_EVERY)
        owner = {"license_id": license.id, "code": license.code}
    if as_json:
        terminal.show_document({**owner, "devices": found, "copied": copied})
        return
    columns = (*license_page.DEVICES, Column("Known by", flexible=True, from_width=_HUGE))
    terminal.show_table(columns, [[*license_page.device_row(one), ", ".join(one.known_parts)] for one in found])
    terminal.show_table(_COPIES, [_copy_row(one, copy) for one in copied for copy in one.copies], title="Copies")
    if not found:
        terminal.warn("No device has asked for this license yet.")


def _copy_row(one: CopiedDevice, copy: CopyShown) -> list[object]:
    seen = moments.short(copy.last_contact_at)
    return [one.device_id, copy.branch, copy.name, copy.network, copy.client_version, seen, "yes" * copy.is_blessed]


@app.command()
def bless(
    code: LicenseName,
    device_id: DeviceId,
    copy: Annotated[str, typer.Argument(metavar="COPY", help="As `licsrv devices list` shows it.")],
    reason: KeptReason,
    undo: Annotated[bool, typer.Option("--undo", help="Take it back.")] = False,
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Let one of the proven copies of a machine work; the others stop where the policy refuses copies."""
    given = {"device_id": device_id.strip(), "branch": copy.strip()}
    name = "unbless" if undo else "bless"
    license_actions.act(name, code, given, reason=reason, staff_name=staff_name, yes=yes, as_json=as_json)


@app.command()
def release(
    code: LicenseName,
    device_id: DeviceId,
    reason: KeptReason,
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Give a device's place back, as for a broken or lost machine; its next check-in reports that."""
    from licsrv.desk.licenses import page

    cause = staff.cause(staff_name, reason=reason)
    with open_workplace() as place:
        meant = license_actions.confirmed(
            place, "release_place", code, arguments={"device_id": device_id.strip()}, yes=yes
        )
        with place.writing() as session:
            done = meant(session, cause)
            device = page.device(session, device_id.strip())
    license = done.license
    if as_json:
        owner = {"license_id": license.id, "code": license.code, "places_taken": license.places_taken}
        terminal.show_document({**dict(done), **owner, "device_id": device.id, "released_at": device.released_at})
    elif done.changed:
        terminal.say(f"Released. {counted(license.places_taken, 'place')} of {license.code} taken now.")
    else:
        terminal.say(done.says.en)


@app.command()
def restore(
    code: LicenseName,
    device_id: Annotated[str, typer.Argument(metavar="DEVICE_ID", help="As `licsrv devices list` shows it.")],
    reason: KeptReason,
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Give a device the place back that was released, while there is room."""
    given = {"device_id": device_id.strip()}
    license_actions.act("restore_place", code, given, reason=reason, staff_name=staff_name, yes=yes, as_json=as_json)


@app.command("release-unseen")
def release_unseen(
    code: LicenseName, reason: KeptReason, yes: Yes = False, staff_name: Staff = None, as_json: AsJson = False
) -> None:
    """Give back the places of all devices that were not seen for as long as the policy says."""
    license_actions.act("release_unseen", code, {}, reason=reason, staff_name=staff_name, yes=yes, as_json=as_json)


@app.command("clock-reset")
def clock_reset(
    code: LicenseName,
    device_id: DeviceId,
    reason: KeptReason,
    out: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, help="Also write the file for a device without network.")
    ] = None,
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Reset what a device remembers of the time, after its clock was wrong for days."""
    from licsrv.desk.licenses import downloads

    cause, device_id = staff.cause(staff_name, reason=reason), device_id.strip()
    with replaced(out) if out is not None else nullcontext() as draft, open_workplace() as place:
        meant = license_actions.confirmed(place, "clock_reset", code, arguments={"device_id": device_id}, yes=yes)
        keyring, issuer, now = place.keys.read(), place.settings.issuer, place.clock.now()
        with place.writing() as session:
            done = meant(session, cause)
            if draft is not None:
                text = downloads.clock_reset(session, code, device_id, keyring=keyring, issuer=issuer, now=now)
                draft.write_text(text, encoding="ascii")  # a file that cannot be written resets nothing
    if as_json:
        terminal.show_document({**dict(done), "device_id": device_id, "file": str(out) if out is not None else None})
    else:
        terminal.say(f"Reset the clock of {device_id}." + (f" Wrote {out}." if out is not None else ""))


@app.command("file")
def make_file(
    code: LicenseName,
    device_id: DeviceId,
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="Where to; a file there is replaced.")],
    reason: KeptReason,
    fingerprint: Annotated[
        Path | None,
        typer.Option(
            "--fingerprint",
            exists=True,
            dir_okay=False,
            help="A file with the device's text, MAC|DISK|BOARD|CPU, for a device that never got a license.",
        ),
    ] = None,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Write a license file for a device that holds a place, for a customer who cannot fetch it."""
    from licsrv.app import license_terms
    from licsrv.desk.licenses import downloads

    cause, device_info = staff.cause(staff_name, reason=reason), _fingerprint(fingerprint)
    with replaced(out) as draft, open_workplace() as place:
        keyring, terms, now = place.keys.read(), license_terms(place.settings), place.clock.now()
        with place.writing() as session:
            issued = downloads.license_file(
                session, code, device_id.strip(), device_info=device_info, keyring=keyring, terms=terms, cause=cause,
                now=now,
            )  # fmt: skip
            content = issued.text.encode("utf-8")
            draft.write_bytes(content)  # a file that cannot be written is not recorded as issued
    if as_json:
        terminal.show_document({"file": str(out), "bytes": len(content), "issued_id": issued.issued_id})
    else:
        terminal.say(f"Wrote the license file of device {device_id.strip()} to {out} ({len(content)} bytes).")


def _fingerprint(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not UTF-8.") from error
