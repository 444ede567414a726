"""``/admin/api/releases``: publish versions of the software, roll them out, withdraw them, say who gets new ones.

The files themselves are on the vendor's download server; licsrv keeps their address, size and SHA-256.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import Field, StringConstraints
from sqlmodel import Session

from licsrv.desk.fields import Moment, Reason, Reasoned
from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.parameters import text_of
from licsrv.desk.releases import answers
from licsrv.desk.releases.answers import ChangedReleases, PublishedAnswer, Releases, RulesAnswer, RulesShown
from licsrv.errors import ConflictError, InvalidRequestError, NotFoundError
from licsrv.licensing import store as licensing
from licsrv.people.roles import Permission
from licsrv.platform import paging
from licsrv.platform.fields import PRINTABLE, Body
from licsrv.releases import changes
from licsrv.releases.changes import LONGEST_MAINTENANCE, ProductRules, Which
from licsrv.releases.publication import (
    LARGEST,
    LONGEST_NOTES,
    LONGEST_PRODUCT,
    LONGEST_URL,
    LONGEST_VERSION,
    Publication,
)
from licsrv.releases.tables import Release
from licsrv.releases.versions import Scheme

_PATH = "/admin/api/releases"
_LONGEST_BODY = 256 * 1024  # notes in two languages, with every character escaped
_LONGEST_WORD = 64
ProductName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_PRODUCT, pattern=PRINTABLE)
]
VersionText = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_VERSION, pattern=PRINTABLE)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_WORD, pattern=PRINTABLE)]
Percent = Annotated[int, Field(ge=0, le=100)]


class PublishRequest(Body):
    """A version to be published; its number and its file never change afterwards."""

    product: ProductName = Field(description="the product's id, or its name", examples=["OFFI-CAD"])
    version: VersionText = Field(examples=["3.3.0"])
    platform: Word = Field(description="what it runs on, as clients say it", examples=["windows-x86_64"])
    channel: Word = Field("stable", description="who it is for, as clients say it")
    url: str = Field(max_length=LONGEST_URL, description="where clients download it; https only")
    size: int = Field(ge=1, le=LARGEST, description="bytes of the file")
    sha256: str = Field(pattern="^[0-9A-Fa-f]{64}$", description="of the file")
    minimum_version: VersionText | None = Field(None, description="clients below it must upgrade; else they may")
    percent: Percent = Field(100, description="share of the devices that is offered it")
    notes_zh: str = Field("", max_length=LONGEST_NOTES)
    notes_en: str = Field("", max_length=LONGEST_NOTES)
    published_at: Moment | None = Field(None, description="if not now; one to come is waited for")
    reason: Reason | None = Field(None, description="why, where there is something to say; the audit keeps it")


class _Meant(Body):
    product: ProductName = Field(description="the product's id, or its name", examples=["OFFI-CAD"])
    version: VersionText = Field(examples=["3.3.0"])
    channel: Word | None = Field(None, description="only there; left out: on every channel")
    platform: Word | None = Field(None, description="only there; left out: on every platform")


class RollOutRequest(_Meant):
    """A version to be offered to another share of the devices."""

    percent: Percent = Field(description="0 holds it back, 100 is everyone")
    reason: Reason | None = Field(None, description="why, where there is something to say; the audit keeps it")


class WithdrawRequest(Reasoned, _Meant):
    """A version to be offered no longer."""


class RulesRequest(Body):
    """How a product numbers its versions and who gets new ones; what is left out stays as it is."""

    product: ProductName = Field(description="the product's id, or its name", examples=["OFFI-CAD"])
    version_scheme: Scheme | None = None
    maintenance_months: int | None = Field(
        None, ge=0, le=LONGEST_MAINTENANCE, description="from a license's activation; 0: as long as it lasts"
    )
    reason: Reason | None = Field(None, description="why, where there is something to say; the audit keeps it")


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    manage, either = Permission.MANAGE_RELEASES, (NotFoundError, ConflictError)
    return (
        AdminOperation(
            "GET", _PATH, "List published versions", permission=Permission.READ_LICENSES, handler=list_releases,
            result=Releases, query=("product_id", *paging.PARAMETERS),
        ),
        AdminOperation(
            "POST", _PATH, "Publish a version", permission=manage, handler=publish, body=PublishRequest,
            result=PublishedAnswer, refusals=(ConflictError,), most=_LONGEST_BODY,
        ),
        AdminOperation(
            "POST", f"{_PATH}/rollout", "Offer a version to another share of the devices", permission=manage,
            handler=roll_out, body=RollOutRequest, result=ChangedReleases, refusals=either,
        ),
        AdminOperation(
            "POST", f"{_PATH}/withdraw", "Offer a version no longer", permission=manage, handler=withdraw,
            body=WithdrawRequest, result=ChangedReleases, refusals=either,
        ),
        AdminOperation(
            "GET", f"{_PATH}/rules", "Show how a product numbers its versions and who gets new ones",
            permission=Permission.READ_LICENSES, handler=show_rules, result=RulesShown, refusals=(ConflictError,),
            query=("product",),
        ),
        AdminOperation(
            "PUT", f"{_PATH}/rules", "Say how a product numbers its versions and who gets new ones", permission=manage,
            handler=set_rules, body=RulesRequest, result=RulesAnswer, refusals=(ConflictError,),
        ),
    )  # fmt: skip


async def list_releases(call: Call) -> Releases:
    """Answer ``GET /admin/api/releases``."""
    window, product_id = call.window(), text_of(call.query, "product_id")
    return await call.read(lambda session: answers.releases(session, window, product_id=product_id, now=call.now))


async def publish(call: Call, body: PublishRequest) -> PublishedAnswer:
    """Answer ``POST /admin/api/releases``."""
    cause = call.cause(body.reason or "")

    def use_case(session: Session) -> PublishedAnswer:
        product_id = changes.product_meant(session, body.product)
        is_described = licensing.product(session, product_id) is not None
        row = changes.publish(session, _publication(body, product_id), cause=cause, now=call.now)
        return PublishedAnswer(release=answers.shown(row, call.now), is_described=is_described)

    return await call.write(use_case)


def _publication(body: PublishRequest, product_id: str) -> Publication:
    return Publication(
        product_id, body.version, body.channel, platform=body.platform, url=body.url, size=body.size,
        sha256=body.sha256.lower(),
        minimum_version=body.minimum_version, rollout_percent=body.percent, notes_zh=body.notes_zh,
        notes_en=body.notes_en, published_at=body.published_at,
    )  # fmt: skip


async def roll_out(call: Call, body: RollOutRequest) -> ChangedReleases:
    """Answer ``POST /admin/api/releases/rollout``."""
    cause = call.cause(body.reason or "")
    return await _change(
        call, body, lambda session, which: changes.roll_out(session, which, body.percent, cause=cause, now=call.now)
    )


async def withdraw(call: Call, body: WithdrawRequest) -> ChangedReleases:
    """Answer ``POST /admin/api/releases/withdraw``."""
    cause = call.cause(body.reason)
    return await _change(call, body, lambda session, which: changes.withdraw(session, which, cause=cause, now=call.now))


async def _change(call: Call, body: _Meant, act: Callable[[Session, Which], Sequence[Release]]) -> ChangedReleases:
    def use_case(session: Session) -> ChangedReleases:
        which = Which(changes.product_meant(session, body.product), body.version, body.channel, platform=body.platform)
        return ChangedReleases(releases=[answers.shown(row, call.now) for row in act(session, which)])

    return await call.write(use_case)


async def show_rules(call: Call) -> RulesShown:
    """Answer ``GET /admin/api/releases/rules``; of a product that nothing was said of, what holds at first."""
    name = call.query.get("product", "")
    if not name or len(name) > LONGEST_PRODUCT or not name.isprintable():
        raise InvalidRequestError("product names a product, by its id or its name.")

    def use_case(session: Session) -> RulesShown:
        product_id = changes.product_meant(session, name)
        return answers.rules_of(session, product_id)

    return await call.read(use_case)


async def set_rules(call: Call, body: RulesRequest) -> RulesAnswer:
    """Answer ``PUT /admin/api/releases/rules``."""
    cause, wanted = call.cause(body.reason or ""), ProductRules(body.version_scheme, body.maintenance_months)

    def use_case(session: Session) -> RulesAnswer:
        product_id = changes.product_meant(session, body.product)
        row, changed = changes.set_rules(session, product_id, wanted, cause=cause, now=call.now)
        return RulesAnswer(changed=bool(changed), rules=answers.rules_shown(row))

    return await call.write(use_case)
