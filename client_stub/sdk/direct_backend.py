"""The license server behind the SDK's calls, asked directly.

Dialogs of ISCDesk have no counterpart here: the program has asked, that is enough.
"""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

from client_stub.machine.clock import Clock
from client_stub.sdk.backend import LicenseListener, LicenseNews, RaiseEvent
from client_stub.session import events, problems
from client_stub.session.configuration import Configuration
from client_stub.session.connection import TransportError
from client_stub.session.events import EventType, LicenseType
from client_stub.session.problems import Problem
from client_stub.session.session import LicenseSession
from client_stub.session.transport import Transport, VersionQuestion
from client_stub.trust import verification
from client_stub.trust.claims import License
from client_stub.trust.errors import VerificationError
from client_stub.trust.releases import Release
from client_stub.trust.verification import Freshness

_LOG = logging.getLogger(__name__)
_NONCE_BYTES = 16


class DirectBackend:
    """The license server, asked directly. Dialogs of ISCDesk are left out: the program has asked, that is enough."""

    def __init__(
        self,
        configuration: Configuration,
        session: LicenseSession,
        transport: Transport,
        *,
        clock: Clock,
        raise_event: RaiseEvent,
        on_license: LicenseListener,
    ) -> None:
        self._configuration = configuration
        self._session = session
        self._transport = transport
        self._clock = clock
        self._raise_event = raise_event
        self._news = LicenseNews(raise_event, on_license)
        self.release: Release | None = None

    def open(self) -> None:
        """Do nothing: connections are made when they are needed."""

    def request_license(self, kind: LicenseType, device_info: str, target: Path, *, move_from: str = "") -> None:
        """Ask the license server."""
        try:
            outcome = self._obtain(kind, device_info, target, move_from=move_from)
        except Exception:
            _LOG.exception("a license request failed on an unexpected error")
            outcome = Problem(problems.INTERNAL_ERROR, "The license request failed on an unexpected error.")
        self._news.report(self._session, outcome, kind, target=target)

    def offer_after_trial(self, kind: LicenseType, device_info: str, target: Path) -> None:
        """Ask the license server at once; ISCDesk would ask the user first."""
        self.request_license(kind, device_info, target)

    def report_verdict(self, *, is_accepted: bool, message: str) -> None:
        """Do nothing: the license server does not ask for it."""

    def check_versions(self) -> None:
        """Ask the license server; without a believed answer there is no newer version, only a problem."""
        try:
            self.release = self._newer_release()
        except Exception:
            _LOG.exception("a question for versions failed on an unexpected error")
            self.release = None
        is_available = self.release is not None
        as_boolean = self._configuration.available_as_boolean
        self._raise_event(
            EventType.EVENT_UPGRADENOTICE, events.upgrade_notice(available=is_available, as_boolean=as_boolean)
        )
        if self.release is not None:
            self._raise_event(EventType.EVENT_UPDATE, events.update(is_forced=self.release.is_forced))

    def answer_upgrade(self, *, is_wanted: bool) -> None:
        """Do nothing: the program's installer acts on ``SdkInvoker.release`` and ``upgrade_wanted`` after the end."""

    def close(self, timeout: float) -> None:
        """Do nothing: the session gives connections back."""

    def _obtain(self, kind: LicenseType, device_info: str, target: Path, *, move_from: str) -> License | Problem:
        if kind is LicenseType.LICENSE_TYPE_FILE:
            return self._session.obtain_file(device_info, target, move_from=move_from)
        return self._session.obtain(device_info, move_from=move_from)

    def _newer_release(self) -> Release | None:
        question = self._question()
        if question is None:
            self._session.note(problems.NO_VERSION)
            return None
        try:
            answer = self._transport.check_version(question, self._session.license_string)
            return self._believed(answer.manifest, question) if answer.is_available else None
        except TransportError as error:
            self._session.note(error.problem)
        except VerificationError as error:
            self._session.note(problems.from_error(error))
        return None

    def _question(self) -> VersionQuestion | None:
        known, license = self._configuration, self._session.license
        product = next(iter(verification.names_of(known.product)), license.product if license else "")
        if not product or not known.client_version:
            return None
        return VersionQuestion(
            product=product,
            version=known.client_version,
            channel=known.channel,
            platform=known.platform_name,
            nonce=secrets.token_urlsafe(_NONCE_BYTES),
        )

    def _believed(self, manifest: str, question: VersionQuestion) -> Release:
        return verification.verify_release(
            manifest,
            self._configuration.keys,
            product=question.product,
            channel=question.channel,
            platform=question.platform,
            issuer=self._configuration.issuer,
            freshness=Freshness(question.nonce, question.version, self._clock.now()),
        )
