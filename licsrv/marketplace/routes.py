"""The entrance for the marketplace: one address, always HTTP 200 with a result code.

The signature is checked over the raw bytes before anything is parsed or looked up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from licsrv.errors import BodyTooLargeError, CallbackError, StorageError
from licsrv.marketplace import callback_signature, callbacks, product_lines
from licsrv.marketplace.callback_signature import CallbackQuery, Verified
from licsrv.marketplace.callbacks import Answered, Callback
from licsrv.marketplace.commands import ResultCode
from licsrv.platform import logs
from licsrv.platform.clock import Clock
from licsrv.platform.metrics import Metrics
from licsrv.platform.openapi import Operation
from licsrv.platform.web import read_body, request_id_of
from licsrv.platform.writer import Writer

PATH = "/marketplace/callback"
# The marketplace gives up after 5 s (protocol §5.1): better to say "again" than to say nothing.
_SECONDS = 4.0
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
    clock: Clock
    metrics: Metrics

    def operations(self) -> Sequence[Operation]:
        """Return the operations."""
        return (
            Operation(
                "POST", PATH, "Marketplace callback, signed; every product line", "marketplace", self.callback,
                result=CallbackAnswer, query=("signature", "timestamp", "nonce"),
            ),
        )  # fmt: skip

    async def callback(self, request: Request) -> Response:
        """Answer ``POST /marketplace/callback``."""
        now = self.clock.now()
        callback = await self._read(request, now)
        answered = await self._answer(callback, now)
        self.metrics.callbacks.labels(_known_activity(answered.activity), answered.result_code).inc()
        if answered.result_code != ResultCode.SUCCESS:
            _log.warning("callback refused", activity=answered.activity, result_code=answered.result_code)
        return JSONResponse(dict(answered.document))

    async def _read(self, request: Request, now: datetime) -> Callback:
        query = _query(request.scope["query_string"])
        request_id = request_id_of(request.scope)
        try:
            body = await read_body(request.receive)
        except BodyTooLargeError as error:
            rejection = CallbackError(ResultCode.INVALID_PARAMETER, error.detail)
            return Callback(b"", "", "", None, rejection, request_id)
        verified, refused = self._verify(body, query, now)
        return Callback(body, query.nonce or "", query.signature or "", verified, refused, request_id)

    def _verify(
        self, body: bytes, query: CallbackQuery, now: datetime
    ) -> tuple[Verified, None] | tuple[None, CallbackError]:
        keys = [key.get_secret_value() for key in self.access_keys]
        try:
            return callback_signature.verify(body, query, keys, now=now), None
        except CallbackError as error:
            return None, error

    async def _answer(self, callback: Callback, now: datetime) -> Answered:
        def use_case(session: Session) -> Answered:
            return callbacks.answer(session, callback, callback_timezone=self.callback_timezone, now=now)

        try:
            async with asyncio.timeout(_SECONDS):
                return await self.writer.run(use_case)
        except (StorageError, TimeoutError):
            _log.error("callback could not be stored", request_id=callback.request_id)
            error = CallbackError(ResultCode.INTERNAL_ERROR, "The service is busy; nothing was changed.")
            return Answered("", product_lines.answer(None, error), error.result_code)


def _query(query_string: bytes) -> CallbackQuery:
    """Read the three parameters. A ``+`` stays a plus: nonce and timestamp are signed as literal text."""
    found: dict[str, str] = {}
    for pair in query_string.decode("latin-1").split("&"):
        name, _, value = pair.partition("=")
        found.setdefault(name, unquote(value, errors="backslashreplace"))
    return CallbackQuery(found.get("signature"), found.get("timestamp"), found.get("nonce"))


def _known_activity(activity: str) -> str:
    """Return an activity as a label; what callers invent must not flood the metrics."""
    known = {name for line in product_lines.PRODUCT_LINES for name in line.ACTIVITIES}
    return activity if activity in known else "other"
