"""The entrance for heartbeats: the hot path, hence plain ASGI and one signature per answer, made after the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import NamedTuple

from pydantic import Field
from sqlmodel import Session
from starlette.types import Receive, Scope, Send

from licsrv.errors import DeviceMismatchError, RefusalError, ServiceUnavailableError, UnauthenticatedError
from licsrv.heartbeats import service
from licsrv.heartbeats.rules import Beat, LeaseTerms
from licsrv.heartbeats.service import Answer, Granted
from licsrv.licensing import fingerprints
from licsrv.licensing.issuing import strings
from licsrv.licensing.keyring import Keyring, Purpose
from licsrv.licensing.policies import Policies
from licsrv.licensing.routes import MAX_DEVICE_INFO, ClientInfo, bearer_of
from licsrv.licensing.signing import SigningKey, quoted, quoted_again, rfc3339_again, seconds_again
from licsrv.platform import days
from licsrv.platform.batching import Batcher
from licsrv.platform.clock import Clock
from licsrv.platform.fields import Body, Nonce
from licsrv.platform.metrics import Metrics
from licsrv.platform.openapi import BEARER, Operation, parse_model
from licsrv.platform.web import answer_json, authorization_of, read_body, require_json
from licsrv.platform.writer import Writer

PATH = "/v1/heartbeats"


class HeartbeatRequest(Body):
    """A device checks in."""

    nonce: Nonce = Field(description="the client's random, at most 64 characters; the lease repeats it")
    device_info: str = Field(max_length=MAX_DEVICE_INFO, description="MAC|DISK|BOARD|CPU; unknown parts stay empty")
    client: ClientInfo = ClientInfo()
    link: str = Field(
        "", max_length=256, description="the claim `link` of the newest lease that is kept; left out where none is kept"
    )


class HeartbeatAnswer(Body):
    """A lease, and what it says without reading it."""

    lease: str
    status: str
    expires_at: datetime | None = Field(description="null when the license never ends")
    lease_until: datetime
    next_heartbeat_at: datetime
    server_time: datetime


@dataclass(frozen=True)
class HeartbeatSettings:
    """The settings of this room."""

    issuer: str
    policies: Policies
    zone: tzinfo
    keeps_networks: bool = True
    """Whether the network of a copy of a machine is kept for support."""


class _Asked(NamedTuple):
    """A check-in as it waits for its batch."""

    beat: Beat
    nonce: str


class HeartbeatEndpoint:
    """``POST /v1/heartbeats`` as an ASGI application."""

    def __init__(
        self,
        writer: Writer,
        *,
        keyring: Callable[[], Keyring],
        settings: HeartbeatSettings,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._writer = writer
        self._keyring = keyring
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._batcher: Batcher[_Asked, bytes | RefusalError] = Batcher(self._check_in)

    def operation(self) -> Operation:
        """Return the operation."""
        refusals = (UnauthenticatedError, DeviceMismatchError, ServiceUnavailableError)
        return Operation(
            "POST", PATH, "Check in and get a signed lease", tag="heartbeats", handler=self, body=HeartbeatRequest,
            result=HeartbeatAnswer, security=BEARER, refusals=refusals, raw=True,
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one check-in."""
        await answer_json(scope, receive, send, answer=self._answer, metrics=self._metrics)

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        license_string = bearer_of(authorization_of(scope))
        require_json(scope)
        request = parse_model(HeartbeatRequest, await read_body(receive))
        text_hash = fingerprints.hash_text(request.device_info, key=self._keyring().device_key)

        beat = Beat(
            strings.digest(license_string), text_hash, request.device_info, client_version=request.client.version,
            client_name=request.client.name, link=request.link,
            address=_address(scope) if self._settings.keeps_networks else "",
        )  # fmt: skip
        answer = await self._batcher.submit(_Asked(beat, request.nonce))
        if isinstance(answer, RefusalError):
            raise answer
        return answer

    async def _check_in(self, asked: list[_Asked]) -> Sequence[bytes | RefusalError]:
        """Check a batch in, then sign its leases one after the other: that is a quarter faster than one by one."""
        self._metrics.heartbeat_batch.observe(len(asked))
        beats = [beat for beat, _ in asked]
        now = self._clock.now()
        day = days.day_of(now, self._settings.zone)
        keyring, policies = self._keyring(), self._settings.policies
        key = keyring.signer(Purpose.LEASE, now=now)  # first: without a key nothing may be written

        def use_case(session: Session) -> Sequence[Answer]:
            return service.check_in(session, beats, day=day, policies=policies, keyring=keyring, now=now)

        answers = await self._writer.run(use_case)
        return [
            self._render(answer, nonce, key) if isinstance(answer, Granted) else answer
            for answer, (_, nonce) in zip(answers, asked, strict=True)
        ]

    def _render(self, granted: Granted, nonce: str, key: SigningKey) -> bytes:
        """Sign the lease over what is on disk, and write the answer."""
        terms = granted.terms
        self._metrics.count_lease(terms.status)
        if granted.event is not None:
            self._metrics.device_forks.labels(granted.event).inc()
        lease = key.sign(lease_payload(granted, nonce, issuer=self._settings.issuer))
        expires_at = f'"{rfc3339_again(terms.license_expires_at)}"' if terms.license_expires_at is not None else "null"
        return (
            f'{{"lease":"{lease}","status":"{terms.status}","expires_at":{expires_at},'
            f'"lease_until":"{rfc3339_again(terms.lease_until)}","next_heartbeat_at":"{rfc3339_again(terms.next_at)}",'
            f'"server_time":"{rfc3339_again(terms.issued_at)}"}}'
        ).encode("ascii")


def lease_payload(granted: Granted, nonce: str, *, issuer: str) -> bytes:
    """Return a lease's claims as the bytes that are signed.

    Written out by hand, every text through the JSON library: this runs for every answer, and a dictionary costs thrice.
    """
    terms: LeaseTerms = granted.terms
    expiry = f',"license_exp":{seconds_again(terms.license_expires_at)}' if terms.license_expires_at else ""
    return (
        f'{{"iss":{quoted_again(issuer)},"sub":"{granted.license_id}","jti":"{granted.issued_id}",'
        f'"status":"{terms.status}","reason":{quoted_again(terms.reason)},"iat":{seconds_again(terms.issued_at)},'
        f'"exp":{seconds_again(terms.lease_until)},"next":{seconds_again(terms.next_at)},'
        f'"nonce":{quoted(nonce)},"link":"{granted.link}"{expiry}}}'
    ).encode("ascii")


def _address(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""
