"""The entrance for programs that take seats. Renewals are plain ASGI and share commits, as heartbeats do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, NamedTuple, TypeVar

from pydantic import AwareDatetime, Field, StringConstraints
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from licsrv.audit import Cause
from licsrv.errors import (
    BorrowLimitError,
    BorrowTooLongError,
    DeviceMismatchError,
    LicenseExpiredError,
    LicenseFrozenError,
    LicenseNotFoundError,
    LicenseReleasedError,
    LicenseRevokedError,
    NoSeatFreeError,
    NotFloatingError,
    RefusalError,
    SeatBorrowedError,
    SeatEndedError,
    SeatNotFoundError,
    ServiceUnavailableError,
    UnauthenticatedError,
)
from licsrv.licensing import bearers, fingerprints
from licsrv.licensing.bearers import Bearer
from licsrv.licensing.issuing import strings
from licsrv.licensing.keyring import Keyring, Purpose
from licsrv.licensing.policies import Policies
from licsrv.licensing.routes import MAX_DEVICE_INFO, ClientInfo, bearer_of
from licsrv.licensing.signing import (
    SEAT_TYPE,
    SigningKey,
    quoted,
    quoted_again,
    rfc3339_again,
    seconds_again,
)
from licsrv.platform.batching import Batcher
from licsrv.platform.clock import Clock
from licsrv.platform.fields import Body, Name, Nonce
from licsrv.platform.metrics import Metrics
from licsrv.platform.openapi import BEARER, Operation, parse_model
from licsrv.platform.web import (
    answer_json,
    authorization_of,
    client_request_id_of,
    read_body,
    request_id_of,
    require_json,
)
from licsrv.platform.writer import UseCase, Writer
from licsrv.seats import presence, service
from licsrv.seats.presence import Replica
from licsrv.seats.service import Answer, Held, Program, Renewal

_RENEW = "/v1/seats/renew"
_Model = TypeVar("_Model", bound="_FromProgram")
_Result = TypeVar("_Result")
_Session = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
_SeatId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,64}$")]  # what is no id of ours is an unknown seat

_STATES = (
    LicenseNotFoundError,
    LicenseExpiredError,
    LicenseFrozenError,
    LicenseRevokedError,
    LicenseReleasedError,
    NotFloatingError,
)
_ALWAYS = (UnauthenticatedError, DeviceMismatchError, ServiceUnavailableError)
_OF_SEAT = (SeatNotFoundError, SeatEndedError)


class _FromProgram(Body):
    session: _Session = Field(description="the client's random id of one running program")
    device_info: str = Field(max_length=MAX_DEVICE_INFO, description="MAC|DISK|BOARD|CPU; unknown parts stay empty")


class CheckOutRequest(_FromProgram):
    """A program asks for a seat."""

    nonce: Nonce = Field(description="the client's random, at most 64 characters; the seat repeats it")
    user: Name | None = Field(None, description="who uses it; only a keyed hash of it is used")
    queue: bool = Field(False, description="whether to wait in line where no seat is free")
    client: ClientInfo = ClientInfo()


class RenewRequest(_FromProgram):
    """A program goes on."""

    seat_id: _SeatId
    nonce: Nonce


class BorrowRequest(RenewRequest):
    """A program wants to work without the server for a while."""

    until: AwareDatetime = Field(description="until when")


class ReturnRequest(_FromProgram):
    """A program ends."""

    seat_id: _SeatId


class SeatAnswer(Body):
    """A seat, and what it says without reading it."""

    seat: str = Field(description="the signed seat, a compact JWS of typ seat+jwt")
    seat_id: str
    until: datetime
    renew_at: datetime
    borrowed: bool
    taken: int = Field(description="seats of the license in use")
    seats: int = Field(description="seats that were bought")
    server_time: datetime


class ReturnAnswer(Body):
    """The seat is free."""

    seat_id: str
    returned_at: datetime


@dataclass(frozen=True)
class SeatSettings:
    """The settings of this room."""

    issuer: str
    policies: Policies


@dataclass(frozen=True)
class SeatRoutes:
    """The routes of this room with all they need; ``replica`` is this process, as others see it."""

    writer: Writer
    keyring: Callable[[], Keyring]
    settings: SeatSettings
    clock: Clock
    metrics: Metrics
    replica: Replica

    def operations(self) -> Sequence[Operation]:
        """Return the operations."""
        renewal = RenewEndpoint(
            self.writer, keyring=self.keyring, settings=self.settings, clock=self.clock, metrics=self.metrics
        )
        return (
        Operation(
            "POST", "/v1/seats/checkout", "Take a seat of a floating license", tag="seats", handler=self.check_out,
            body=CheckOutRequest, reads_body=True, result=SeatAnswer, security=BEARER,
            refusals=(*_ALWAYS, *_STATES, NoSeatFreeError, SeatEndedError),
        ),
        Operation(
            "POST", _RENEW, "Keep the seat", tag="seats", handler=renewal, body=RenewRequest, result=SeatAnswer,
            security=BEARER, refusals=(*_ALWAYS, *_STATES, *_OF_SEAT), raw=True,
        ),
        Operation(
            "POST", "/v1/seats/borrow", "Keep the seat without a connection until a moment", tag="seats",
            handler=self.borrow, body=BorrowRequest, reads_body=True, result=SeatAnswer, security=BEARER,
            refusals=(*_ALWAYS, *_STATES, *_OF_SEAT, BorrowTooLongError, BorrowLimitError, SeatBorrowedError),
        ),
        Operation(
            "POST", "/v1/seats/return", "Give the seat back", tag="seats", handler=self.give_back, body=ReturnRequest,
            reads_body=True, result=ReturnAnswer, security=BEARER,
            refusals=(*_ALWAYS, SeatNotFoundError, SeatBorrowedError),
        ),
        )  # fmt: skip

    async def check_out(self, request: Request) -> Response:
        """Answer ``POST /v1/seats/checkout``."""
        call = await _Call.of(request)
        now, keyring = self.clock.now(), self.keyring()
        key = _signer(keyring, now)

        def use_case(session: Session) -> tuple[Answer, str]:
            program, body = call.read(session, CheckOutRequest, keyring=keyring)
            presence.catch_up(session, self.replica, now=now)
            answer = service.check_out(
                session, program, wants_to_wait=body.queue, policies=self.settings.policies, keyring=keyring,
                cause=call.cause, now=now,
            )  # fmt: skip
            return answer, body.nonce

        answer, nonce = await self._run(call, use_case, now=now)
        if isinstance(answer, RefusalError):  # its place in line is on disk
            raise answer
        return _json(render(answer, nonce, key, issuer=self.settings.issuer, now=now))

    async def borrow(self, request: Request) -> Response:
        """Answer ``POST /v1/seats/borrow``."""
        call = await _Call.of(request)
        now, keyring = self.clock.now(), self.keyring()
        key = _signer(keyring, now)

        def use_case(session: Session) -> tuple[Held, str]:
            program, body = call.read(session, BorrowRequest, keyring=keyring)
            held = service.borrow(
                session, program, body.seat_id, until=body.until, policies=self.settings.policies, keyring=keyring,
                cause=call.cause, now=now,
            )  # fmt: skip
            return held, body.nonce

        held, nonce = await self._run(call, use_case, now=now)
        return _json(render(held, nonce, key, issuer=self.settings.issuer, now=now))

    async def give_back(self, request: Request) -> ReturnAnswer:
        """Answer ``POST /v1/seats/return``."""
        call = await _Call.of(request)
        now, keyring = self.clock.now(), self.keyring()

        def use_case(session: Session) -> service.Returned:
            program, body = call.read(session, ReturnRequest, keyring=keyring)
            policies = self.settings.policies
            return service.give_back(session, program, body.seat_id, policies=policies, keyring=keyring, now=now)

        returned = await self._run(call, use_case, now=now)
        return ReturnAnswer.model_validate(returned, from_attributes=True)

    async def _run(self, call: _Call, use_case: UseCase[_Result], *, now: datetime) -> _Result:
        """Run a use case; count another machine for support, in a transaction of its own."""
        try:
            return await self.writer.run(use_case)
        except DeviceMismatchError:
            keyring = self.keyring()
            await self.writer.run(
                lambda session: service.note_mismatch(session, call.bearer(session, keyring), now=now)
            )
            raise


@dataclass(frozen=True)
class _Call:
    """A call of a program, not read yet: only a caller with a license string learns what its body lacks."""

    license_string: str
    body: bytes
    cause: Cause

    @classmethod
    async def of(cls, request: Request) -> _Call:
        """Take a call."""
        license_string = bearer_of(request.headers.get("authorization", ""))
        require_json(request.scope)
        body = await read_body(request.receive)
        scope = request.scope
        cause = Cause("client", request_id_of(scope), client_request_id=client_request_id_of(scope))
        return cls(license_string, body, cause)

    def bearer(self, session: Session, keyring: Keyring) -> Bearer:
        """Return who presents the license string.

        Raises:
            UnauthenticatedError: It does not count.
        """
        return bearers.authenticate(session, self.license_string, keyring=keyring)

    def read(self, session: Session, model: type[_Model], *, keyring: Keyring) -> tuple[Program, _Model]:
        """Return who calls, from its own device, and what it says.

        Raises:
            UnauthenticatedError: Its license string does not count.
            InvalidRequestError: The body does not have the form.
            DeviceMismatchError: The string is that of another device.
        """
        bearer = self.bearer(session, keyring)
        body = parse_model(model, self.body)
        given = fingerprints.hash_parts(fingerprints.parse(body.device_info), key=keyring.device_key)
        bearers.require_same_device(bearer.device.parts, given)
        return Program(bearer, body.session, getattr(body, "user", None)), body


class _Asked(NamedTuple):
    """A renewal as it waits for its batch."""

    renewal: Renewal
    nonce: str


class RenewEndpoint:
    """``POST /v1/seats/renew`` as an ASGI application."""

    def __init__(
        self,
        writer: Writer,
        *,
        keyring: Callable[[], Keyring],
        settings: SeatSettings,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._writer = writer
        self._keyring = keyring
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._batcher: Batcher[_Asked, bytes | RefusalError] = Batcher(self._renew)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one renewal."""
        await answer_json(scope, receive, send, answer=self._answer, metrics=self._metrics)

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        license_string = bearer_of(authorization_of(scope))
        require_json(scope)
        request = parse_model(RenewRequest, await read_body(receive))
        text_hash = fingerprints.hash_text(request.device_info, key=self._keyring().device_key)
        renewal = Renewal(
            strings.digest(license_string), text_hash, request.seat_id, session=request.session,
            device_info=request.device_info,
        )  # fmt: skip
        answer = await self._batcher.submit(_Asked(renewal, request.nonce))
        if isinstance(answer, RefusalError):
            raise answer
        return answer

    async def _renew(self, asked: list[_Asked]) -> Sequence[bytes | RefusalError]:
        """Renew a batch, then sign its seats one after the other."""
        self._metrics.seat_batch.observe(len(asked))
        renewals = [renewal for renewal, _ in asked]
        now, keyring = self._clock.now(), self._keyring()
        key = _signer(keyring, now)

        def use_case(session: Session) -> Sequence[Answer]:
            return service.renew(session, renewals, policies=self._settings.policies, keyring=keyring, now=now)

        answers = await self._writer.run(use_case)
        issuer = self._settings.issuer
        return [
            render(answer, nonce, key, issuer=issuer, now=now) if isinstance(answer, Held) else answer
            for answer, (_, nonce) in zip(answers, asked, strict=True)
        ]


def _signer(keyring: Keyring, now: datetime) -> SigningKey:
    """Return what signs seats: asked first, because without a key nothing may be written."""
    return _typed(keyring.signer(Purpose.LEASE, now=now))


@lru_cache(maxsize=8)
def _typed(key: SigningKey) -> SigningKey:
    return key.typed(SEAT_TYPE)


def render(held: Held, nonce: str, key: SigningKey, *, issuer: str, now: datetime) -> bytes:
    """Sign the seat over what is on disk, and write the answer."""
    seat = key.sign(seat_payload(held, nonce, issuer=issuer, now=now))
    return (
        f'{{"seat":"{seat}","seat_id":"{held.seat_id}","until":"{rfc3339_again(held.until)}",'
        f'"renew_at":"{rfc3339_again(held.renew_at)}","borrowed":{"true" if held.borrowed else "false"},'
        f'"taken":{held.taken},"seats":{held.seats},"server_time":"{rfc3339_again(now)}"}}'
    ).encode("ascii")


def seat_payload(held: Held, nonce: str, *, issuer: str, now: datetime) -> bytes:
    """Return a seat's claims as the bytes that are signed; by hand, as those of a lease are."""
    borrowed = ',"bor":true' if held.borrowed else ""
    return (
        f'{{"iss":{quoted_again(issuer)},"sub":"{held.license_id}","jti":"{held.seat_id}","str":"{held.issued_id}",'
        f'"ses":"{held.session}","iat":{seconds_again(now)},"exp":{seconds_again(held.until)},'
        f'"renew":{seconds_again(held.renew_at)},"nonce":{quoted(nonce)}{borrowed}}}'
    ).encode("ascii")


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
