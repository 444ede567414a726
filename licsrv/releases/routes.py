"""The entrance for clients that ask for a newer version. Reads only, so it goes past the writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints
from starlette.requests import Request

from licsrv.errors import ForbiddenError, ServiceUnavailableError, UnauthenticatedError
from licsrv.licensing.keyring import Keyring, Purpose
from licsrv.licensing.routes import bearer_of
from licsrv.platform.clock import Clock
from licsrv.platform.db import Database, reading
from licsrv.platform.fields import PRINTABLE, Body, Nonce, Version
from licsrv.platform.openapi import Operation
from licsrv.releases import manifests, service
from licsrv.releases.catalogues import Catalogues
from licsrv.releases.manifests import Manifest
from licsrv.releases.rules import STABLE
from licsrv.releases.service import Offer, Question

PATH = "/v1/versions/check"
_Product = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=PRINTABLE)]
_Word = Annotated[str, StringConstraints(max_length=64, pattern=PRINTABLE)]


class VersionQuestion(Body):
    """A client asks for a newer version."""

    product: _Product = Field(description="the product's id, or its name as the license says it", examples=["OFFI1"])
    version: Version = Field(description="the version that runs now", examples=["3.2.1"])
    channel: _Word = Field(STABLE, description="exactly as published", examples=["stable"])
    platform: _Word = Field(description="exactly as published", examples=["windows-x86_64"])
    nonce: Nonce | None = Field(None, description="the client's random; the signed manifest repeats it")


class Notes(Body):
    """What is new, for people; a language in which nothing was said is empty."""

    zh: str
    en: str


class VersionAnswer(Body):
    """The version to take; when ``available`` is false there is none, and everything after ``forced`` is null."""

    available: bool
    version: str | None = None
    forced: bool = Field(False, description="the client's own version is too old to go on with")
    url: str | None = Field(None, description="https only")
    sha256: str | None = Field(None, description="of the file, lower-case hexadecimal")
    size: int | None = Field(None, description="bytes")
    notes: Notes | None = None
    published_at: datetime | None = None
    manifest: str | None = Field(None, description="all of this signed: JWS, typ release+jwt, by a release key")


@dataclass(frozen=True)
class ReleaseRoutes:
    """The route of this room with all it needs."""

    database: Database
    keyring: Callable[[], Keyring]
    issuer: str
    clock: Clock
    catalogues: Catalogues = field(default_factory=Catalogues)

    def operations(self) -> Sequence[Operation]:
        """Return the operations."""
        summary = "Ask for a newer version; the license string as bearer is optional"
        return (
        Operation(
            "POST", PATH, summary, tag="releases", handler=self.check, body=VersionQuestion, result=VersionAnswer,
            refusals=(UnauthenticatedError, ForbiddenError, ServiceUnavailableError),
        ),
        )  # fmt: skip

    async def check(self, request: Request, body: VersionQuestion) -> VersionAnswer:
        """Answer ``POST /v1/versions/check``."""
        now = self.clock.now()
        authorization = request.headers.get("authorization")
        license_string = bearer_of(authorization) if authorization is not None else None
        question = Question(
            body.product, body.version, body.channel, platform=body.platform, license_string=license_string
        )
        return await asyncio.to_thread(self._check, question, body.nonce, now)

    def _check(self, question: Question, nonce: str | None, now: datetime) -> VersionAnswer:
        keyring = self.keyring()
        with reading(self.database) as session:
            offer = service.check(session, question, catalogues=self.catalogues, keyring=keyring, now=now)
        if offer is None:
            return VersionAnswer(available=False)
        manifest = self._manifest(offer, question, nonce, now=now)
        return _answer(offer, manifests.sign(manifest, key=keyring.signer(Purpose.RELEASE, now=now)))

    def _manifest(self, offer: Offer, question: Question, nonce: str | None, now: datetime) -> Manifest:
        release = offer.release
        return Manifest(
            issuer=self.issuer,
            product=question.product,
            version=release.version,
            channel=release.channel,
            platform=release.platform,
            url=release.url,
            sha256=release.sha256,
            size=release.size,
            forced=offer.forced,
            published_at=release.published_at,
            issued_at=now,
            running=question.version,
            nonce=nonce,
        )


def _answer(offer: Offer, manifest: str) -> VersionAnswer:
    release = offer.release
    return VersionAnswer(
        available=True,
        version=release.version,
        forced=offer.forced,
        url=release.url,
        sha256=release.sha256,
        size=release.size,
        notes=Notes(zh=release.notes_zh, en=release.notes_en),
        published_at=release.published_at,
        manifest=manifest,
    )
