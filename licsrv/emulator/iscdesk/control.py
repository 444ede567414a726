"""ISCDesk's routes of the control API: what sessions saw and said, versions to offer, and the user at the dialogs."""

from __future__ import annotations

from licsrv.emulator.control_routes import Ask, ControlRoute, delete, get, post
from licsrv.emulator.errors import ControlError
from licsrv.emulator.iscdesk.desk import Desk, PublishedVersion
from licsrv.emulator.iscdesk.envelopes import DeskEvent

LONGEST_TEXT = 100_000


class DeskControl:
    """Reads control calls and asks the desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[ControlRoute]:
        """Return the routes."""
        one = "/iscdesk/sessions/{session}"
        return [
            get("/iscdesk/sessions", "list the programs' sessions, events and verdicts", self._sessions),
            post(f"{one}/events", "raise any event: event, text", self._raise, status=202),
            get("/iscdesk/versions", "list the versions on offer", self._versions),
            post("/iscdesk/versions", "offer one: version, application, forced", self._publish, status=201),
            delete("/iscdesk/versions", "offer none", self._withdraw),
            get("/iscdesk/user", "show how the user answers dialogs", self._show_user),
            post("/iscdesk/user", "answer dialogs: applies_after_trial, agrees_to_upgrade", self._change_user),
        ]

    async def _sessions(self, ask: Ask) -> object:
        ask.finish()
        return {"sessions": [session.view() for session in self._desk.sessions()]}

    async def _raise(self, ask: Ask) -> object:
        name, text = ask.text("event", 100), ask.text("text", LONGEST_TEXT)
        ask.finish()
        if not name or text is None:
            raise ControlError("give event and text")
        self._desk.raise_event(ask.path_values["session"], DeskEvent(name, text))
        return self._desk.session(ask.path_values["session"]).view()

    async def _versions(self, ask: Ask) -> object:
        ask.finish()
        return {"versions": [version.view() for version in self._desk.versions]}

    async def _publish(self, ask: Ask) -> object:
        version, application, forced = ask.text("version", 100), ask.text("application", 200), ask.boolean("forced")
        ask.finish()
        if not version or not any(character.isdigit() for character in version):
            raise ControlError("version must hold a number")
        published = PublishedVersion(application, version, forced is True)
        self._desk.publish(published)
        return published.view()

    async def _withdraw(self, ask: Ask) -> object:
        ask.finish()
        self._desk.versions.clear()
        return {"versions": []}

    async def _show_user(self, ask: Ask) -> object:
        ask.finish()
        user = self._desk.user
        return {"applies_after_trial": user.applies_after_trial, "agrees_to_upgrade": user.agrees_to_upgrade}

    async def _change_user(self, ask: Ask) -> object:
        applies, agrees = ask.boolean("applies_after_trial"), ask.boolean("agrees_to_upgrade")
        ask.finish()
        user = self._desk.user
        user.applies_after_trial = user.applies_after_trial if applies is None else applies
        user.agrees_to_upgrade = user.agrees_to_upgrade if agrees is None else agrees
        return {"applies_after_trial": user.applies_after_trial, "agrees_to_upgrade": user.agrees_to_upgrade}
