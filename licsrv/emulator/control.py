"""The shared routes of the control API: callbacks, open API requests, clock, faults, settings, reset.

Every route only reads its input and calls the ``Emulator``. It has no sign-in: it is meant for the machine it runs on.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from licsrv.emulator.control_routes import Ask, ControlRoute, delete, get, post, shown_path
from licsrv.emulator.deliveries import NOTHING_SPOILED, DeliveryState, Spoiling
from licsrv.emulator.emulator import Emulator
from licsrv.emulator.errors import ControlError
from licsrv.emulator.faults import ALL_PATHS, FaultKind, Side
from licsrv.emulator.moments import rfc3339
from licsrv.emulator.settings import BodyForm, FrozenReading, UnsubscribeNames

MOVE_LIMIT = 3e11
"""Seconds; more than any move within the calendar."""

SKEW_LIMIT = 10 * 365 * 86_400.0
QUERY_NAMES = ("signature", "timestamp", "nonce")


class SharedControl:
    """Reads control calls that belong to no product line."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def routes(self) -> list[ControlRoute]:
        """Return the routes."""
        return [*self._callback_routes(), *self._state_routes()]

    def _callback_routes(self) -> list[ControlRoute]:
        return [
            post("/callbacks", "send any callback: body | raw, form, url, tries, spoil", self._send, status=202),
            get("/callbacks", "list the callbacks with every try: ?state=", self._callbacks),
            get("/callbacks/{id}", "show a callback", self._callback),
            post("/callbacks/{id}/retry", "send a callback again now", self._retry, status=202),
            post("/callbacks/flush", "send the held callbacks, the latest first", self._flush, status=202),
            post("/callbacks/hurry", "end every pause before a try", self._hurry, status=202),
            post("/callbacks/settle", "wait until all are settled: seconds", self._settle),
        ]

    def _state_routes(self) -> list[ControlRoute]:
        return [
            get("/requests", "list the open API requests received", self._requests),
            get("/key-pairs", "show failures and locks of the key pairs", self._key_pairs),
            get("/clock", "show the clock", self._clock),
            post("/clock", "move it: move_seconds | now | reset", self._move_clock),
            get("/faults", "list the faults", self._faults),
            post("/faults", "set one: side, kind, value, path, times", self._set_fault, status=201),
            delete("/faults", "clear all", self._clear_faults),
            delete("/faults/{id}", "clear one", self._clear_faults),
            get("/settings", "show the settings", self._settings),
            post(
                "/settings",
                "change: callback_url, speed, frozen_reads_as, legacy_http_status, heartbeat_info_required, body_form, "
                "upload_time_limit_seconds, unsubscribe_names, order_success_code, order_errors_as_error_code, "
                "available_as_boolean, probes_by_itself, ends_with_milliseconds",
                self._change_settings,
            ),
            post("/reset", "forget everything", self._reset),
        ]

    async def _send(self, ask: Ask) -> object:
        raw, members, form = ask.text("raw", 1_000_000), ask.raw("body"), ask.choice("form", BodyForm)
        url, tries, spoiling = ask.text("url", 2000), ask.integer("tries"), _spoiling(ask)
        ask.finish()
        if (raw is None) == (members is None):
            raise ControlError("give body (an object) or raw (a text)")
        if members is not None and not isinstance(members, dict):
            raise ControlError("body must be an object; raw takes a text")
        body = members if raw is None else raw.encode()
        sent = await self._emulator.send_callback(
            body or {}, form=form, url=url, tries=1 if tries is None else tries, spoiling=spoiling
        )
        return sent.view()

    async def _callbacks(self, ask: Ask) -> object:
        state = ask.choice("state", DeliveryState)
        ask.finish()
        deliveries = self._emulator.courier.deliveries
        return {"callbacks": [each.view() for each in deliveries if state is None or each.state is state]}

    async def _callback(self, ask: Ask) -> object:
        ask.finish()
        return self._emulator.courier.get(ask.path_values["id"]).view()

    async def _retry(self, ask: Ask) -> object:
        ask.finish()
        return self._emulator.courier.retry(ask.path_values["id"]).view()

    async def _flush(self, ask: Ask) -> object:
        ask.finish()
        return {"callbacks": [delivery.view() for delivery in self._emulator.courier.flush()]}

    async def _hurry(self, ask: Ask) -> object:
        ask.finish()
        return {"on_their_way": self._emulator.courier.hurry()}

    async def _settle(self, ask: Ask) -> object:
        seconds = ask.number("seconds", 600)
        ask.finish()
        try:
            async with asyncio.timeout(max(10.0 if seconds is None else seconds, 0.001)):
                await self._emulator.settle()
        except TimeoutError:
            return {"settled": False}
        return {"settled": True}

    async def _requests(self, ask: Ask) -> object:
        ask.finish()
        return {"requests": [request.view() for request in self._emulator.requests.all()]}

    async def _key_pairs(self, ask: Ask) -> object:
        ask.finish()
        return {"key_pairs": self._emulator.gateway.view()}

    async def _clock(self, ask: Ask) -> object:
        ask.finish()
        clock = self._emulator.clock
        return {"now": rfc3339(clock.now()), "offset_seconds": clock.offset.total_seconds()}

    async def _move_clock(self, ask: Ask) -> object:
        seconds, moment, reset = ask.number("move_seconds", MOVE_LIMIT), ask.moment("now"), ask.boolean("reset")
        ask.finish()
        if [seconds is not None, moment is not None, reset is True].count(True) != 1:
            raise ControlError("give exactly one of move_seconds, now and reset")
        clock = self._emulator.clock
        if seconds is not None:
            clock.move(timedelta(seconds=seconds))
        elif moment is not None:
            clock.set_to(moment)
        else:
            clock.reset()
        return {"now": rfc3339(clock.now()), "offset_seconds": clock.offset.total_seconds()}

    async def _faults(self, ask: Ask) -> object:
        ask.finish()
        return {"faults": self._emulator.faults.view()}

    async def _set_fault(self, ask: Ask) -> object:
        side, kind, value = ask.choice("side", Side), ask.choice("kind", FaultKind), ask.raw("value")
        path, times = ask.text("path", 40), ask.integer("times")
        ask.finish()
        if side is None or kind is None:
            raise ControlError(f"side must be one of {', '.join(Side)}, kind one of {', '.join(FaultKind)}")
        return self._emulator.set_fault(side, kind, value, path=ALL_PATHS if path is None else path, times=times).view()

    async def _clear_faults(self, ask: Ask) -> object:
        ask.finish()
        self._emulator.clear_faults(ask.path_values.get("id"))
        return {"faults": self._emulator.faults.view()}

    async def _settings(self, ask: Ask) -> object:
        ask.finish()
        return self._settings_view()

    async def _change_settings(self, ask: Ask) -> object:
        changes = ask.given(
            callback_url=ask.text("callback_url", 2000),
            speed=ask.number("speed", 1e9),
            frozen_reads_as=ask.choice("frozen_reads_as", FrozenReading),
            legacy_http_status=ask.boolean("legacy_http_status"),
            heartbeat_info_required=ask.boolean("heartbeat_info_required"),
            body_form=ask.choice("body_form", BodyForm),
            upload_time_limit=_seconds(ask, "upload_time_limit_seconds"),
            unsubscribe_names=ask.choice("unsubscribe_names", UnsubscribeNames),
            order_success_code=ask.text("order_success_code"),
            order_errors_as_error_code=ask.boolean("order_errors_as_error_code"),
            available_as_boolean=ask.boolean("available_as_boolean"),
            probes_by_itself=ask.boolean("probes_by_itself"),
            ends_with_milliseconds=ask.boolean("ends_with_milliseconds"),
        )
        ask.finish()
        self._emulator.change_settings(**changes)
        return self._settings_view()

    async def _reset(self, ask: Ask) -> object:
        ask.finish()
        await self._emulator.reset()
        return {"reset": True}

    def _settings_view(self) -> dict[str, object]:
        settings = self._emulator.settings
        return {
            "callback_url": settings.callback_url,
            "ak": settings.ak,
            "speed": settings.speed,
            "frozen_reads_as": settings.frozen_reads_as.value,
            "legacy_http_status": settings.legacy_http_status,
            "heartbeat_info_required": settings.heartbeat_info_required,
            "body_form": settings.body_form.value,
            "callback_time_limit_seconds": settings.callback_time_limit.total_seconds(),
            "callback_retry_interval_seconds": settings.callback_retry_interval.total_seconds(),
            "callback_tries": settings.callback_tries,
            "upload_time_limit_seconds": settings.upload_time_limit.total_seconds(),
            "unsubscribe_names": settings.unsubscribe_names.value,
            "order_success_code": settings.order_success_code,
            "order_errors_as_error_code": settings.order_errors_as_error_code,
            "available_as_boolean": settings.available_as_boolean,
            "probes_by_itself": settings.probes_by_itself,
            "ends_with_milliseconds": settings.ends_with_milliseconds,
        }


def help_lines(routes: list[ControlRoute]) -> list[str]:
    """Return one line for each route, for the screen."""
    return [f"{route.method:6} {shown_path(route):34} {route.summary}" for route in routes]


def _seconds(ask: Ask, name: str) -> timedelta | None:
    seconds = ask.number(name, 86_400)
    return None if seconds is None else timedelta(seconds=seconds)


def _spoiling(ask: Ask) -> Spoiling:
    value = ask.raw("spoil")
    if value is None:
        return NOTHING_SPOILED
    if not isinstance(value, dict):
        raise ControlError("spoil must be an object: signature, timestamp, nonce, skew_seconds, omit")
    spoil = Ask({}, value)
    chosen = Spoiling(
        signature=spoil.text("signature"),
        timestamp=spoil.text("timestamp"),
        nonce=spoil.text("nonce"),
        skew_seconds=spoil.number("skew_seconds", SKEW_LIMIT) or 0.0,
        omit=_omitted(spoil.raw("omit")),
    )
    spoil.finish()
    return chosen


def _omitted(value: object) -> frozenset[str]:
    if value is None:
        return frozenset()
    if not isinstance(value, list) or any(name not in QUERY_NAMES for name in value):
        raise ControlError("omit must be a list of signature, timestamp and nonce")
    return frozenset(value)
