"""The probes' routes of the control API."""

from __future__ import annotations

from licsrv.emulator.control_routes import Ask, ControlRoute, delete, get, post
from licsrv.emulator.errors import ControlError
from licsrv.emulator.probes import Probes


class ProbeControl:
    """Reads control calls and asks the probes."""

    def __init__(self, probes: Probes) -> None:
        self._probes = probes

    def routes(self) -> list[ControlRoute]:
        """Return the routes."""
        return [
            get("/probes", "show debug cases, failing ones, rounds, trading_frozen", self._show),
            post("/probes", "replay every saved debug case now", self._start, status=202),
            post("/probes/cases", "save a debug case: name, body", self._save, status=201),
            delete("/probes/cases/{name}", "do not replay a debug case", self._remove),
            post("/probes/unfreeze", "let trade go on", self._unfreeze),
        ]

    async def _show(self, ask: Ask) -> object:
        ask.finish()
        return self._probes.view()

    async def _start(self, ask: Ask) -> object:
        ask.finish()
        return self._probes.start_round().view()

    async def _save(self, ask: Ask) -> object:
        name, body = ask.text("name", 64), ask.raw("body")
        ask.finish()
        if not isinstance(body, dict):
            raise ControlError("body must be an object")
        self._probes.save(name or str(body.get("activity", ""))[:64], body)
        return {"cases": self._probes.cases()}

    async def _remove(self, ask: Ask) -> object:
        ask.finish()
        self._probes.remove(ask.path_values["name"])
        return {"cases": self._probes.cases()}

    async def _unfreeze(self, ask: Ask) -> object:
        ask.finish()
        self._probes.lift_freeze()
        return self._probes.view()
