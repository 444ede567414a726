"""``licsrv releases``: publish versions of the software, roll them out, withdraw them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from licsrv.cli import staff, terminal
from licsrv.cli.options import AsJson, KeptReason, Limit, PossibleReason, Staff, Yes, typed
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import open_workplace
from licsrv.platform.days import Typed

if TYPE_CHECKING:
    from sqlmodel import Session

    from licsrv.audit import Cause
    from licsrv.desk.releases.answers import ChangedReleases, ReleaseShown
    from licsrv.releases.changes import Changes, Which

app = typer.Typer(name="releases", help="Published versions: publish, roll out, withdraw.", no_args_is_help=True)

_CHUNK = 1024 * 1024
_COLUMNS = (
    Column("Product", flexible=True),
    Column("Version"),
    Column("Channel"),
    Column("Platform"),
    Column("State"),
    Column("Roll-out", number=True),
    Column("Must below", from_width=terminal.WIDE),
    Column("Published (UTC)"),
    Column("URL", flexible=True, from_width=terminal.VERY_WIDE),
)


class Numbering(StrEnum):
    """How a product numbers its versions, as the command line spells it."""

    PEP440 = "pep440"
    SEMVER = "semver"


_Product: TypeAlias = Annotated[str, typer.Argument(metavar="PRODUCT", help="The product's id, or its name.")]
_Version: TypeAlias = Annotated[str, typer.Argument(metavar="VERSION", help="The version, as it was published.")]
_OnChannel: TypeAlias = Annotated[str | None, typer.Option("--channel", help="On this channel only.")]
_OnPlatform: TypeAlias = Annotated[str | None, typer.Option("--platform", help="For this platform only.")]


@app.command("list")
def list_releases(
    product: Annotated[
        str | None, typer.Argument(metavar="[PRODUCT]", help="Of this product only: id or name.")
    ] = None,
    channel: _OnChannel = None,
    platform: _OnPlatform = None,
    offered: Annotated[bool, typer.Option("--offered", help="Leave out what is withdrawn.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List published versions, the latest publication first."""
    from licsrv.desk.releases import answers
    from licsrv.releases import changes, store

    with open_workplace() as place, place.reading() as session:
        product_id = changes.product_meant(session, product) if product is not None else None
        rows = store.releases(
            session, product_id=product_id, channel=channel, platform=platform, withdrawn=not offered, limit=limit
        )
        now = place.clock.now()
        found = [answers.shown(row, now) for row in rows]
    if as_json:
        terminal.show_document({"releases": found})
        return
    terminal.show_table(_COLUMNS, [_line(one) for one in found])
    if not found:
        terminal.warn("Nothing was published there: `licsrv releases publish PRODUCT VERSION`.")


@app.command("publish")
def publish(
    product: _Product,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The new version.")],
    platform: Annotated[str, typer.Option("--platform", help="What it runs on, as clients say it: windows-x86_64.")],
    url: Annotated[str, typer.Option("--url", help="Where clients download it; https only.")],
    channel: Annotated[str, typer.Option("--channel", help="Who it is for, as clients say it.")] = "stable",
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", exists=True, dir_okay=False, help="The file itself: size and SHA-256 are taken from it."
        ),
    ] = None,
    size: Annotated[int | None, typer.Option("--size", min=1, help="Bytes of the file, without --file.")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="SHA-256 of the file, without --file.")] = None,
    minimum_version: Annotated[
        str | None, typer.Option("--minimum-version", help="Clients below it must upgrade; else they may.")
    ] = None,
    percent: Annotated[
        int, typer.Option("--percent", min=0, max=100, help="Share of devices that is offered it.")
    ] = 100,
    notes_zh: Annotated[str, typer.Option("--notes-zh", help="What is new, in Chinese; @FILE reads a file.")] = "",
    notes_en: Annotated[str, typer.Option("--notes-en", help="What is new, in English; @FILE reads a file.")] = "",
    published_at: Annotated[
        Typed | None,
        typer.Option(
            "--published-at",
            metavar="DAY",
            parser=typed,
            help="Its publication date if not now: a day such as 2027-01-31, or RFC 3339; one to come is waited for.",
        ),
    ] = None,
    reason: PossibleReason = "",
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Publish a version for a channel and a platform; its number and file never change afterwards."""
    from licsrv.releases.publication import Publication

    size, sha256 = _measured(file, size, sha256)
    publication = Publication(
        product, version, channel, platform=platform, url=url, size=size, sha256=sha256.lower(),
        minimum_version=minimum_version, rollout_percent=percent,
        notes_zh=_notes(notes_zh), notes_en=_notes(notes_en),
    )  # fmt: skip
    _publish(publication, published_at, staff.cause(staff_name, reason=reason), as_json=as_json)


def _publish(publication: Any, published_at: Typed | None, cause: Cause, *, as_json: bool) -> None:
    from dataclasses import replace

    from licsrv.desk.releases import answers
    from licsrv.desk.releases.answers import PublishedAnswer
    from licsrv.licensing import store as licensing
    from licsrv.releases import changes

    with open_workplace() as place, place.writing() as session:
        product_id, now = changes.product_meant(session, publication.product_id), place.clock.now()
        is_described = licensing.product(session, product_id) is not None
        begins_at = published_at.begin(place.settings.day_zone) if published_at is not None else None
        publication = replace(publication, product_id=product_id, published_at=begins_at)
        release = answers.shown(changes.publish(session, publication, cause=cause, now=now), now)
    if as_json:
        terminal.show_document(PublishedAnswer(release=release, is_described=is_described))
    else:
        terminal.say(_published(release))
    if not is_described:
        terminal.warn(f"No product {product_id} is described: clients find the version by this very id only.")


def _published(release: ReleaseShown) -> str:
    from licsrv.platform import moments

    share = release.rollout_percent
    whom = "everyone" if share == 100 else f"{share} % of the devices"
    what = f"{release.product_id} {release.version} for {release.channel}, {release.platform}"
    when = f" from {moments.rfc3339(release.published_at)} on" if release.state == "scheduled" else ""
    return f"Published {what}; offered to {whom}{when}."


@app.command("rollout")
def roll_out(
    product: _Product,
    version: _Version,
    percent: Annotated[int, typer.Option("--percent", min=0, max=100, help="0 holds it back, 100 is everyone.")],
    channel: _OnChannel = None,
    platform: _OnPlatform = None,
    reason: PossibleReason = "",
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Offer a version to another share of the devices; a growing share keeps the devices that it has."""
    from licsrv.desk.releases import answers
    from licsrv.desk.releases.answers import ChangedReleases
    from licsrv.releases import changes

    with open_workplace() as place, place.writing() as session:
        which, now = _which(session, product, version, channel=channel, platform=platform), place.clock.now()
        cause = staff.cause(staff_name, reason=reason)
        rows = changes.roll_out(session, which, percent, cause=cause, now=now)
        changed = ChangedReleases(releases=[answers.shown(row, now) for row in rows])
    _show_changed(changed, f"now offered to {percent} % of the devices", as_json=as_json)


@app.command("withdraw")
def withdraw(
    product: _Product,
    version: _Version,
    reason: KeptReason,
    channel: _OnChannel = None,
    platform: _OnPlatform = None,
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Stop offering a version; older ones are offered again, and devices that have it keep it until a newer one."""
    from licsrv.desk.releases import answers
    from licsrv.desk.releases.answers import ChangedReleases
    from licsrv.releases import changes

    where = f"from {channel or 'every channel'}, {platform or 'every platform'}"
    staff.confirm(f"Withdraw {product} {version} {where}? Its number cannot be used again there.", yes=yes)
    with open_workplace() as place, place.writing() as session:
        which, now = _which(session, product, version, channel=channel, platform=platform), place.clock.now()
        cause = staff.cause(staff_name, reason=reason)
        rows = changes.withdraw(session, which, cause=cause, now=now)
        changed = ChangedReleases(releases=[answers.shown(row, now) for row in rows])
    _show_changed(changed, "withdrawn", as_json=as_json)


def _show_changed(changed: ChangedReleases, what: str, *, as_json: bool) -> None:
    if as_json:
        terminal.show_document(changed)
        return
    for one in changed.releases:
        terminal.say(f"{one.product_id} {one.version} {one.channel} {one.platform}: {what}.")
    if not changed.releases:
        terminal.say("No change needed.")


@app.command("rules")
def show_or_set_rules(
    product: _Product,
    numbering: Annotated[
        Numbering | None, typer.Option("--versions", help="How the product numbers its versions (pep440 at first).")
    ] = None,
    maintenance_months: Annotated[
        int | None,
        typer.Option(
            "--maintenance-months",
            min=1,
            max=1200,
            help="Licenses get versions published within this time after activation.",
        ),
    ] = None,
    no_maintenance_months: Annotated[
        bool, typer.Option("--no-maintenance-months", help="Licenses get new versions as long as they last.")
    ] = False,
    reason: PossibleReason = "",
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Show how a product numbers its versions and who gets new ones; with options, set it."""
    if maintenance_months and no_maintenance_months:
        raise typer.BadParameter("An option and its --no- form exclude each other.")
    months = 0 if no_maintenance_months else maintenance_months
    if numbering is None and months is None:
        _show_rules(product, as_json=as_json)
    else:
        _set_rules(product, numbering, months, cause=staff.cause(staff_name, reason=reason), as_json=as_json)


def _show_rules(product: str, *, as_json: bool) -> None:
    from licsrv.desk.releases import answers
    from licsrv.releases import changes

    with open_workplace() as place, place.reading() as session:
        rules = answers.rules_of(session, changes.product_meant(session, product))
    if as_json:
        terminal.show_document({"rules": rules})
        return
    months = rules.maintenance_months
    terminal.show_facts(
        [
            ("Product", rules.product_id),
            ("Versions", rules.version_scheme),
            ("Maintenance", f"{months} months from activation" if months else "as long as the license lasts"),
        ]
    )


def _set_rules(product: str, numbering: Numbering | None, months: int | None, cause: Cause, *, as_json: bool) -> None:
    from licsrv.desk.releases import answers
    from licsrv.releases import changes
    from licsrv.releases.changes import ProductRules
    from licsrv.releases.versions import Scheme

    wanted = ProductRules(Scheme(numbering) if numbering is not None else None, months)
    with open_workplace() as place, place.writing() as session:
        product_id, now = changes.product_meant(session, product), place.clock.now()
        row, changed = changes.set_rules(session, product_id, wanted, cause=cause, now=now)
        rules = answers.rules_shown(row)
    if as_json:
        terminal.show_document({"changed": bool(changed), "changes": changed, "rules": rules})
    elif not changed:
        terminal.say(f"The rules of {product_id} are already so. No change needed.")
    else:
        terminal.say(f"The rules of {product_id} are set:")
        terminal.show_facts(_facts(changed))


def _facts(changed: Changes) -> list[tuple[str, object]]:
    return [
        (member, f"{change['before'] or 'none'} -> {change['after'] or 'none'}") for member, change in changed.items()
    ]


def _which(session: Session, product: str, version: str, channel: str | None, platform: str | None) -> Which:
    from licsrv.releases import changes
    from licsrv.releases.changes import Which

    return Which(changes.product_meant(session, product), version, channel, platform=platform)


def _measured(file: Path | None, size: int | None, sha256: str | None) -> tuple[int, str]:
    """Return size and SHA-256, from the file or as they were given."""
    import hashlib

    if file is None:
        if size is None or sha256 is None:
            raise typer.BadParameter("Give --file, or --size and --sha256.")
        return size, sha256
    if size is not None or sha256 is not None:
        raise typer.BadParameter("--file says size and SHA-256 itself.")
    digest, count = hashlib.sha256(), 0
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            count += len(chunk)
    return count, digest.hexdigest()


def _notes(text: str) -> str:
    """Return notes as they were given, or the text of the file named behind an ``@``."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{text[1:]} is not UTF-8.") from error


def _line(release: ReleaseShown) -> list[object]:
    from licsrv.platform import moments

    return [
        release.product_id,
        release.version,
        release.channel,
        release.platform,
        release.state,
        f"{release.rollout_percent} %",
        release.minimum_version,
        moments.short(release.published_at),
        release.url,
    ]
