"""The entrance for devices that ask for a license or give their place back, and the public keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import Field
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from licsrv.audit import Cause
from licsrv.errors import (
    DeviceLimitError,
    DeviceMismatchError,
    LicenseExpiredError,
    LicenseFrozenError,
    LicenseNotFoundError,
    LicenseNotReceivedError,
    LicenseReleasedError,
    LicenseRevokedError,
    MarketplaceUnavailableError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthenticatedError,
)
from licsrv.licensing import fingerprints, service
from licsrv.licensing.fingerprints import DeviceFacts
from licsrv.licensing.keyring import Keyring
from licsrv.licensing.service import Activation, LicenseForDevice, Terms
from licsrv.platform.clock import Clock
from licsrv.platform.fields import Body, Code, Name, Nonce, Version
from licsrv.platform.metrics import Metrics
from licsrv.platform.openapi import BEARER, Operation, parse_model
from licsrv.platform.web import read_body, request_id_of
from licsrv.platform.writer import Writer

MAX_DEVICE_INFO = fingerprints.MAX_BYTES
_BEARER = "bearer "

LICENSE_REFUSALS = (
    LicenseNotFoundError,
    LicenseNotReceivedError,
    LicenseExpiredError,
    LicenseFrozenError,
    LicenseRevokedError,
    LicenseReleasedError,
    DeviceLimitError,
    TooManyRequestsError,
    MarketplaceUnavailableError,
    ServiceUnavailableError,
)


class ClientInfo(Body):
    """What the software says of itself."""

    version: Version = Field("", description="version of the software", examples=["3.2.1"])
    name: Name = Field("", description="name of the workstation", examples=["CAD-WS-07"])


class StringRequest(Body):
    """A device asks for the license string of a code."""

    code: Code = Field(description="the authorization code", examples=["PL0000000001"])
    device_info: str = Field(max_length=MAX_DEVICE_INFO, description="MAC|DISK|BOARD|CPU; unknown parts stay empty")
    nonce: Nonce = Field(description="the client's random, at most 64 characters")
    client: ClientInfo = ClientInfo()


class StringAnswer(Body):
    """A license string and what to know about it without reading it."""

    license_string: str
    license_id: str
    expires_at: datetime | None = Field(description="null when the license never ends")
    refresh_after: datetime = Field(description="until then a check-in or a new request is due")


class ReleaseRequest(Body):
    """A device gives its place back."""

    device_info: str | None = Field(None, max_length=MAX_DEVICE_INFO, description="checked when it is given")


class ReleaseAnswer(Body):
    """The place is free."""

    license_id: str
    released_at: datetime
    places_taken: int


class Authority(Protocol):
    """Whoever knows the codes that this server has not seen yet."""

    async def introduce(self, code: str, *, fingerprint: str, address: str, cause: Cause, now: datetime) -> None:
        """Make a code known here, for good or provisionally, so that :func:`service.activate` finds it.

        Raises:
            RefusalError: The code cannot be used; the refusal says why and what to do.
        """


@dataclass(frozen=True)
class LicenseRoutes:
    """The routes of this room with all they need."""

    writer: Writer
    authority: Authority
    keyring: Callable[[], Keyring]
    terms: Terms
    clock: Clock
    metrics: Metrics

    def operations(self) -> Sequence[Operation]:
        """Return the operations."""
        return (
            Operation(
                "POST", "/v1/licenses/string", "Get the license string of a code for this device", "licenses",
                self.license_string, body=StringRequest, result=StringAnswer, refusals=LICENSE_REFUSALS,
            ),
            Operation(
                "POST", "/v1/devices/release", "Give this device's place back", "licenses",
                self.release_device, result=ReleaseAnswer, security=BEARER,
                refusals=(UnauthenticatedError, DeviceMismatchError, ServiceUnavailableError),
                optional_body=ReleaseRequest,
            ),
            Operation(
                "GET", "/.well-known/jwks.json", "Get the public keys that verify what we sign", "keys", self.jwks
            ),
        )  # fmt: skip

    async def license_string(self, request: Request, body: StringRequest) -> StringAnswer:
        """Answer ``POST /v1/licenses/string``."""
        now = self.clock.now()
        facts = fingerprints.parse(body.device_info)
        cause = Cause("client", request_id_of(request.scope))
        activation = Activation(body.code, body.device_info, body.client.name, body.client.version)
        try:
            issued = await self.writer.run(lambda session: self._activate(session, activation, cause, now))
        except LicenseNotFoundError:  # not known here, or not for good: whoever may know it is asked
            await self._introduce(body.code, facts, request, cause, now)
            issued = await self.writer.run(lambda session: self._activate(session, activation, cause, now))
        self.metrics.licenses_issued.inc()
        return StringAnswer.model_validate(issued, from_attributes=True)

    async def _introduce(self, code: str, facts: DeviceFacts, request: Request, cause: Cause, now: datetime) -> None:
        parts = fingerprints.hash_parts(facts, key=self.keyring().device_key)
        address = request.client.host if request.client else ""
        known_as = fingerprints.fingerprint(parts)
        await self.authority.introduce(code, fingerprint=known_as, address=address, cause=cause, now=now)

    def _activate(self, session: Session, activation: Activation, cause: Cause, now: datetime) -> LicenseForDevice:
        return service.activate(session, activation, keyring=self.keyring(), terms=self.terms, cause=cause, now=now)

    async def release_device(self, request: Request) -> ReleaseAnswer:
        """Answer ``POST /v1/devices/release``."""
        now = self.clock.now()
        license_string = bearer_of(request.headers.get("authorization", ""))
        raw = await read_body(request.receive)
        body = parse_model(ReleaseRequest, raw) if raw.strip() else ReleaseRequest()
        cause = Cause("client", request_id_of(request.scope))

        released = await self.writer.run(lambda session: self._release(session, license_string, body, cause, now))
        return ReleaseAnswer.model_validate(released, from_attributes=True)

    def _release(
        self, session: Session, license_string: str, body: ReleaseRequest, cause: Cause, now: datetime
    ) -> service.Released:
        keyring = self.keyring()
        bearer = service.authenticate(session, license_string, keyring=keyring)
        given = None
        if body.device_info is not None:
            given = fingerprints.hash_parts(fingerprints.parse(body.device_info), key=keyring.device_key)
        return service.release_device(session, bearer.device, given=given, cause=cause, now=now)

    async def jwks(self, _: Request) -> Response:
        """Answer ``GET /.well-known/jwks.json``."""
        document: dict[str, Any] = dict(self.keyring().jwks())
        return JSONResponse(document, headers={"Cache-Control": "public, max-age=300"})


def bearer_of(authorization: str) -> str:
    """Return the license string of an ``Authorization`` header.

    Raises:
        UnauthenticatedError: There is none.
    """
    if authorization[: len(_BEARER)].lower() != _BEARER:
        raise service.unknown_bearer()
    return authorization[len(_BEARER) :].strip()
