"""The entrance for the marketplace: one address, always HTTP 200 with a result code.

The signature is checked over the raw bytes before anything is parsed or looked up. ``GET`` is how the retired product
line License 1.0 speaks: its parameters are the message, its token the signature, and its answers are signed too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from urllib.parse import unquote, unquote_plus

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from licsrv.errors import BodyTooLargeError, CallbackError, StorageError
from licsrv.marketplace.callbacks import auth_token, envelope, product_lines, signature
from licsrv.marketplace.callbacks.envelope import Answered, Callback
from licsrv.marketplace.callbacks.signature import CallbackQuery, Verified
from licsrv.marketplace.commands import ResultCode
from licsrv.marketplace.licenses.applications import Issuer
from licsrv.platform import logs
from licsrv.platform.clock import Clock
from licsrv.platform.metrics import Metrics
from licsrv.platform.openapi import Operation
from licsrv.platform.web import read_body, request_id_of
from licsrv.platform.writer import Writer

PATH = "/marketplace/callback"
# The marketplace gives up after 5 s (protocol §5.1): better to say "again" than to say nothing.
_SECONDS = 4.0
_MOST_PARAMETERS = 64
_log = logs.logger(__name__)


class CallbackAnswer(BaseModel):
    """What every callback is answered with."""

    model_config = ConfigDict(populate_by_name=True)

    result_code: str = Field(alias="resultCode", description="000000, or what was wrong")
    result_msg: str = Field("", alias="resultMsg")


@dataclass(frozen=True)
class CallbackRoutes:
    """The route of this room with all it needs."""

    writer: Writer
    access_keys: Sequence[SecretStr]
    callback_timezone: tzinfo
    issuer: Issuer
    clock: Clock
    metrics: Metrics

    def operations(self) -> Sequence[Operation]:
        """Return the operations."""
        return (
        Operation(
            "POST", PATH, "Marketplace callback, signed; every product line", tag="marketplace", handler=self.callback,
            result=CallbackAnswer, query=("signature", "timestamp", "nonce"),
        ),
        Operation(
            "GET", PATH, "Marketplace callback of the retired License 1.0, with a token", tag="marketplace",
            handler=self.callback_v1, result=CallbackAnswer, query=("activity", auth_token.TOKEN, auth_token.TIMESTAMP),
        ),
        )  # fmt: skip

    async def callback(self, request: Request) -> Response:
        """Answer ``POST /marketplace/callback``."""
        now = self.clock.now()
        callback = await self._read(request, now)
        return JSONResponse(dict((await self._answer(callback, now)).document))

    async def callback_v1(self, request: Request) -> Response:
        """Answer ``GET /marketplace/callback``; the answer's bytes are signed with the key that verified (§7.4)."""
        now = self.clock.now()
        callback = self._read_v1(request, now)
        response = JSONResponse(dict((await self._answer(callback, now)).document))
        if callback.verified is not None:
            named = {signature.key_digest(key): key for key in self._keys()}
            response.headers[auth_token.BODY_SIGN] = auth_token.body_sign(
                bytes(response.body), named[callback.verified.key_digest]
            )
        return response

    async def _answer(self, callback: Callback, now: datetime) -> Answered:
        answered = await self._carried_out(callback, now)
        self.metrics.callbacks.labels(_known_activity(answered.activity), answered.result_code).inc()
        if answered.result_code != ResultCode.SUCCESS:
            _log.warning("callback not done", activity=answered.activity, result_code=answered.result_code)
        return answered

    def _keys(self) -> list[str]:
        return [key.get_secret_value() for key in self.access_keys]

    def _read_v1(self, request: Request, now: datetime) -> Callback:
        parameters = _parameters(request.scope["query_string"])
        request_id = request_id_of(request.scope)
        verified, rejection = None, None
        try:
            if parameters is None:
                raise CallbackError(ResultCode.INVALID_PARAMETER, "A parameter appears twice, or there are too many.")
            verified = auth_token.verify(parameters, self._keys(), now=now)
        except CallbackError as error:
            rejection = error
        said = {name: value for name, value in (parameters or {}).items() if name != auth_token.TOKEN}
        token = (parameters or {}).get(auth_token.TOKEN, "")
        return Callback(
            "GET",
            json.dumps(said).encode("ascii"),
            token,
            signature=token,
            verified=verified,
            rejection=rejection,
            request_id=request_id,
        )

    async def _read(self, request: Request, now: datetime) -> Callback:
        query = _query(request.scope["query_string"])
        request_id = request_id_of(request.scope)
        try:
            body = await read_body(request.receive)
        except BodyTooLargeError as error:
            rejection = CallbackError(ResultCode.INVALID_PARAMETER, error.detail)
            return Callback("POST", b"", "", signature="", verified=None, rejection=rejection, request_id=request_id)
        verified, refused = self._verify(body, query, now)
        return Callback(
            "POST",
            body,
            query.nonce or "",
            signature=query.signature or "",
            verified=verified,
            rejection=refused,
            request_id=request_id,
        )

    def _verify(
        self, body: bytes, query: CallbackQuery, now: datetime
    ) -> tuple[Verified, None] | tuple[None, CallbackError]:
        try:
            return signature.verify(body, query, self._keys(), now=now), None
        except CallbackError as error:
            return None, error

    async def _carried_out(self, callback: Callback, now: datetime) -> Answered:
        def use_case(session: Session) -> Answered:
            return envelope.answer(
                session, callback, callback_timezone=self.callback_timezone, issuer=self.issuer, now=now
            )

        try:
            async with asyncio.timeout(_SECONDS):
                return await self.writer.run(use_case)
        except (StorageError, TimeoutError):
            _log.error("callback could not be stored in time", request_id=callback.request_id)
            return _failed("The service is busy; send the message again.")  # it may yet be carried out, once
        except Exception:  # a fault of ours has a result code too: the marketplace reads no other answer
            _log.exception("callback failed", request_id=callback.request_id)
            return _failed("The service could not carry the message out; nothing was changed.")


def _failed(message: str) -> Answered:
    error = CallbackError(ResultCode.INTERNAL_ERROR, message)
    return Answered("", product_lines.answer(None, error), error.result_code)


def _query(query_string: bytes) -> CallbackQuery:
    """Read the three parameters. A ``+`` stays a plus: nonce and timestamp are signed as literal text."""
    found: dict[str, str] = {}
    for pair in query_string.decode("latin-1").split("&"):
        name, _, value = pair.partition("=")
        found.setdefault(name, unquote(value, errors="backslashreplace"))
    return CallbackQuery(found.get("signature"), found.get("timestamp"), found.get("nonce"))


def _parameters(query_string: bytes) -> dict[str, str] | None:
    """Read the parameters of a GET request, URL-decoded; None when one appears twice or there are very many."""
    pairs = [pair for pair in query_string.decode("latin-1").split("&") if pair]
    if len(pairs) > _MOST_PARAMETERS:
        return None
    found: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        name = unquote_plus(name, errors="backslashreplace")
        if name in found:
            return None
        found[name] = unquote_plus(value, errors="backslashreplace")
    if auth_token.TOKEN in found:  # sample URLs carry its "+" unencoded; Base64 has no blanks
        found[auth_token.TOKEN] = found[auth_token.TOKEN].replace(" ", "+")
    return found


def _known_activity(activity: str) -> str:
    """Return an activity as a label; what callers invent must not flood the metrics."""
    known = {name for line in product_lines.PRODUCT_LINES for name in line.ACTIVITIES}
    return activity if activity in known else "other"
