"""The entrance for devices that ask for a license, as a string or a file, or give their place back; the public keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, Field, StringConstraints
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

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
    MoveLimitError,
    MoveNotAllowedError,
    RefusalError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthenticatedError,
    VirtualMachineError,
)
from licsrv.licensing import bearers, devices, fingerprints, releasing
from licsrv.licensing.devices import Activation, LicenseForDevice, Terms
from licsrv.licensing.fingerprints import DeviceFacts, HashedParts
from licsrv.licensing.issuing import files
from licsrv.licensing.issuing.issuing import Delivery
from licsrv.licensing.keyring import Keyring
from licsrv.platform.clock import Clock
from licsrv.platform.fields import Body, Code, DeviceId, Name, Nonce, Version
from licsrv.platform.metrics import Metrics
from licsrv.platform.openapi import BEARER, Operation, parse_model
from licsrv.platform.web import client_request_id_of, read_body, request_id_of
from licsrv.platform.writer import Writer

MAX_DEVICE_INFO = fingerprints.MAX_BYTES
FILE_MEDIA_TYPE = "application/octet-stream"
_BEARER = "bearer "
_CHUNK = 16 * 1024

_COUNTED = frozenset(
    error.code
    for error in (
        LicenseExpiredError,
        LicenseFrozenError,
        LicenseRevokedError,
        LicenseReleasedError,
        LicenseNotReceivedError,
        DeviceLimitError,
        VirtualMachineError,
    )
)

LICENSE_REFUSALS = (
    LicenseNotFoundError,
    LicenseNotReceivedError,
    LicenseExpiredError,
    LicenseFrozenError,
    LicenseRevokedError,
    LicenseReleasedError,
    DeviceLimitError,
    VirtualMachineError,
    MoveLimitError,
    MoveNotAllowedError,
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
    move_from: DeviceId | None = Field(
        None, description="where every place is taken: the device whose place it takes, of those in `movable`"
    )


def _safe(name: str) -> str:
    if not files.is_safe_name(name):
        raise ValueError("a name that no system takes for a path or a device, without blanks or a dot at its end")
    return name


# The pattern says to readers of the document what a pattern can say; the validator knows the rest.
FileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029/\\:*?\"<>|]*$"),
    AfterValidator(_safe),
]


class FileRequest(StringRequest):
    """A device asks for the license file of a code."""

    file_name: FileName | None = Field(
        None, description="what the file shall be called: a bare name, no path", examples=[files.DEFAULT_NAME]
    )


class _DeviceRequest(Body):
    """A device asks about its license; the string alone is not enough."""

    device_info: str = Field(
        max_length=MAX_DEVICE_INFO, description="MAC|DISK|BOARD|CPU of the device that the license string is for"
    )


class StringAnswer(Body):
    """A license string and what to know about it without reading it."""

    license_string: str
    license_id: str
    expires_at: datetime | None = Field(description="null when the license never ends")
    refresh_after: datetime = Field(description="until then a check-in or a new request is due")
    weakly_bound: bool = Field(description="the place is bound to an install identity, not to facts of the machine")


class DevicesRequest(_DeviceRequest):
    """A device asks which devices its license has."""


class DeviceShown(Body):
    """A device of the license."""

    device_id: str
    name: str
    last_contact_at: datetime = Field(description="when it last asked for its license, or checked in")
    is_mine: bool
    holds_place: bool
    can_be_released: bool = Field(description="by this device, now")


class DevicesAnswer(Body):
    """The devices of a license, and what is left of its moves."""

    license_id: str
    places: int
    places_taken: int
    moves_left: int
    next_move_at: datetime | None = Field(description="when the next move is possible; null: never by a program")
    devices: list[DeviceShown] = Field(description="this one first, then the longest unseen; a hundred at most")


class ReleaseRequest(_DeviceRequest):
    """A device gives its place back, or frees that of another one."""

    device_id: DeviceId | None = Field(
        None, description="another device of the license, which was not seen for as long as the policy says"
    )


class ReleaseAnswer(Body):
    """The place is free."""

    license_id: str
    released_at: datetime
    places_taken: int


class Authority(Protocol):
    """A source that knows codes which this server has not seen yet."""

    async def introduce(self, code: str, *, parts: HashedParts, address: str, cause: Cause, now: datetime) -> None:
        """Make a code known here, for good or provisionally, so that :func:`devices.activate` finds it.

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
            "POST", "/v1/licenses/string", "Get the license string of a code for this device", tag="licenses",
            handler=self.license_string, body=StringRequest, result=StringAnswer, refusals=LICENSE_REFUSALS,
        ),
        Operation(
            "POST", "/v1/licenses/file", "Get the license file of a code for this device", tag="licenses",
            handler=self.license_file, body=FileRequest, media_type=FILE_MEDIA_TYPE, refusals=LICENSE_REFUSALS,
            responses={"200": "The file, with Content-Disposition and Content-Digest (RFC 9530, sha-256)"},
        ),
        Operation(
            "POST", "/v1/devices/list", "List the devices of this device's license", tag="licenses",
            handler=self.list_devices, body=DevicesRequest, reads_body=True, result=DevicesAnswer, security=BEARER,
            refusals=(UnauthenticatedError, DeviceMismatchError, ServiceUnavailableError),
        ),
        Operation(
            "POST", "/v1/devices/release", "Give this device's place back, or free another's",
            tag="licenses", handler=self.release_device,
            body=ReleaseRequest, reads_body=True, result=ReleaseAnswer, security=BEARER,
            refusals=(
                UnauthenticatedError, DeviceMismatchError, MoveLimitError, MoveNotAllowedError, ServiceUnavailableError
            ),
        ),
        Operation(
            "GET", "/.well-known/jwks.json", "Get the public keys that verify what we sign", tag="keys",
            handler=self.jwks,
        ),
        )  # fmt: skip

    async def license_string(self, request: Request, body: StringRequest) -> StringAnswer:
        """Answer ``POST /v1/licenses/string``."""
        issued = await self._issued(request, body, Delivery.STRING)
        return StringAnswer.model_validate(issued, from_attributes=True)

    async def license_file(self, request: Request, body: FileRequest) -> Response:
        """Answer ``POST /v1/licenses/file``."""
        issued = await self._issued(request, body, Delivery.FILE, file_name=body.file_name)
        content = issued.text.encode("utf-8")
        headers = {
            "Content-Length": str(len(content)),
            "Content-Disposition": files.content_disposition(body.file_name or files.DEFAULT_NAME),
            "Content-Digest": files.content_digest(content),
        }
        return StreamingResponse(_chunks(content), headers=headers, media_type=FILE_MEDIA_TYPE)

    async def _issued(
        self, request: Request, body: StringRequest, form: Delivery, *, file_name: str | None = None
    ) -> LicenseForDevice:
        now = self.clock.now()
        facts = fingerprints.parse(body.device_info)
        cause = _cause(request)
        activation = Activation(
            body.code, body.device_info, body.client.name,
            client_version=body.client.version, form=form, file_name=file_name, move_from=body.move_from or "",
        )  # fmt: skip

        def use_case(session: Session) -> LicenseForDevice:
            return devices.activate(session, activation, keyring=self.keyring(), terms=self.terms, cause=cause, now=now)

        try:
            try:
                issued = await self.writer.run(use_case)
            except LicenseNotFoundError:  # not known here, or not for good: ask the authority
                await self._introduce(body.code, facts, request, cause=cause, now=now)
                issued = await self.writer.run(use_case)
        except RefusalError as refusal:
            await self._note_refusal(activation, facts, refusal, now=now)
            raise
        self.metrics.licenses_issued.inc()
        return issued

    async def _note_refusal(
        self, activation: Activation, facts: DeviceFacts, refusal: RefusalError, now: datetime
    ) -> None:
        """Count the refusal of a known license, after the transaction that was undone."""
        if refusal.code not in _COUNTED:
            return
        keyring = self.keyring()
        await self.writer.run(
            lambda session: devices.note_refusal(
                session, activation, facts, code=refusal.code, device_key=keyring.device_key, now=now
            )
        )

    async def _introduce(self, code: str, facts: DeviceFacts, request: Request, cause: Cause, now: datetime) -> None:
        parts = fingerprints.hash_parts(facts, key=self.keyring().device_key)
        address = request.client.host if request.client else ""
        await self.authority.introduce(code, parts=parts, address=address, cause=cause, now=now)

    async def release_device(self, request: Request) -> ReleaseAnswer:
        """Answer ``POST /v1/devices/release``."""
        now = self.clock.now()
        license_string = bearer_of(request.headers.get("authorization", ""))
        raw = await read_body(request.receive)
        cause = _cause(request)

        released = await self.writer.run(
            lambda session: self._release(session, license_string, raw, cause=cause, now=now)
        )
        return ReleaseAnswer.model_validate(released, from_attributes=True)

    def _release(
        self, session: Session, license_string: str, raw: bytes, *, cause: Cause, now: datetime
    ) -> releasing.Released:
        keyring = self.keyring()
        bearer = bearers.authenticate(session, license_string, keyring=keyring)
        body = parse_model(ReleaseRequest, raw)  # only who holds a license string learns what is missing
        given = fingerprints.hash_parts(fingerprints.parse(body.device_info), key=keyring.device_key)
        mine, terms = bearer.device, self.terms
        if body.device_id in (None, mine.id):
            return releasing.release_device(session, mine, given=given, terms=terms, cause=cause, now=now)
        return releasing.release_other(session, mine, body.device_id, given=given, terms=terms, cause=cause, now=now)

    async def list_devices(self, request: Request) -> DevicesAnswer:
        """Answer ``POST /v1/devices/list``."""
        now = self.clock.now()
        license_string = bearer_of(request.headers.get("authorization", ""))
        raw = await read_body(request.receive)
        return await self.writer.run(lambda session: self._list(session, license_string, raw, now=now))

    def _list(self, session: Session, license_string: str, raw: bytes, *, now: datetime) -> DevicesAnswer:
        keyring = self.keyring()
        bearer = bearers.authenticate(session, license_string, keyring=keyring)
        body = parse_model(DevicesRequest, raw)
        given = fingerprints.hash_parts(fingerprints.parse(body.device_info), key=keyring.device_key)
        listed = releasing.list_devices(session, bearer.device, given=given, terms=self.terms, now=now)
        return DevicesAnswer.model_validate(listed, from_attributes=True)

    async def jwks(self, _: Request) -> Response:
        """Answer ``GET /.well-known/jwks.json``."""
        document: dict[str, Any] = dict(self.keyring().jwks())
        return JSONResponse(document, headers={"Cache-Control": "public, max-age=300"})


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _CHUNK):
        yield content[start : start + _CHUNK]


def bearer_of(authorization: str) -> str:
    """Return the license string of an ``Authorization`` header.

    Raises:
        UnauthenticatedError: There is none.
    """
    if authorization[: len(_BEARER)].lower() != _BEARER:
        raise bearers.unknown_bearer()
    return authorization[len(_BEARER) :].strip()


def _cause(request: Request) -> Cause:
    scope = request.scope
    return Cause("client", request_id_of(scope), client_request_id=client_request_id_of(scope))
