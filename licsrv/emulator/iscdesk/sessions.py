"""A program's connection to ISCDesk: its events with their numbers, its verdicts, and how one waits for news."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from licsrv.emulator.iscdesk.envelopes import DeskEvent
from licsrv.emulator.moments import rfc3339
from licsrv.emulator.online_license.instances import Instance


@dataclass(frozen=True)
class Verdict:
    """What the software found when it checked its license."""

    given_at: datetime
    result: bool
    error: str

    def view(self) -> dict[str, object]:
        """Describe the verdict for the control API."""
        return {"given_at": rfc3339(self.given_at), "result": self.result, "error": self.error}


@dataclass
class Session:
    """One running program.

    Args:
        session_id: Its name.
        instance: What it is licensed by.
        application: The program.
        version: Of the program.
        opened_at: When it connected.
    """

    session_id: str
    instance: Instance
    application: str
    version: str
    opened_at: datetime
    events: list[DeskEvent] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    event_ids: list[str] = field(default_factory=list)
    update_offered: bool = False
    update_forced: bool = False
    upgrade_answers: list[bool] = field(default_factory=list)
    upgraded: bool = False
    closed_at: datetime | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def notify(self, event: DeskEvent) -> None:
        """Raise an event; a program that is gone misses it."""
        if self.closed_at is None:
            self.events.append(event)
            self._news.set()

    def close(self, at: datetime) -> None:
        """End the session; ISCDesk upgrades now, when that was agreed or has no choice."""
        self.closed_at = at
        self.upgraded = self.update_forced or self.upgrade_answers[-1:] == [True]
        self._news.set()

    async def events_after(self, number: int, seconds: float) -> list[dict[str, object]]:
        """Return the events behind a number, waiting for the first of them; empty when none came."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while len(self.events) <= number and self.closed_at is None:
                    self._news.clear()
                    await self._news.wait()
        return [_event_view(index + 1, event) for index, event in enumerate(self.events) if index >= number]

    def view(self) -> dict[str, object]:
        """Describe the session for the control API."""
        return {
            "session": self.session_id,
            "instance_id": self.instance.instance_id,
            "application": self.application,
            "version": self.version,
            "opened_at": rfc3339(self.opened_at),
            "closed_at": rfc3339(self.closed_at) if self.closed_at else None,
            "event_ids": list(self.event_ids),
            "events": [{"event": event.name, "text": event.text[:2000]} for event in self.events],
            "verdicts": [verdict.view() for verdict in self.verdicts],
            "upgrade_answers": list(self.upgrade_answers),
            "upgraded": self.upgraded,
        }


def _event_view(number: int, event: DeskEvent) -> dict[str, object]:
    file = event.file
    content = {"name": file.name, "content": base64.b64encode(file.content).decode()} if file else None
    return {"number": number, "event": event.name, "text": event.text, "file": content}
