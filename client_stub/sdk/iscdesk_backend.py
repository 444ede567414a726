"""ISCDesk behind the SDK's calls: questions go to it, and what it says becomes the program's events.

As with the SDK, ISCDesk's word is passed on unverified and the program verifies for itself; the session verifies too,
and the verdict rests on that alone. While ISCDesk does not answer, the license stored on this computer is used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from client_stub.machine import license_folder
from client_stub.sdk.backend import LicenseListener, LicenseNews, RaiseEvent
from client_stub.sdk.iscdesk_poll import IscdeskPoll
from client_stub.sdk.iscdesk_transport import IscdeskEvent, IscdeskTransport
from client_stub.session import events, problems
from client_stub.session.configuration import Configuration
from client_stub.session.connection import TransportError
from client_stub.session.events import EventMessage, EventMessageError, EventType, LicenseType
from client_stub.session.problems import Problem
from client_stub.session.session import LicenseSession
from client_stub.trust.armour import MAXIMUM_BYTES

_LOG = logging.getLogger(__name__)
_NAMES = {event.name: event for event in EventType}


class IscdeskBackend:
    """ISCDesk, over an ``IscdeskTransport``.

    Args:
        post: Has a call made on the request thread, after those that wait there.
    """

    def __init__(
        self,
        configuration: Configuration,
        session: LicenseSession,
        iscdesk: IscdeskTransport,
        *,
        raise_event: RaiseEvent,
        on_license: LicenseListener,
        post: Callable[[Callable[[], object]], None],
    ) -> None:
        self._session = session
        self._iscdesk = iscdesk
        self._raise_event = raise_event
        self._news = LicenseNews(raise_event, on_license)
        self._available_as_boolean = configuration.available_as_boolean
        folder = configuration.license_files_at
        self._target = folder / license_folder.DEFAULT_NAME if folder else None
        self._poll = IscdeskPoll(iscdesk, lambda event: post(lambda: self._hear(event)))

    def open(self) -> None:
        """Begin to hear events; this is where ISCDesk first learns of the program."""
        self._poll.start()

    def request_license(self, kind: LicenseType, device_info: str, target: Path, *, move_from: str = "") -> None:
        """Apply at ISCDesk; its event follows, or ours when it cannot be asked. ISCDesk moves no places."""
        self._apply(self._iscdesk.apply, kind, device_info, target=target)

    def offer_after_trial(self, kind: LicenseType, device_info: str, target: Path) -> None:
        """Have ISCDesk ask the user; its event follows when the user agrees, or ours when it cannot be asked."""
        self._apply(self._iscdesk.offer_after_trial, kind, device_info, target=target)

    def report_verdict(self, *, is_accepted: bool, message: str) -> None:
        """Pass the program's verdict on; ISCDesk not hearing it changes nothing here."""
        self._ask(lambda: self._iscdesk.report_verdict(is_accepted=is_accepted, message=message))

    def check_versions(self) -> None:
        """Ask ISCDesk; its events follow, or ours when it cannot be asked."""
        if not self._ask(self._iscdesk.check_versions):
            notice = events.upgrade_notice(available=False, as_boolean=self._available_as_boolean)
            self._raise_event(EventType.EVENT_UPGRADENOTICE, notice)

    def answer_upgrade(self, *, is_wanted: bool) -> None:
        """Pass the answer on; ISCDesk upgrades after the program has closed."""
        self._ask(lambda: self._iscdesk.answer_upgrade(is_wanted=is_wanted))

    def close(self, timeout: float) -> None:
        """Leave ISCDesk."""
        self._poll.stop(0.0)  # before leaving, so that it does not come back
        self._iscdesk.leave()
        self._poll.stop(timeout)
        self._iscdesk.close()

    def _apply(
        self, ask: Callable[[LicenseType, str, str], None], kind: LicenseType, device_info: str, target: Path
    ) -> None:
        if self._session.prepare(device_info) is not None:
            self._news.report_failure(self._session, kind)
            return
        self._target = target
        try:
            ask(kind, self._session.device_info, target.name if kind is LicenseType.LICENSE_TYPE_FILE else "")
        except TransportError as error:
            self._news.report(self._session, self._session.fall_back(error.problem, kind, target), kind, target=target)

    def _ask(self, question: Callable[[], None]) -> bool:
        try:
            question()
        except TransportError as error:
            self._session.note(error.problem)
            return False
        return True

    def _hear(self, heard: IscdeskEvent) -> None:
        """Take an event, on the request thread. An unknown one is left out: the program could not read it."""
        event = _NAMES.get(heard.event)
        try:
            message = events.read_message(heard.text)
        except EventMessageError as error:
            _LOG.warning("a message of ISCDesk cannot be read: %s", error)
            return
        if event is None:
            _LOG.info("ISCDesk raised an event that this program does not know")
        elif event is EventType.EVENT_LICENSE_VERIFY:
            self._hear_license(heard, message)
        else:
            self._raise_event(event, heard.text)

    def _hear_license(self, heard: IscdeskEvent, message: EventMessage) -> None:
        is_file = message.text("LicenseType") == LicenseType.LICENSE_TYPE_FILE.word
        if not message.is_success:
            self._session.note(_NOT_GRANTED)
            self._news.say(heard.text, is_licensed=self._session.verdict().is_allowed)
        elif is_file:
            self._take_file(heard.file)
        else:
            self._session.accept_string(message.text("LicenseContent"))
            self._news.say(heard.text, is_licensed=self._session.verdict().is_allowed)

    def _take_file(self, raw: bytes | None) -> None:
        """Put the file where the program asked for it, whatever ISCDesk calls it, and say so."""
        try:
            if raw is None or self._target is None or len(raw) > MAXIMUM_BYTES:
                raise ValueError("there is no license file that could be written")
            license_folder.write(self._target, raw)
        except (OSError, ValueError):
            _LOG.warning("a license file of ISCDesk could not be written")
            self._session.note(problems.NOT_WRITTEN)
            self._news.report_failure(self._session, LicenseType.LICENSE_TYPE_FILE)
            return
        self._session.accept_file(raw)
        message = events.license_file_arrived(str(self._target))
        self._news.say(message, is_licensed=self._session.verdict().is_allowed)


_NOT_GRANTED = Problem(
    problems.LICENSE_NOT_GRANTED,
    "ISCDesk brought no license: the vendor refused the application, or did not answer it in time.",
    "Look at the order at the marketplace, then ask again.",
)
