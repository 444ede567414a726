"""What answers the SDK's calls, and how an answer becomes an event.

The SDK's calls return at once; a ``Backend`` does what they ask for, on the request thread, and always ends in events.
There are two: the license server (``direct_backend``) and ISCDesk (``iscdesk_backend``). Neither offers data or
computing in the cloud; ``invoker`` refuses those calls itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from client_stub.session import events
from client_stub.session.events import EventType, LicenseType
from client_stub.session.problems import Problem
from client_stub.session.session import LicenseSession
from client_stub.trust.claims import License

RaiseEvent = Callable[[EventType, str], None]
LicenseListener = Callable[[bool], None]


class Backend(Protocol):
    """What the SDK's calls lead to. Called on the request thread, apart from ``open`` and ``close``."""

    def open(self) -> None:
        """Begin; once."""
        ...

    def request_license(self, kind: LicenseType, device_info: str, target: Path, *, move_from: str = "") -> None:
        """Ask for a license; ``target`` is where a file goes. ``EVENT_LICENSE_VERIFY`` follows.

        ``move_from`` is the device whose place this one takes where every place is taken; empty for none.
        """
        ...

    def offer_after_trial(self, kind: LicenseType, device_info: str, target: Path) -> None:
        """Offer the user to apply for a license, because the trial is over."""
        ...

    def report_verdict(self, *, is_accepted: bool, message: str) -> None:
        """Pass on what the program thinks of the license."""
        ...

    def check_versions(self) -> None:
        """Ask for a newer version. ``EVENT_UPGRADENOTICE`` follows, then ``EVENT_UPDATE`` where there is one."""
        ...

    def answer_upgrade(self, *, is_wanted: bool) -> None:
        """Take the answer to ``EVENT_UPDATE``."""
        ...

    def close(self, timeout: float) -> None:
        """End, and wait ``timeout`` seconds at most for each thread."""
        ...


class LicenseNews:
    """Turns what became of a request into ``EVENT_LICENSE_VERIFY``.

    Args:
        raise_event: Has the program hear of an event.
        on_license: Hears whether a license is in use after a request.
    """

    def __init__(self, raise_event: RaiseEvent, on_license: LicenseListener) -> None:
        self._raise_event = raise_event
        self._on_license = on_license

    def report(self, session: LicenseSession, outcome: License | Problem, kind: LicenseType, target: Path) -> None:
        """Say that a license is there, or that none is."""
        is_missing = kind is LicenseType.LICENSE_TYPE_STRING and not session.license_string
        if isinstance(outcome, Problem) or is_missing:
            self.report_failure(session, kind)
        elif kind is LicenseType.LICENSE_TYPE_FILE:
            self.say(events.license_file_arrived(str(target)), is_licensed=True)
        else:
            self.say(events.license_arrived(session.license_string), is_licensed=True)

    def report_failure(self, session: LicenseSession, kind: LicenseType) -> None:
        """Say that no license of this kind is there; one of the other kind may still be in use."""
        self.say(events.license_failed(kind), is_licensed=session.verdict().is_allowed)

    def say(self, message: str, *, is_licensed: bool) -> None:
        """Raise the event with this message."""
        self._on_license(is_licensed)
        self._raise_event(EventType.EVENT_LICENSE_VERIFY, message)
