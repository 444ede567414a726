"""``licsrv products policy``: what a product says of places, repairs, moves and time, and what a change would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from licsrv.cli import staff, terminal
from licsrv.cli.options import AsJson, PossibleReason, Staff
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import Workplace, open_workplace
from licsrv.platform import strict_json

if TYPE_CHECKING:
    from licsrv.audit import Cause
    from licsrv.desk.products.policy_answers import PolicyPreview, PolicyShown, ValueShown
    from licsrv.licensing.policy_changes import Wanted

_LONGEST_FILE = 65_536
_VALUES = (Column("Value"), Column("Is"), Column("Said by"), Column("Meaning", flexible=True))
_CHANGES = (Column("Value"), Column("Before"), Column("After"), Column("Meaning", flexible=True))
_VERSIONS = (
    Column("Version", number=True), Column("At"), Column("By"), Column("Reason", flexible=True),
)  # fmt: skip
_DEVICES = (Column("License"), Column("Device"), Column("Name", flexible=True))

ProductId: TypeAlias = Annotated[str, typer.Argument(metavar="PRODUCT_ID", help="The product's id.")]
SetValues: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change a value; repeat it. `default`: as the settings say."),
]
PolicyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--file",
        exists=True,
        dir_okay=False,
        readable=True,
        help="Change what a JSON file names; null is as the settings say. --schema describes it.",
    ),
]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Say what would change for whom; change nothing.")]
Undo: TypeAlias = Annotated[bool, typer.Option("--undo", help="Go back to the version before, as a new version.")]
Schema: TypeAlias = Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a policy file.")]


def policy(
    product_id: ProductId, values: SetValues = None, file: PolicyFile = None, undo: Undo = False,
    dry_run: DryRun = False, schema: Schema = False, reason: PossibleReason = "", staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show the policy of a product, or change it. Devices get a change at their next check-in."""
    from licsrv.desk.products import policy_answers

    if schema:
        terminal.show_document(policy_answers.schema())
        return
    wanted = _wanted(values or [], file, undo=undo)
    if wanted is not None and not dry_run and not reason:
        raise typer.BadParameter("A change needs --reason TEXT; the version keeps it.")
    with open_workplace() as place:
        if wanted is None:
            _show(place, product_id, as_json=as_json)
        elif dry_run:
            _show_preview(place, product_id, wanted, as_json=as_json)
        else:
            cause = staff.cause(staff_name, reason=reason)
            _change(place, product_id, wanted, cause=cause, as_json=as_json)


def _wanted(values: list[str], file: Path | None, *, undo: bool) -> Wanted | None:
    from licsrv.licensing import policies
    from licsrv.licensing.policy_changes import Wanted

    if undo and (values or file):
        raise typer.BadParameter("--undo goes without --set and --file.")
    pairs = [text.partition("=") for text in values]
    if any(not equals or not name for name, equals, _ in pairs):
        raise typer.BadParameter("--set takes NAME=VALUE, such as --set moves.per_place=2.")
    if len({name for name, *_ in pairs}) < len(pairs):
        raise typer.BadParameter("--set names a value twice.")
    given = _read_file(file) if file is not None else {}
    given |= {name.strip(): policies.read_word(name.strip(), word) for name, _, word in pairs}
    return Wanted(given, undo=undo) if given or undo else None


def _read_file(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as opened:
            return strict_json.loads_object(opened.read(_LONGEST_FILE + 1), max_bytes=_LONGEST_FILE)
    except (OSError, strict_json.MalformedJsonError) as error:
        raise typer.BadParameter(f"--file: {error}") from error


def _show(place: Workplace, product_id: str, *, as_json: bool) -> None:
    from licsrv.desk.products import policy_answers

    with place.reading() as session:
        shown = policy_answers.policy(session, product_id, place.policies())
    if as_json:
        terminal.show_document(shown)
    else:
        _print(shown)


def _show_preview(place: Workplace, product_id: str, wanted: Wanted, *, as_json: bool) -> None:
    from licsrv.desk.products import policy_preview
    from licsrv.licensing import policy_changes

    with place.reading() as session:
        plan = policy_changes.plan(session, product_id, wanted, known=place.policies())
        preview = policy_preview.preview(session, plan, now=place.clock.now())
    if as_json:
        terminal.show_document(preview)
    else:
        _print_preview(preview)


def _change(place: Workplace, product_id: str, wanted: Wanted, *, cause: Cause, as_json: bool) -> None:
    from licsrv.desk.products import policy_answers
    from licsrv.desk.products.policy_answers import PolicyAnswer
    from licsrv.licensing import policy_changes

    known = place.policies()
    with place.writing() as session:
        plan = policy_changes.change(session, product_id, wanted, known=known, cause=cause, now=place.clock.now())
        shown = policy_answers.policy(session, product_id, known)
    if as_json:
        terminal.show_document(PolicyAnswer(changed=plan.changes, policy=shown))
    elif plan.changes:
        terminal.say(f"The policy of {product_id} is at version {shown.version}.")
        _print(shown)
    else:
        terminal.say("The policy says so already. No change needed.")


def _print(shown: PolicyShown) -> None:
    terminal.show_heading(f"{shown.product_name} ({shown.product_id})", f"version {shown.version}")
    if shown.is_damaged:
        terminal.warn("The stored policy is damaged, and devices get no new lease. Mend it by --undo.")
    terminal.show_table(_VALUES, [_row(value) for value in shown.values])
    rows = [(one.version, f"{one.at:%Y-%m-%d %H:%M}", one.actor, one.reason) for one in shown.versions]
    terminal.show_table(_VERSIONS, rows, title="Versions")


def _row(value: ValueShown) -> list[object]:
    return [value.name, _word(value), _said_by(value), value.says.en]


def _word(value: ValueShown) -> str:
    from licsrv.desk.products.policy_answers import word_of

    return word_of(value.value)


def _said_by(value: ValueShown) -> str:
    return "the product" if value.is_stated else value.setting or "built in"


def _print_preview(preview: PolicyPreview) -> None:
    if not preview.changes:
        terminal.say("The policy says so already. Nothing would change.")
        return
    terminal.say(f"Licenses: {preview.licenses}. Devices in use: {preview.devices}.")
    rows = [(one.name, _word(one.before), _word(one.after), one.after.says.en) for one in preview.changes]
    terminal.show_table(_CHANGES, rows)
    for effect in preview.effects:
        terminal.say(effect.says.en)
        terminal.show_table(_DEVICES, [(one.code, one.device_id, one.name) for one in effect.devices])
    if not preview.effects:
        terminal.say("No device loses anything.")
