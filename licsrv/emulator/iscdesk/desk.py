"""ISCDesk at work: sessions, licenses asked for and handed over, trials that end, upgrades, the user at its dialogs.

The dialogs answer themselves: the user applies after a trial and agrees to upgrades, unless set otherwise.

Source: protocol/online-license-and-sdk.md §1.3 to §1.6.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from licsrv.emulator.clock import MovableClock
from licsrv.emulator.errors import ControlError
from licsrv.emulator.faults import FaultKind, Faults, Side
from licsrv.emulator.iscdesk import envelopes
from licsrv.emulator.iscdesk.envelopes import DeskEvent
from licsrv.emulator.iscdesk.sessions import Session, Verdict
from licsrv.emulator.online_license.applications import LicenseApplication, Wish
from licsrv.emulator.online_license.line import OnlineLicenses
from licsrv.emulator.online_license.uploads import UploadType
from licsrv.emulator.settings import EmulatorSettings


@dataclass(frozen=True)
class PublishedVersion:
    """A version of a program that ISCDesk offers.

    Args:
        application: Of which program; None for all.
        version: Numbers with dots.
        forced: Users have no choice.
    """

    application: str | None
    version: str
    forced: bool

    def view(self) -> dict[str, object]:
        """Describe it for the control API."""
        return {"application": self.application, "version": self.version, "forced": self.forced}


@dataclass
class User:
    """How the person in front of ISCDesk answers its dialogs."""

    applies_after_trial: bool = True
    agrees_to_upgrade: bool = True


class Desk:
    """Every program that is connected.

    Args:
        line: The marketplace's online licenses.
        settings: Gives the settings of the moment.
        clock: The marketplace's clock.
        faults: What shall go wrong.
    """

    def __init__(
        self, line: OnlineLicenses, settings: Callable[[], EmulatorSettings], clock: MovableClock, faults: Faults
    ) -> None:
        self._line = line
        self._settings = settings
        self._clock = clock
        self._faults = faults
        self._sessions: dict[str, Session] = {}
        self.versions: list[PublishedVersion] = []
        self.user = User()

    def sessions(self) -> list[Session]:
        """Return every session, ended ones included, the oldest first."""
        return list(self._sessions.values())

    def session(self, session_id: str) -> Session:
        """Return a session that has not ended.

        Raises:
            ControlError: There is none.
        """
        found = self._sessions.get(session_id)
        if found is None or found.closed_at:
            raise ControlError(f"there is no session {session_id[:64]}", status=404)
        return found

    def forget(self) -> None:
        """End and forget every session, every version, and how the user answers."""
        for session in self._sessions.values():
            session.close(self._clock.now())
        self._sessions.clear()
        self.versions.clear()
        self.user = User()

    def open(self, instance_id: str, application: str, version: str) -> Session:
        """Connect a program.

        Raises:
            ControlError: No instance has this id.
        """
        instance = self._line.book.get(instance_id)
        if instance.instance_id != instance_id:
            raise ControlError(f"there is no instance {instance_id}", status=404)
        session = Session(
            secrets.token_hex(16),
            instance=instance,
            application=application,
            version=version,
            opened_at=self._clock.now(),
        )
        self._sessions[session.session_id] = session
        return session

    def close(self, session_id: str) -> Session:
        """Disconnect a program; ISCDesk upgrades it now when that was agreed.

        Raises:
            ControlError: No such session.
        """
        session = self.session(session_id)
        session.close(self._clock.now())
        return session

    async def ask_for_license(self, session_id: str, wish: Wish) -> LicenseApplication:
        """Let the marketplace apply for a license; the event follows when it is uploaded or the application fails.

        Raises:
            ControlError: No such session (404).
        """
        session = self.session(session_id)
        application = await self._line.apply(session.instance.require_id(), wish)
        if application.event_id not in session.event_ids:
            session.event_ids.append(application.event_id)
            application.listeners.append(lambda settled: self._raise(session, _outcome(settled)))
        return application

    async def trial_expired(self, session_id: str, wish: Wish) -> LicenseApplication | None:
        """Show the dialog that offers to apply for a license; None when the user does not want one.

        Raises:
            ControlError: No such session (404).
        """
        self.session(session_id)
        return await self.ask_for_license(session_id, wish) if self.user.applies_after_trial else None

    def take_verdict(self, session_id: str, *, result: bool, error: str) -> None:
        """Write down what the software says about its license.

        Raises:
            ControlError: No such session.
        """
        self.session(session_id).verdicts.append(Verdict(self._clock.now(), result, error))

    def check_versions(self, session_id: str) -> None:
        """Raise ``UpgradeNotice``, and ``Update`` when there is a version and the user agrees or has no choice.

        Raises:
            ControlError: No such session.
        """
        session = self.session(session_id)
        newest = self._newer_than(session)
        as_boolean = self._settings().available_as_boolean
        self._raise(session, envelopes.upgrade_notice(available=newest is not None, as_boolean=as_boolean))
        if newest is None or not (newest.forced or self.user.agrees_to_upgrade):
            return
        session.update_offered, session.update_forced = True, newest.forced
        self._raise(session, envelopes.update(forced=newest.forced))

    def answer_upgrade(self, session_id: str, *, upgrade: bool) -> None:
        """Take the answer to an upgrade that is not forced.

        Raises:
            ControlError: No such session (404), or nothing was offered (409).
        """
        session = self.session(session_id)
        if not session.update_offered:
            raise ControlError("no upgrade was offered", status=409)
        session.upgrade_answers.append(upgrade)

    def publish(self, version: PublishedVersion) -> None:
        """Offer a version from now on."""
        self.versions.append(version)

    def raise_event(self, session_id: str, event: DeskEvent) -> None:
        """Raise any event, also one that no document knows.

        Raises:
            ControlError: No such session.
        """
        self._raise(self.session(session_id), event)

    def _raise(self, session: Session, event: DeskEvent) -> None:
        session.notify(event)
        if self._faults.take(Side.ISCDESK, FaultKind.DOUBLE):
            session.notify(event)

    def _newer_than(self, session: Session) -> PublishedVersion | None:
        offered = [each for each in self.versions if each.application in {None, session.application}]
        newest = max(offered, key=lambda each: _rank(each.version), default=None)
        return newest if newest and _rank(newest.version) > _rank(session.version) else None


def _outcome(application: LicenseApplication) -> DeskEvent:
    """Return the event that settles an application.

    The merchant does not learn which form was asked for, so the event names the form that came.
    """
    upload = application.upload
    if application.failure or upload is None:
        return envelopes.no_license(application.wish.kind)
    if upload.type is UploadType.CHARACTERS:
        return envelopes.license_string(upload.content.decode())
    return envelopes.license_file(_bare(application.wish.file_name or upload.file_name or ""), upload.content)


def _bare(name: str) -> str:
    """Return the last part of a path of either system; an upload must not choose a folder."""
    return re.split(r"[\\/:]", name)[-1].strip(". ") or "license.lic"


def _rank(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"[0-9]{1,18}", version)]
