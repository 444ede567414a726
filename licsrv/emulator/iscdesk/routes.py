"""ISCDesk over HTTP: JSON in and out, ``{"error": "<sentence>"}`` for a refusal, and the faults of this side.

Reads input and calls the ``Desk``; decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from licsrv.emulator.control_routes import Ask, parse_members, read_body
from licsrv.emulator.errors import ControlError
from licsrv.emulator.faults import FaultKind, Faults, Side
from licsrv.emulator.iscdesk.desk import Desk
from licsrv.emulator.online_license.applications import LicenseKind, Wish
from licsrv.emulator.replies import Reply, html_reply, json_bytes, respond

LONGEST_WAIT = 20.0
"""Seconds, real ones, that a question for events may wait."""

LONGEST_TEXT = 10_000
_ONE = "/iscdesk/sessions/{session}"
_NUMBER_LIMIT = 1_000_000_000

Handler = Callable[[Ask], Awaitable[object]]


class DeskRoutes:
    """The routes of ISCDesk.

    Args:
        desk: Does the work.
        faults: What shall go wrong.
        now: Gives the marketplace's time.
    """

    def __init__(self, desk: Desk, faults: Faults, now: Callable[[], datetime]) -> None:
        self._desk = desk
        self._faults = faults
        self._now = now

    def routes(self) -> list[Route]:
        """Return the routes."""
        table: list[tuple[str, str, Handler, int]] = [
            ("POST", "/iscdesk/sessions", self._open, 201),
            ("DELETE", _ONE, self._close, 204),
            ("POST", f"{_ONE}/licenses", self._ask, 202),
            ("GET", f"{_ONE}/events", self._events, 200),
            ("POST", f"{_ONE}/verdicts", self._verdict, 204),
            ("POST", f"{_ONE}/trial-expirations", self._trial, 202),
            ("POST", f"{_ONE}/version-checks", self._check, 202),
            ("POST", f"{_ONE}/upgrades", self._upgrade, 204),
        ]
        return [
            Route(path, _Endpoint(self._faults, now=self._now, handler=handler, status=status), methods=[method])
            for method, path, handler, status in table
        ]

    async def _open(self, ask: Ask) -> object:
        instance_id, application, version = (_text(ask, name) for name in ("instance_id", "application", "version"))
        ask.finish()
        return {"session": self._desk.open(instance_id, application, version).session_id}

    async def _close(self, ask: Ask) -> object:
        ask.finish()
        self._desk.close(ask.path_values["session"])
        return None

    async def _ask(self, ask: Ask) -> object:
        wish = _wish(ask)
        return {"event_id": (await self._desk.ask_for_license(ask.path_values["session"], wish)).event_id}

    async def _events(self, ask: Ask) -> object:
        after, wait = _query_number(ask, "after"), _query_number(ask, "wait")
        ask.finish()
        if not 0 <= after <= _NUMBER_LIMIT or not 0 <= wait <= LONGEST_WAIT:
            raise ControlError(f"after must not be negative, wait be between 0 and {LONGEST_WAIT:g} seconds")
        session = self._desk.session(ask.path_values["session"])
        return {"events": await session.events_after(int(after), wait)}

    async def _verdict(self, ask: Ask) -> object:
        result, error = ask.boolean("result"), ask.text("error", LONGEST_TEXT)
        ask.finish()
        if result is None:
            raise ControlError("result must be true or false")
        self._desk.take_verdict(ask.path_values["session"], result=result, error=error or "")
        return None

    async def _trial(self, ask: Ask) -> object:
        wish = _wish(ask)
        application = await self._desk.trial_expired(ask.path_values["session"], wish)
        return {"applied": application is not None, "event_id": application.event_id if application else None}

    async def _check(self, ask: Ask) -> object:
        ask.finish()
        self._desk.check_versions(ask.path_values["session"])
        return {}

    async def _upgrade(self, ask: Ask) -> object:
        upgrade = ask.boolean("upgrade")
        ask.finish()
        if upgrade is None:
            raise ControlError("upgrade must be true or false")
        self._desk.answer_upgrade(ask.path_values["session"], upgrade=upgrade)
        return None


class _Endpoint:
    """One route as an ASGI application, so that a fault can break off its answer."""

    def __init__(self, faults: Faults, now: Callable[[], datetime], handler: Handler, status: int) -> None:
        self._faults = faults
        self._now = now
        self._handler = handler
        self._status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = self._spoil(await self._reply(Request(scope, receive)))
        await respond(reply, now=self._now(), scope=scope, receive=receive, send=send)

    async def _reply(self, request: Request) -> Reply:
        if delay := self._faults.take(Side.ISCDESK, FaultKind.DELAY_SECONDS):
            await asyncio.sleep(delay.number)
        if broken := self._faults.take(Side.ISCDESK, FaultKind.STATUS):
            return html_reply(int(broken.number), "HTTP status (fault)")
        try:
            return self._success(await self._handler(await _ask_of(request)))
        except ControlError as error:
            # A wrong body is 422 here, where the control API says 400.
            return Reply(422 if error.status == 400 else error.status, json_bytes({"error": str(error)}), str(error))

    def _success(self, answer: object) -> Reply:
        return Reply(self._status, b"" if self._status == 204 else json_bytes(answer), "done")

    def _spoil(self, reply: Reply) -> Reply:
        if lost := self._faults.take(Side.ISCDESK, FaultKind.LOSE_ANSWER):
            return Reply(200, b"", "lost", closes=True) if lost.text == "close" else html_reply(502, "lost")
        if garbage := self._faults.take(Side.ISCDESK, FaultKind.GARBAGE):
            return Reply(200, garbage.text.encode(), "garbled")
        return reply


async def _ask_of(request: Request) -> Ask:
    path_values = dict(request.path_params)
    if request.method in {"GET", "HEAD"}:
        return Ask(path_values, dict(request.query_params))
    return Ask(path_values, parse_members(await read_body(request)))


def _wish(ask: Ask) -> Wish:
    kind = ask.choice("kind", LicenseKind)
    device_info, file_name = ask.text("device_info", LONGEST_TEXT), ask.text("file_name", 1024)
    ask.finish()
    if kind is None:
        raise ControlError(f"kind must be one of {', '.join(LicenseKind)}")
    return Wish(kind, device_info or "", file_name or "")


def _text(ask: Ask, name: str) -> str:
    value = ask.text(name, 200)
    if not value:
        raise ControlError(f"{name} must be a text of 1 to 200 characters")
    return value


def _query_number(ask: Ask, name: str) -> float:
    text = ask.text(name, 20) or "0"
    if not text.isascii() or not text.replace(".", "", 1).isdigit():
        raise ControlError(f"{name} must be a number")
    return float(text)
