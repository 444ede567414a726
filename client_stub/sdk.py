"""The SDK as a desktop program sees it: the calls of ISCDesk's ``SdkInvoker`` under their own names.

Source: protocol/online-license-and-sdk.md §1.3 to §1.5. Names in CamelCase are the SDK's, with its arguments and
rules; names in snake_case are ours. As with the SDK, calls return at once and events arrive later, one after the
other, on one thread. Where the SDK's behaviour is not documented (GAP): a call out of order is refused with a
``ResultStatus`` (its members are ours), and ``ShutOut`` inside the callback, which deadlocks there, is refused here.

No call and no background thread raises into the program on account of network, disk, server or callback.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from enum import IntEnum

from client_stub import events, problems
from client_stub.claims import Lease, License
from client_stub.clock import Clock, SystemClock
from client_stub.configuration import Configuration
from client_stub.events import EventType
from client_stub.heartbeat import Alarm, Heartbeat, Uniform
from client_stub.problems import Problem
from client_stub.session import CheckIn, LicenseSession
from client_stub.store import LicenseStore
from client_stub.threads import OrderedThread
from client_stub.transport import DirectTransport, Transport
from client_stub.verdict import Verdict

_LOG = logging.getLogger(__name__)
_PATIENCE = (
    2.0  # seconds that ShutOut waits for each thread; they are daemons, so a hanging request keeps nothing alive
)

EventRecall = Callable[[EventType, str], object]
VerdictListener = Callable[[Verdict], object]


class ResultStatus(IntEnum):
    """What a call answers. The SDK's own members were not found (GAP, §10); these are ours."""

    SUCCESS = 0
    NOT_INITIALISED = 1
    SHUT_OUT = 2
    FORBIDDEN_IN_CALLBACK = 3
    INVALID_ARGUMENT = 4
    NO_EVENT_RECALL = 5


class Iscdesk:
    """What ``IscdeskFactory()`` returns; exists for its ``Init``."""

    def __init__(self, init: Callable[[], ResultStatus]) -> None:
        self._init = init

    def Init(self) -> ResultStatus:
        """Start the client. Must be the first call; the second time nothing happens."""
        return self._init()


class SdkInvoker:
    """One license client of one running program.

    Args:
        configuration: Server, code, pinned keys and the rest.
        transport: Another way to the server than straight over HTTPS.
        clock: Where time comes from.
        uniform: Where the jitter of the heartbeat comes from.
        alarm: What the heartbeat waits on.

    Raises:
        ConfigurationError: On creation, when there is no place for the store.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        transport: Transport | None = None,
        clock: Clock | None = None,
        uniform: Uniform | None = None,
        alarm: Alarm | None = None,
    ) -> None:
        self._configuration = configuration
        self._clock = clock or SystemClock()
        self._uniform = uniform
        self._alarm = alarm
        self._session = LicenseSession(
            configuration,
            transport=transport or DirectTransport(configuration, clock=self._clock),
            store=LicenseStore(configuration.stored_at),
            clock=self._clock,
        )
        self._lock = threading.Lock()
        self._state = ResultStatus.NOT_INITIALISED
        self._events = OrderedThread("license-events")
        self._requests = OrderedThread("license-requests")
        self._heartbeat: Heartbeat | None = None
        self._recall: EventRecall | None = None
        self._listener: VerdictListener | None = None

    def IscdeskFactory(self) -> Iscdesk:
        """Return the object whose ``Init`` is the first call: ``invoker.IscdeskFactory().Init()``."""
        return Iscdesk(self._init)

    def RegisterEventRecall(self, target: object, method: object = None) -> ResultStatus:
        """Register who hears of events; the last registration counts.

        Takes ``(example, Example.EventRecall)`` as the SDK does, ``(example, "EventRecall")``, or one callable. It is
        called as ``EventRecall(event_type, message)`` on the event thread.
        """
        if self._state is not ResultStatus.SUCCESS:
            return self._state
        recall = _bound(target, method)
        if recall is None:
            return ResultStatus.INVALID_ARGUMENT
        self._recall = recall
        return ResultStatus.SUCCESS

    def GetLicenseStringRequest(self, devInfo: str) -> ResultStatus:
        """Ask for a license string; ``EVENT_LICENSE_VERIFY`` follows, in any case.

        ``devInfo`` is ``MAC|disk|board|CPU``, or empty where the license needs no device. The license server's answer
        is verified before the event is raised; with ISCDesk it is not, so the program verifies in any case.
        """
        if self._state is not ResultStatus.SUCCESS:
            return self._state
        if self._recall is None:
            return ResultStatus.NO_EVENT_RECALL
        self._requests.post(lambda: self._obtain(devInfo))
        return ResultStatus.SUCCESS

    def LicenseVerifyNotify(self, verifyResult: bool, errorMsg: str = "") -> ResultStatus:
        """Tell the program's own verdict on the license. False takes it out of use and ends the check-ins."""
        if self._state is not ResultStatus.SUCCESS:
            return self._state
        if not verifyResult:
            _LOG.warning("the program refused the license: %s", errorMsg)
            self._session.reject(str(errorMsg))
            self._stop_heartbeat(0.0)
        return ResultStatus.SUCCESS

    def ShutOut(self) -> ResultStatus:
        """End the client before the program closes. No event arrives after it; the second time nothing happens.

        Forbidden inside the callback: the SDK deadlocks there, here the call is refused.
        """
        if self._events.is_current:
            _LOG.error("ShutOut was called inside the event callback, where it is forbidden; it was not obeyed")
            return ResultStatus.FORBIDDEN_IN_CALLBACK
        with self._lock:
            before = self._state
            if before is ResultStatus.SUCCESS:
                self._state = ResultStatus.SHUT_OUT
        if before is ResultStatus.SUCCESS:
            self._stop_threads()
        return before if before is ResultStatus.NOT_INITIALISED else ResultStatus.SUCCESS

    @property
    def verdict(self) -> Verdict:
        """What the program may do at this moment; ask before work that needs the license.

        Costs microseconds, and every ten minutes a small file write: the time is remembered.
        """
        return self._session.verdict()

    @property
    def last_problem(self) -> Problem | None:
        """Why the last request or check-in did not succeed, with what the person can do; None when it did."""
        return self._session.last_problem

    @property
    def lease(self) -> Lease | None:
        """The newest lease, None before the first check-in."""
        return self._session.lease

    @property
    def now(self) -> datetime:
        """The most credible moment; the server's time where it was heard, else this computer's."""
        return self._session.now()

    def on_verdict(self, listener: VerdictListener | None) -> None:
        """Have ``listener`` called on the event thread with the verdict after each check-in."""
        self._listener = listener

    def check_in_now(self) -> bool:
        """Check in without waiting until it is due; returns at once, False when no license is in use."""
        heartbeat = self._heartbeat
        if heartbeat is not None:
            heartbeat.beat_now()
        return heartbeat is not None

    def _init(self) -> ResultStatus:
        with self._lock:
            if self._state is ResultStatus.NOT_INITIALISED:
                self._state = ResultStatus.SUCCESS
                self._events.start()
                self._requests.start()
            return self._state

    def _obtain(self, device_info: str) -> None:
        try:
            outcome = self._session.obtain(device_info)
        except Exception:
            _LOG.exception("a license request failed on an unexpected error")
            outcome = Problem(problems.INTERNAL_ERROR, "The license request failed on an unexpected error.")

        if isinstance(outcome, License):
            message = events.license_arrived(self._session.license_string)
            self._start_heartbeat()
        else:
            message = events.license_failed()
            self._stop_heartbeat(0.0)
        self._raise_event(EventType.EVENT_LICENSE_VERIFY, message)

    def _raise_event(self, event: EventType, message: str) -> None:
        recall = self._recall
        if recall is not None:
            self._deliver(lambda: recall(event, message))

    def _deliver(self, call: Callable[[], object]) -> None:
        """Have ``call`` made on the event thread, unless ShutOut comes first: an answer may arrive while it waits."""
        self._events.post(lambda: call() if self._state is ResultStatus.SUCCESS else None)

    def _beat(self) -> CheckIn:
        check_in = self._session.keep_up()
        listener = self._listener
        if listener is not None:
            verdict = self._session.verdict()
            self._deliver(lambda: listener(verdict))
        return check_in

    def _start_heartbeat(self) -> None:
        with self._lock:
            if self._heartbeat is not None or self._state is not ResultStatus.SUCCESS:
                return
            self._heartbeat = Heartbeat(
                self._beat,
                clock=self._clock,
                first_within=self._configuration.first_heartbeat_within,
                uniform=self._uniform,
                alarm=self._alarm,
            )
            self._heartbeat.start()

    def _stop_heartbeat(self, timeout: float) -> None:
        with self._lock:
            heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None:
            heartbeat.stop(timeout)

    def _stop_threads(self) -> None:
        self._stop_heartbeat(_PATIENCE)
        self._requests.stop(_PATIENCE)
        self._events.stop(_PATIENCE)
        self._session.close()


def _bound(target: object, method: object) -> EventRecall | None:
    """Return the callback that the two arguments of ``RegisterEventRecall`` mean, None when they mean nothing."""
    if method is None:
        return target if callable(target) else None
    if isinstance(method, str):
        named = getattr(target, method, None)
        return named if callable(named) else None
    if not callable(method):
        return None
    if getattr(method, "__self__", None) is target:
        return method
    function: Callable[..., object] = method
    return lambda event, message: function(target, event, message)
