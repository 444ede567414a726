"""The SDK as a desktop program sees it: the calls of ISCDesk's ``SdkInvoker`` under their own names.

Source: protocol/online-license-and-sdk.md §1.3 to §1.5. Names in CamelCase are the SDK's, with its arguments and
rules; names in snake_case are ours. As with the SDK, calls return at once and events arrive later, one after the
other, on one thread. Where the SDK's behaviour is not documented (GAP): a call out of order is refused with a
``ResultStatus`` (its members are ours), and ``ShutOut`` inside the callback, which deadlocks there, is refused here.
Data and computing in the cloud belong to ISCDesk; those calls are refused here.

No call and no background thread raises into the program on account of network, disk, server or callback.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from enum import IntEnum
from pathlib import Path

from client_stub.machine import license_folder
from client_stub.machine.clock import Clock, SystemClock, WithinCalendar
from client_stub.machine.store import LicenseStore
from client_stub.machine.threads import Alarm, OrderedThread
from client_stub.sdk.backend import Backend
from client_stub.sdk.direct_backend import DirectBackend
from client_stub.sdk.iscdesk_backend import IscdeskBackend
from client_stub.sdk.iscdesk_transport import IscdeskTransport
from client_stub.session import events, license_devices, problems
from client_stub.session.check_ins import CheckIns, VerdictListener
from client_stub.session.configuration import Configuration
from client_stub.session.events import EventMessageError, EventType, LicenseType
from client_stub.session.license_devices import DeviceList, LicenseDevice
from client_stub.session.problems import Problem
from client_stub.session.repeating import Uniform
from client_stub.session.seat_renewals import Listeners, SeatNews, SeatRenewals
from client_stub.session.seat_taking import Wish
from client_stub.session.session import LicenseSession
from client_stub.session.transport import DirectTransport, Transport
from client_stub.trust.claims import Lease, License
from client_stub.trust.releases import Release
from client_stub.trust.seats import Seat
from client_stub.trust.verdict import Verdict

_LOG = logging.getLogger(__name__)
_LONGEST_USER = 100
_PATIENCE = (
    2.0  # seconds that ShutOut waits for each thread; they are daemons, so a hanging request keeps nothing alive
)

EventRecall = Callable[[EventType, str], object]


class ResultStatus(IntEnum):
    """What a call answers. The SDK's own members were not found (GAP, §10); these are ours."""

    SUCCESS = 0
    NOT_INITIALISED = 1
    SHUT_OUT = 2
    FORBIDDEN_IN_CALLBACK = 3
    INVALID_ARGUMENT = 4
    NO_EVENT_RECALL = 5
    NOT_AVAILABLE = 6
    """The call is not available here, and no event of it is known."""
    NOTHING_OFFERED = 7
    """No ``EVENT_UPDATE`` was raised that could be answered."""
    UPGRADE_IS_FORCED = 8
    """The vendor leaves no choice."""


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
        transport: Another way to the license server than straight over HTTPS.
        iscdesk: Another way to ISCDesk than ``configuration.iscdesk_url``; licenses then come through ISCDesk.
        clock: Where time comes from.
        uniform: Where the jitter of the heartbeat comes from.
        alarm: What the heartbeat waits on.

    Raises:
        ConfigurationError: On creation, when ``ca_file`` cannot be used.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        transport: Transport | None = None,
        iscdesk: IscdeskTransport | None = None,
        clock: Clock | None = None,
        uniform: Uniform | None = None,
        alarm: Alarm | None = None,
    ) -> None:
        self._configuration = configuration
        self._clock = own_clock = WithinCalendar(clock or SystemClock())
        to_server = transport or DirectTransport(configuration, clock=own_clock)
        store = LicenseStore(configuration.stored_at)
        self._session = LicenseSession(configuration, transport=to_server, store=store, clock=own_clock)
        self._check_ins = CheckIns(
            configuration,
            self._session,
            self._deliver,
            clock=own_clock,
            on_change=self._report_changes,
            uniform=uniform,
            alarm=alarm,
        )
        self._renewals = SeatRenewals(
            self._session.seats,
            Listeners(self._report_seat, self._check_ins.report_changes, self._look_into),
            now=self._session.now,
            clock=own_clock,
            uniform=uniform,
        )
        self._session.on_wake.append(self._renewals.wake)
        self._backend = self._made_backend(to_server, iscdesk)
        self._lock = threading.Lock()
        self._state = ResultStatus.NOT_INITIALISED
        self._events = OrderedThread("license-events")
        self._requests = OrderedThread("license-requests")
        self._recall: EventRecall | None = None
        self._offer_is_forced: bool | None = None
        self._upgrade_wanted = False
        self._unreported: tuple[bool, str] | None = None
        self._asked_for: tuple[LicenseType, str, Path] | None = None
        self._devices: DeviceList | None = None

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
        return self._ask_for_license(LicenseType.LICENSE_TYPE_STRING, devInfo, "")

    def GetLicenseFileRequest(self, fileName: str, devInfo: str) -> ResultStatus:
        """Ask for a license file; ``EVENT_LICENSE_VERIFY`` follows, in any case, with the path of the file.

        ``fileName`` is a name for ``Configuration.license_folder``, an absolute path, or empty for ``license.lic``. The
        file goes exactly there. One that was put there by hand is used while no server answers.
        """
        return self._ask_for_license(LicenseType.LICENSE_TYPE_FILE, devInfo, fileName)

    def TrialExpirationAndGetLicense(
        self, licenseType: LicenseType, devInfo: str = "", fileName: str = ""
    ) -> ResultStatus:
        """Say that the trial is over: ISCDesk asks the user, and applies for a license with these values.

        Without ISCDesk there is no dialog, and the license is applied for at once. ``EVENT_LICENSE_VERIFY`` follows
        (INFER: the page does not say so), with ISCDesk only if the user agrees.
        """
        return self._ask_for_license(licenseType, devInfo, fileName, is_after_trial=True)

    def LicenseVerifyNotify(self, verifyResult: bool, errorMsg: str = "") -> ResultStatus:
        """Report the program's own verdict on the license. False takes it out of use and ends the check-ins."""
        if self._state is not ResultStatus.SUCCESS:
            return self._state
        if not verifyResult:
            _LOG.warning("the program refused the license: %s", errorMsg)
            self._session.reject(str(errorMsg))
            self._check_ins.note()
            if self._session.seats.seat is not None:
                self._renewals.give_back()
            self._check_ins.end()
        self._unreported = (bool(verifyResult), str(errorMsg))
        self._post(self._report_verdict)
        return ResultStatus.SUCCESS

    def CheckNewVersions(self) -> ResultStatus:
        """Ask for a newer version: ``EVENT_UPGRADENOTICE`` follows, then ``EVENT_UPDATE`` where there is one to take.

        With ISCDesk the user is asked in between. Without it, what is offered is ``release``, which is signed.
        """
        return self._ask(self._backend.check_versions)

    def UpgradeNotify(self, bUpgrade: bool) -> ResultStatus:
        """Answer ``EVENT_UPDATE``: upgrade after the program has closed, or not. A forced one cannot be declined."""
        if self._state is not ResultStatus.SUCCESS:
            return self._state
        if self._offer_is_forced is None:
            return ResultStatus.NOTHING_OFFERED
        self._upgrade_wanted = bool(bUpgrade) or self._offer_is_forced
        wanted = self._upgrade_wanted
        self._post(lambda: self._backend.answer_upgrade(is_wanted=wanted))
        return ResultStatus.SUCCESS if wanted == bool(bUpgrade) else ResultStatus.UPGRADE_IS_FORCED

    def CheckOut(self, user: str = "", queue: bool = False) -> ResultStatus:
        """Take a seat of a floating license; ``EVENT_SEAT_RESULT`` follows, and the seat is renewed from then on.

        ``user`` is who works with it. With ``queue`` the program waits in line where no seat is free, and a second
        event follows when it has one. ``seat_problem`` says who holds the seats. The second time, the same seat is
        renewed.
        """
        if not _is_user(user):
            return self._refused_argument()
        return self._ask_server(lambda: self._renewals.check_out(Wish(user, bool(queue))))

    def Return(self) -> ResultStatus:
        """Give the seat back; ``EVENT_SEAT_RESULT`` follows. ``ShutOut`` does it too, but for a borrowed seat."""
        return self._ask_server(self._renewals.give_back)

    def Borrow(self, until: datetime) -> ResultStatus:
        """Make the seat good without network until a moment (aware); ``EVENT_SEAT_RESULT`` follows.

        Also after the program was started again. Asked again, until another moment.
        """
        if not _is_moment(until):
            return self._refused_argument()
        return self._ask_server(lambda: self._renewals.borrow(until))

    def Devices(self) -> ResultStatus:
        """Ask which devices the license has; ``EVENT_DEVICES_RESULT`` follows, then ``devices`` has them."""
        return self._ask_server(lambda: self._post(self._list_devices))

    def ReleaseDevice(self, deviceId: str | None = None) -> ResultStatus:
        """Give this computer's place back, or free that of another device that was not seen for long.

        ``EVENT_DEVICES_RESULT`` follows; ``last_problem`` says why not. After its own the program has no license until
        it asks for one.
        """
        if deviceId is not None and not _is_path(deviceId):
            return self._refused_argument()
        return self._ask_server(lambda: self._post(lambda: self._release_device(deviceId or "")))

    def MoveHere(self, deviceId: str) -> ResultStatus:
        """Ask for the license again, taking the place of a device that ``movable`` names.

        ``EVENT_LICENSE_VERIFY`` follows as after the request that was refused.
        """
        asked = self._asked_for
        if not _is_path(deviceId) or asked is None:
            return self._refused_argument()
        kind, device_info, target = asked
        return self._ask_server(
            lambda: self._post(lambda: self._backend.request_license(kind, device_info, target, move_from=deviceId))
        )

    def OpenCloudFile(self) -> ResultStatus:
        """Open a file in the cloud: ``EVENT_OPENCLOUDFILE_RESULT`` follows and says that none was opened."""
        message = events.open_file_result("")
        return self._ask(lambda: self._refuse_cloud(EventType.EVENT_OPENCLOUDFILE_RESULT, message))

    def Save(self, saveFilePath: str, assembly: bool = False) -> ResultStatus:
        """Save a file or an assembly's folder to the cloud: ``EVENT_SAVE_RESULT`` follows and says ``failed``."""
        return self._ask(self._refuse_save) if _is_path(saveFilePath) else self._refused_argument()

    def SelectSaveAsPath(self, *_: object) -> ResultStatus:
        """Save to another place in the cloud: as ``Save``. Its arguments were not found (GAP, §10); any are taken."""
        return self._ask(self._refuse_save)

    def GetSolution(self, filePath: str) -> ResultStatus:
        """Compute in the cloud: refused at once, because no event of it was found (GAP, §10)."""
        if self._state is not ResultStatus.SUCCESS:
            return self._state
        if not _is_path(filePath):
            return ResultStatus.INVALID_ARGUMENT
        self._session.note(problems.NOT_IN_THE_CLOUD)
        return ResultStatus.NOT_AVAILABLE

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
    def devices(self) -> DeviceList | None:
        """What the last ``Devices`` brought; None before, and when it brought nothing."""
        return self._devices

    @property
    def movable(self) -> tuple[LicenseDevice, ...]:
        """The devices whose place this computer may take, where the license was refused because all are taken."""
        return license_devices.movable(self._session.last_problem)

    @property
    def seat(self) -> Seat | None:
        """The seat that this program has of a floating license, verified; it may have ended (``verdict``)."""
        return self._session.seats.seat

    @property
    def seat_problem(self) -> Problem | None:
        """Why the last question about a seat did not succeed; None when it did.

        With the code ``NO_SEAT_FREE``, ``details`` has ``seats``, ``taken``, ``holders`` and ``position`` in line.
        """
        return self._session.seats.problem

    @property
    def license(self) -> License | None:
        """The license in use, verified; None when there is none. Whether it allows anything now says ``verdict``."""
        return self._session.license

    def has_feature(self, name: str) -> bool:
        """Say whether the program may use a feature now: it may work, the license grants it, and it has not ended."""
        return self._session.feature(name) is not None

    def feature_value(self, name: str) -> str | None:
        """Return the value of a feature that may be used now, a text; None when it has none, or may not be used."""
        found = self._session.feature(name)
        return found.value if found else None

    @property
    def last_problem(self) -> Problem | None:
        """Why the last request or check-in did not succeed, with what the person can do; None when it did."""
        return self._session.last_problem

    @property
    def device_info(self) -> str:
        """The device text that licenses are bound to: the one of the last request, with the install identity.

        Verify with it. It differs from the program's own text where the machine has nothing of its own, such as in a
        container. Empty before the first request.
        """
        return self._session.device_info

    @property
    def lease(self) -> Lease | None:
        """The newest lease, None before the first check-in."""
        return self._session.lease

    @property
    def now(self) -> datetime:
        """The most credible moment; the server's time where it was heard, else this computer's."""
        return self._session.now()

    @property
    def release(self) -> Release | None:
        """The newer version that the license server offered, verified; None without one, or with ISCDesk."""
        return self._backend.release if isinstance(self._backend, DirectBackend) else None

    @property
    def upgrade_wanted(self) -> bool:
        """True when the program has said that it wants the upgrade, or may not decline it."""
        return self._upgrade_wanted

    def take_revocations(self, path: Path) -> Problem | None:
        """Take a revocation list that was carried to this computer; return the problem, if any."""
        return self._session.take_revocations(path)

    def take_clock_reset(self, path: Path) -> Problem | None:
        """Take a clock reset that was carried to this computer; return the problem, if any."""
        return self._session.take_clock_reset(path)

    def on_verdict(self, listener: VerdictListener | None) -> None:
        """Have ``listener`` called on the event thread with the verdict after each check-in."""
        self._check_ins.listener = listener

    def check_in_now(self) -> bool:
        """Check in without waiting until it is due; returns at once, False when there is nothing to ask for."""
        return self._check_ins.now()

    def _init(self) -> ResultStatus:
        with self._lock:
            if self._state is ResultStatus.NOT_INITIALISED:
                self._state = ResultStatus.SUCCESS
                self._events.start()
                self._requests.start()
                self._backend.open()
            return self._state

    def _made_backend(self, to_server: Transport, iscdesk: IscdeskTransport | None) -> Backend:
        if iscdesk is None and not self._configuration.iscdesk_url:
            return DirectBackend(
                self._configuration,
                self._session,
                to_server,
                clock=self._clock,
                raise_event=self._raise_event,
                on_license=self._on_license,
            )
        return IscdeskBackend(
            self._configuration,
            self._session,
            iscdesk or IscdeskTransport(self._configuration),
            raise_event=self._raise_event,
            on_license=self._on_license,
            post=self._post,
        )

    def _ask_for_license(
        self, kind: LicenseType, device_info: str, file_name: str, *, is_after_trial: bool = False
    ) -> ResultStatus:
        try:
            chosen = LicenseType(kind)
            target = license_folder.target_of(file_name, self._configuration.license_files_at)
            (device_info or "").encode()
        except (ValueError, TypeError, AttributeError):  # a host program's mistake must not raise in it
            return self._refused_argument()
        request = self._backend.offer_after_trial if is_after_trial else self._backend.request_license
        self._asked_for = (chosen, device_info or "", target)
        return self._ask(lambda: request(chosen, device_info or "", target))

    def _ask(self, question: Callable[[], object]) -> ResultStatus:
        """Have something asked that ends in an event, if the program can hear of it."""
        if self._state is not ResultStatus.SUCCESS:
            return self._state
        if self._recall is None:
            return ResultStatus.NO_EVENT_RECALL
        self._post(question)
        return ResultStatus.SUCCESS

    def _ask_server(self, question: Callable[[], object]) -> ResultStatus:
        if self._state is not ResultStatus.SUCCESS:
            return self._state
        if self._recall is None:
            return ResultStatus.NO_EVENT_RECALL
        if not self._configuration.server_url:
            self._session.note(problems.NO_SERVER)
            return ResultStatus.NOT_AVAILABLE
        question()
        return ResultStatus.SUCCESS

    def _list_devices(self) -> None:
        outcome = self._session.list_devices()
        self._devices = None if isinstance(outcome, Problem) else outcome
        self._report_devices("list", outcome if isinstance(outcome, Problem) else None)

    def _release_device(self, device_id: str) -> None:
        problem = self._session.release_device(device_id)
        if problem is None and not device_id:
            self._check_ins.note()
            self._check_ins.end()
            if self._session.seats.seat is not None:
                self._renewals.give_back()
        self._report_devices("release", problem)

    def _report_devices(self, action: str, problem: Problem | None) -> None:
        if problem is not None:
            self._session.note(problem)
        code = problem.code if problem is not None else ""
        self._raise_event(EventType.EVENT_DEVICES_RESULT, events.devices_result(action, code=code))

    def _report_seat(self, news: SeatNews) -> None:
        self._check_ins.note()
        until, code = news.seat.expires_at if news.seat else None, news.problem.code if news.problem else ""
        self._raise_event(EventType.EVENT_SEAT_RESULT, events.seat_result(news.action, until=until, code=code))

    def _look_into(self, problem: Problem) -> None:
        """Ask for the license itself: the server refused a seat because of it."""
        if problem.code == "NOT_FLOATING":
            self._session.renew_texts()
        self._check_ins.now()

    def _refused_argument(self) -> ResultStatus:
        return ResultStatus.INVALID_ARGUMENT if self._state is ResultStatus.SUCCESS else self._state

    def _post(self, task: Callable[[], object]) -> None:
        self._requests.post(task)

    def _report_verdict(self) -> None:
        with self._lock:
            unreported, self._unreported = self._unreported, None
        if unreported is not None:
            self._backend.report_verdict(is_accepted=unreported[0], message=unreported[1])

    def _refuse_save(self) -> None:
        self._refuse_cloud(EventType.EVENT_SAVE_RESULT, events.save_result(is_saved=False))

    def _refuse_cloud(self, event: EventType, message: str) -> None:
        self._session.note(problems.NOT_IN_THE_CLOUD)
        self._raise_event(event, message)

    def _on_license(self, is_licensed: bool) -> None:
        self._check_ins.note()
        if self._session.seats.is_wanted:  # a borrowed one was taken up
            self._renewals.begin()
        if is_licensed or self._session.keeps_asking:
            self._check_ins.begin()
        else:
            self._check_ins.end()

    def _raise_event(self, event: EventType, message: str) -> None:
        if event is EventType.EVENT_UPDATE:
            self._note_offer(message)
        recall = self._recall
        if recall is not None:
            self._deliver(lambda: recall(event, message))

    def _report_changes(self, changed: tuple[str, ...]) -> None:
        self._raise_event(EventType.EVENT_LICENSE_CHANGED, events.license_changed(changed))

    def _note_offer(self, message: str) -> None:
        try:
            self._offer_is_forced = events.read_message(message).flag("fromForceWin")
        except EventMessageError as error:
            _LOG.warning("the offer of an upgrade cannot be read: %s", error)

    def _deliver(self, call: Callable[[], object]) -> None:
        """Have ``call`` made on the event thread, unless ShutOut comes first: an answer may arrive while it waits."""
        self._events.post(lambda: call() if self._state is ResultStatus.SUCCESS else None)

    def _stop_threads(self) -> None:
        self._check_ins.close(_PATIENCE)
        self._renewals.close(_PATIENCE)
        self._report_verdict()  # programs refuse a license and end at once; what waits on the request thread is dropped
        self._backend.close(_PATIENCE)
        self._requests.stop(_PATIENCE)
        self._events.stop(_PATIENCE)
        self._session.close()


def _is_path(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_user(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_USER


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and value.utcoffset() is not None


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
