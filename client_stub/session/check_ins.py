"""Begin and end the check-ins with the license, and report to the program what they bring."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field

from client_stub.machine.clock import Clock
from client_stub.machine.threads import Alarm
from client_stub.session.configuration import Configuration
from client_stub.session.heartbeat import Heartbeat
from client_stub.session.repeating import Uniform
from client_stub.session.session import CheckIn, LicenseSession
from client_stub.trust.allowance import Allowance, changes
from client_stub.trust.verdict import Verdict

VerdictListener = Callable[[Verdict], object]
ChangeListener = Callable[[tuple[str, ...]], object]


@dataclass(eq=False)
class CheckIns:
    """The heartbeat of one session, while a license is in use and there is a server to hear it.

    Args:
        deliver: Has a call made on the event thread.
        on_change: Hears what differs from what the program knows, when the background has changed it.
    """

    configuration: Configuration
    session: LicenseSession
    deliver: Callable[[Callable[[], object]], None]
    _: KW_ONLY
    clock: Clock
    on_change: ChangeListener
    uniform: Uniform | None = None
    alarm: Alarm | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _is_closed: bool = field(default=False, init=False)
    _heartbeat: Heartbeat | None = field(default=None, init=False)
    listener: VerdictListener | None = field(default=None, init=False)
    _known: Allowance = field(default_factory=Allowance, init=False)

    def __post_init__(self) -> None:
        self.session.on_wake.append(self.now)

    def note(self) -> None:
        """Take what is allowed now for known: the program hears of it in another event."""
        with self._lock:
            self._known = self.session.allowance

    def report_changes(self) -> None:
        """Report what is allowed now where it differs from what is known; the second time there is nothing to say."""
        now = self.session.allowance
        with self._lock:
            changed, self._known = changes(self._known, now), now
        if changed:
            self.on_change(changed)

    def begin(self) -> None:
        """Start checking in; nothing happens the second time, after ``close``, or without a license server."""
        with self._lock:
            if self._heartbeat is not None or self._is_closed or not self.configuration.server_url:
                return
            self._heartbeat = Heartbeat(
                self._beat,
                clock=self.clock,
                first_within=self.configuration.first_heartbeat_within,
                uniform=self.uniform,
                alarm=self.alarm,
                awake=self.session.note_awake,
            )
            self._heartbeat.start()

    def end(self, timeout: float = 0.0) -> None:
        """Stop checking in, and wait ``timeout`` seconds at most for a check-in that runs."""
        with self._lock:
            heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None:
            heartbeat.stop(timeout)

    def close(self, timeout: float) -> None:
        """Stop checking in for good."""
        with self._lock:
            self._is_closed = True
        self.end(timeout)

    def now(self) -> bool:
        """Check in without waiting until it is due; returns at once, False when there are no check-ins."""
        heartbeat = self._heartbeat
        if heartbeat is not None:
            heartbeat.beat_now()
        return heartbeat is not None

    def _beat(self) -> CheckIn:
        check_in = self.session.keep_up()
        listener = self.listener
        if listener is not None:
            verdict = self.session.verdict()
            self.deliver(lambda: listener(verdict))
        self.report_changes()
        return check_in
