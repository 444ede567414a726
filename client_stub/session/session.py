"""The client's memory while the program runs: the license in use, the newest lease, the time, and what went wrong.

Use cases: ``obtain`` a license string or ``obtain_file``, take one that ISCDesk brought (``accept_string``,
``accept_file``), ``check_in`` (and ``keep_up``, which renews what is ageing first), and give the ``verdict`` on what
the program may do. Outside things come in through the constructor: the way to the server, the store, the clock. Nothing
here raises on account of the network, the disk or what was received; failures are values.

Called from several threads: state changes under one lock, which is never held while the network is asked. An answer
that arrives after the license was exchanged is dropped.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from client_stub.machine import disk, license_folder
from client_stub.machine.clock import Clock, ConfirmedTime, WithinCalendar, best_estimate
from client_stub.machine.link_store import LinkStore
from client_stub.machine.revocation_store import RevocationStore
from client_stub.machine.store import LicenseStore
from client_stub.session import holding as holdings
from client_stub.session import license_devices, problems
from client_stub.session.admission import Admission
from client_stub.session.configuration import Configuration
from client_stub.session.connection import RefusedError, TransportError, UnansweredError
from client_stub.session.events import LicenseType
from client_stub.session.holding import Holding, Machine, is_outdated, is_same_license, unix
from client_stub.session.keeping import Keeper
from client_stub.session.license_devices import DeviceList
from client_stub.session.problems import Problem
from client_stub.session.recognition import Recognition
from client_stub.session.revocation_watch import RevocationWatch
from client_stub.session.seat_taking import Credential, SeatTaker
from client_stub.session.sleeping import SleepWatch
from client_stub.session.transport import IssuedString, Transport
from client_stub.trust import allowance as allowances
from client_stub.trust import clock_memory, clock_resets, verification
from client_stub.trust import verdict as verdicts
from client_stub.trust.allowance import Allowance
from client_stub.trust.claims import Lease, LeaseStatus, License
from client_stub.trust.entitlements import Entitlement
from client_stub.trust.errors import (
    ForeignLeaseError,
    InvalidDeviceInfoError,
    NonceMismatchError,
    UsedResetError,
    VerificationError,
)
from client_stub.trust.verdict import Evidence, Reason, Verdict

_LOG = logging.getLogger(__name__)
NONCE_BYTES = 24
_UNAUTHENTICATED, _UNAUTHENTICATED_STATUS = "UNAUTHENTICATED", 401
LONGEST_FOR_LINK = 120.0
"""Seconds after which the link of an answer is not kept: another program may have gone on without it meanwhile."""
_SAVE_TIME_EVERY = 600  # seconds; a killed program forgets at most this much of the highest time seen

_REASON_OF_CODE = {
    "LICENSE_EXPIRED": Reason.EXPIRED,
    "LICENSE_FROZEN": Reason.FROZEN,
    "LICENSE_REVOKED": Reason.REVOKED,
    "LICENSE_RELEASED": Reason.RELEASED,
    "DEVICE_MISMATCH": Reason.DEVICE_MISMATCH,
}


@dataclass(frozen=True)
class CheckIn:
    """What came of a heartbeat: a lease that is believed (it may say REVOKED), or a problem.

    ``is_denied`` says that the program may not work now, so it is worth asking again soon.
    """

    lease: Lease | None = None
    problem: Problem | None = None
    retry_after: timedelta | None = None
    is_denied: bool = False


class LicenseSession:
    """One license of one running program.

    Args:
        configuration: Code, pinned keys and the rest.
        transport: The way to the license server.
        store: Where the license is remembered.
        clock: Where time comes from.
        revocations: The revocation list; by default the one that is kept next to the license.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        transport: Transport,
        store: LicenseStore,
        clock: Clock,
        revocations: RevocationWatch | None = None,
    ) -> None:
        self._configuration = configuration
        self._transport = transport
        self._clock = WithinCalendar(clock)
        self._admission = Admission(configuration)
        self._keeper = Keeper(store, self._admission)
        self._links = LinkStore(store.path)
        self._recognition = Recognition(store.path)
        self._sleep = SleepWatch()
        self._revocations = revocations or _kept_list(configuration)
        self._seats = SeatTaker(
            configuration,
            transport,
            credential=self.credential,
            believe_string=self._believe_kept,
            confirm=self._confirm,
        )
        self._lock = threading.RLock()
        self._holding: Holding | None = None
        self._machine: Machine | None = None
        self._denial = verdicts.NO_LICENSE
        self._confirmed: ConfirmedTime | None = None
        self._time_noted: float | None = None
        self._asked = self._answered = 0
        self._last_problem: Problem | None = None
        self._retry_after: timedelta | None = None
        self._wanted: Callable[[], object] | None = None
        self._refused_device: str | None = None
        self.on_wake: list[Callable[[], object]] = []
        """What is called when the computer has slept."""

    @property
    def last_problem(self) -> Problem | None:
        """Why the last request or check-in did not succeed, or why nothing is remembered; None when all is well."""
        unidentified = self._recognition.problem if self._holding is None else None
        asked = self._last_problem or self._seats.problem
        return unidentified or asked or self._keeper.problem or self._revocations.problem

    @property
    def device_info(self) -> str:
        """The device text of the last request as the server was given it, with the install identity if there is one."""
        return self._recognition.device_info

    @property
    def keeps_asking(self) -> bool:
        """True when a later answer of the server can bring a license into use, or back into use."""
        return bool(self._configuration.server_url) and (self._holding is not None or self._wanted is not None)

    @property
    def license(self) -> License | None:
        """The license in use, None when there is none."""
        holding = self._holding
        return holding.license if holding else None

    @property
    def allowance(self) -> Allowance:
        """What the program may use now."""
        verdict, holding = self.verdict(), self._holding
        if holding is None:
            return Allowance()
        end = verdicts.license_end(holding.license, holding.lease, grace=self._configuration.first_grace)
        return allowances.allowance(holding.license, verdict, end=end, now=self.now())

    def feature(self, name: str) -> Entitlement | None:
        """Return what is granted under this name now; None when nothing is, or the program may not work."""
        license, is_allowed = self.license, self.verdict().is_allowed
        return license.feature(name, self.now()) if license is not None and is_allowed else None

    @property
    def seats(self) -> SeatTaker:
        """The seat of this program, where the license is floating."""
        return self._seats

    def credential(self) -> Credential | Problem:
        """Return what a question about the license in use is asked with, or why none can be asked."""
        holding = self._holding
        if not self._configuration.server_url:
            return problems.NO_SERVER
        if holding is None:
            return problems.from_verdict(self._denial)
        if holding.string is None:
            return problems.NO_STRING
        return Credential(holding.string, holding.record.license_string, holding.machine.info)

    def list_devices(self) -> DeviceList | Problem:
        """Ask which devices the license has; nothing is remembered of the answer."""
        answer = self._ask_about_devices("list", {})
        if isinstance(answer, Problem):
            return answer
        return license_devices.read_list(answer) or problems.unexpected(200)

    def release_device(self, device_id: str = "") -> Problem | None:
        """Give this computer's place back, or free that of another device; return why that was not done.

        After its own the program has no license: the signed word is fetched, and nothing is asked for by itself.
        """
        answer = self._ask_about_devices("release", {"device_id": device_id} if device_id else {})
        if isinstance(answer, Problem):
            return answer
        if not device_id:
            self._wanted = None
            self.check_in()
        return None

    def _ask_about_devices(self, what: str, more: Mapping[str, object]) -> Mapping[str, object] | Problem:
        credential = self.credential()
        if isinstance(credential, Problem):
            return credential
        try:
            return self._transport.ask(
                f"devices/{what}", credential.text, {"device_info": credential.device_info, **more}
            )
        except TransportError as error:
            return error.problem

    def renew_texts(self) -> None:
        """Get the license again, because the server says that it has changed."""
        holding = self._holding
        if holding is not None:
            self._exchange(holding, file_too=True)

    @property
    def license_string(self) -> str:
        """The license string in use, empty when there is none."""
        holding = self._holding
        return holding.record.license_string if holding else ""

    @property
    def lease(self) -> Lease | None:
        """The newest lease of the license in use."""
        holding = self._holding
        return holding.lease if holding else None

    @property
    def heartbeat_sent_at(self) -> datetime | None:
        """When the last heartbeat was sent, also by an earlier run; None when none was."""
        holding = self._holding
        if holding is None or not holding.record.heartbeat_sent_at:
            return None
        return datetime.fromtimestamp(holding.record.heartbeat_sent_at, UTC)

    def now(self) -> datetime:
        """Return the most credible moment (``clock.best_estimate``)."""
        return best_estimate(self._clock.now(), self._clock.monotonic(), self._confirmed)

    def obtain(self, device_info: str, *, move_from: str = "") -> License | Problem:
        """Get a license for this machine: from the server, or, while it does not answer, the stored one.

        A refusal by the server holds until a later answer lifts it; the stored license is then not used either. The
        second time, the server is asked again, which costs no second place.

        Args:
            move_from: The device whose place this one takes where every place is taken; empty for none.
        """
        self._wanted = lambda: self.obtain(device_info)
        return self._attempt(device_info, lambda machine: self._obtain_string(machine, move_from))

    def obtain_file(self, device_info: str, target: Path, *, move_from: str = "") -> License | Problem:
        """Get a license file for this machine at ``target``: from the server, or, while it does not answer, as stored.

        A file that was carried to ``target`` by hand is taken up when the server does not answer, so a computer
        without network is licensed by putting the file there. With the server, a string for check-ins is fetched too.
        """
        self._wanted = lambda: self.obtain_file(device_info, target)
        outcome = self._attempt(device_info, lambda machine: self._obtain_file(machine, target, move_from))
        return outcome if isinstance(outcome, Problem) else self._put_file(target, outcome)

    def prepare(self, device_info: str) -> Problem | None:
        """Take up the stored license of this machine before ISCDesk is asked for a new one."""
        try:
            self._resume(self._recognition.machine(device_info))
        except VerificationError as error:
            self._last_problem = problems.from_error(error)
            return self._last_problem
        return None

    def fall_back(self, problem: Problem, kind: LicenseType, target: Path) -> License | Problem:
        """Answer a request that ISCDesk did not take with what is stored, or lies at ``target`` already."""
        if kind is LicenseType.LICENSE_TYPE_STRING:
            return self.settle(problem)
        try:
            if self._machine is not None:
                self._adopt_carried(self._machine, target)
        except VerificationError as error:
            return self._disbelieve(error)
        outcome = self.settle(problem)
        return outcome if isinstance(outcome, Problem) else self._put_file(target, outcome)

    def accept_string(self, license_string: str) -> License | Problem:
        """Take a license string that ISCDesk brought into use, if it is believed."""
        return self._accept(lambda machine: self._adopt(machine, IssuedString(license_string, None)))

    def accept_file(self, raw: bytes) -> License | Problem:
        """Take a license file that ISCDesk brought into use, if it is believed."""
        return self._accept(lambda machine: self._adopt_file(machine, raw))

    def take_revocations(self, path: Path) -> Problem | None:
        """Take a revocation list that was carried to this computer; return the problem, if any."""
        problem = self._revocations.take_carried(path)
        self._note_list()
        return problem

    def take_clock_reset(self, path: Path) -> Problem | None:
        """Take a clock reset that was carried to this computer; return the problem, if any."""
        holding = self._holding
        if holding is None:
            return problems.from_verdict(self._denial)
        try:
            self._reset_clock(holding, disk.read_file(path, clock_resets.RESET.maximum_characters).strip())
        except (OSError, ValueError):
            return problems.RESET_NOT_READ
        except VerificationError as error:
            return problems.from_error(error)
        return None

    def note_awake(self) -> None:
        """Take a note that the program runs; a long gap between two notes was a sleep of the computer."""
        self._sleep.note(self.now(), self._clock.monotonic())

    def keep_up(self) -> CheckIn:
        """Do what is due at a heartbeat.

        Ask for the license again while there is none, exchange what is outdated, check in (with a new string when the
        server does not know ours any more), and ask for the revocation list.
        """
        holding = self._holding
        if holding is None:
            self._ask_again()
        elif holding.string is None:
            self._add_string()
        elif is_outdated(holding, self.now()):
            self._exchange(holding, file_too=True)
        stated_before = self._stated_end()
        check_in = self.check_in()
        if _is_unknown_string(check_in.problem) and self._renew_string():
            check_in = self.check_in()
        if check_in.lease is not None:
            self._refresh_list(check_in.lease)
            if self._is_contradicted(check_in.lease) or self._stated_end() != stated_before:
                check_in = self._refresh_texts() or check_in
        return replace(check_in, is_denied=not self.is_licensed)

    def check_in(self) -> CheckIn:
        """Send one heartbeat with a new nonce, and believe the answer only if it proves itself."""
        holding, question = self._note_sent()
        if holding is None:
            return CheckIn(problem=problems.from_verdict(self._denial), retry_after=self._retry_after)
        if holding.string is None:
            return self._not_checked_in(problems.NO_STRING, None)

        nonce, link, began = _nonce(), self._links.newest(), self._readings()
        try:
            sent = holding.record.license_string, holding.machine.info
            text = self._transport.send_heartbeat(*sent, nonce, link=link)
            keys = self._configuration.keys
            lease = verification.authenticate_lease(text, keys, license=holding.string, nonce=nonce)
        except TransportError as error:
            return self._not_checked_in(error.problem, getattr(error, "retry_after", None))
        except VerificationError as error:
            return self._not_checked_in(problems.from_error(error), None)
        check_in = self._believe(lease, text, holding.string, question=question)
        if check_in.lease is not None and self._seconds_since(began) <= LONGEST_FOR_LINK:
            self._links.keep(lease.link)
        return check_in

    def verdict(self) -> Verdict:
        """Say what the program may do now, and remember the time."""
        with self._lock:
            holding = self._holding
            if holding is None:
                return self._denial
            now = self.now()
            if self._sleep.look(now, self._clock.monotonic()):
                for call in self.on_wake:
                    call()
            verdict = verdicts.decide(holding.license, self._evidence(holding, now), now=now)
            self._note_time(holding, now)
            return verdict

    @property
    def is_licensed(self) -> bool:
        """True when the program may work now, or only lacks a seat, which it asks for by itself."""
        verdict = self.verdict()
        return verdict.is_allowed or verdict.reason is Reason.NO_SEAT

    def reject(self, message: str) -> None:
        """Take the license out of use because the program itself does not accept it."""
        with self._lock:
            self._holding = self._wanted = None
            self._denial = verdicts.denied(Reason.REJECTED_BY_PROGRAM, message or "The program refused the license.")
            self._last_problem = problems.from_verdict(self._denial)

    def close(self) -> None:
        """Keep what is known and give connections back."""
        with self._lock:
            self._save()
        self._seats.leave()
        self._transport.close()

    def note(self, problem: Problem) -> None:
        """Remember why something else that the program asked for was not done."""
        self._last_problem = problem

    def _attempt(self, device_info: str, obtain: Callable[[Machine], None]) -> License | Problem:
        self._retry_after = None
        try:
            machine = self._recognition.machine(device_info)
            self._resume(machine)
            obtain(machine)
        except InvalidDeviceInfoError as error:
            self._wanted = None  # no answer can change that
            return self._disbelieve(error)
        except RefusedError as refusal:
            return self._give_up(refusal.problem, machine)
        except UnansweredError as error:
            self._retry_after = error.retry_after
            return self.settle(error.problem)
        except VerificationError as error:
            return self._disbelieve(error)

        if not self.is_licensed:
            lease = self.check_in().lease  # a wrong clock makes a fresh license look bad; the lease has the true time
            if lease is not None and self._is_contradicted(lease):
                self._refresh_list(lease)
        return self.settle(None)

    def _obtain_string(self, machine: Machine, move_from: str) -> None:
        self._adopt(machine, self._transport.request_license(machine.info, _nonce(), **_moving(move_from)))

    def _obtain_file(self, machine: Machine, target: Path, move_from: str) -> None:
        try:
            raw = self._transport.request_license_file(machine.info, _nonce(), target.name, **_moving(move_from))
        except UnansweredError as error:
            self._retry_after = error.retry_after
            self._adopt_carried(machine, target)
            raise
        self._adopt_file(machine, raw)
        self._add_string()

    def _accept(self, adopt: Callable[[Machine], None]) -> License | Problem:
        try:
            adopt(self._machine or self._recognition.machine(""))
        except VerificationError as error:
            return self._disbelieve(error)
        return self.settle(None)

    def _resume(self, machine: Machine) -> None:
        """Take up the stored license, unless this machine's license is in use already."""
        if self._configuration.revocations_path is not None:
            self._revocations.take_carried(self._configuration.revocations_path)
        with self._lock:
            self._machine = machine
            is_held = self._holding is not None and self._holding.machine.info == machine.info
            if not is_held and self._refused_device != machine.info:
                self._take_stored(machine)
        self._note_list()
        if self._configuration.clock_reset_path is not None and self._holding is not None:
            self.take_clock_reset(self._configuration.clock_reset_path)

    def _take_stored(self, machine: Machine) -> None:
        self._holding, self._denial = None, self._recognition.denial
        record = self._keeper.load(machine)
        if record is None:
            return
        try:
            self._holding = self._admission.stored(record, machine)
        except VerificationError as error:
            self._denial = verdicts.denial_of(error)
            return
        self._keeper.memory = clock_memory.known(self._keeper.memory, holdings.youngest_signed(self._holding))
        self._seats.take_up(self._holding.license, self.now())

    def _believe_kept(self, license_string: str) -> License:
        return self._admission.string(license_string, self._machine or self._recognition.machine(""))

    def _confirm(self, moment: datetime) -> None:
        """Take the server's time, fresh and signed, for what our clock showed before."""
        with self._lock:
            self._confirmed = ConfirmedTime(moment, self._clock.now(), self._clock.monotonic())
            self._keeper.memory = clock_memory.confirmed(unix(moment))

    def _adopt(self, machine: Machine, issued: IssuedString, *, keep_file: bool = False) -> None:
        """Put a string that was just handed out into use, and store it before it is announced.

        Asked for by the program, it takes the place of a file; ``keep_file`` adds it to one of the same license.
        """
        believed = self._admission.string(issued.license_string, machine)
        with self._lock:
            if keep_file and not (self._holding and is_same_license(self._holding.file, believed)):
                return
            renewed = holdings.with_string(self._holding, machine, believed, issued=issued, now=unix(self.now()))
            self._hold(renewed if keep_file else holdings.without_file(renewed))
            self._save(replaces=True)

    def _adopt_file(self, machine: Machine, raw: bytes) -> None:
        """Put a file into use, and store it before it is announced; a string of the same license is kept."""
        believed = self._admission.file(raw, machine)
        with self._lock:
            self._hold(holdings.with_file(self._holding, machine, believed, text=raw.decode(), now=unix(self.now())))
            self._save(replaces=True)

    def _adopt_carried(self, machine: Machine, target: Path) -> None:
        """Take up a file that was put at ``target`` by hand, unless a younger one is held.

        Raises:
            VerificationError: It is not believed, and there is no other license.
        """
        try:
            raw = license_folder.read(target)
            believed = self._admission.file(raw, machine)
        except (OSError, VerificationError) as error:
            _LOG.info("no license file to take up: %s", getattr(error, "code", type(error).__name__))
            if isinstance(error, VerificationError) and self._holding is None:
                raise
            return
        held = self._holding
        if held is None or held.file is None or believed.issued_at > held.file.issued_at:
            self._adopt_file(machine, raw)

    def _add_string(self) -> None:
        """Get a string for check-ins next to the file in use; the file is good without one."""
        holding = self._holding
        if holding is None or holding.file is None or not self._configuration.server_url:
            return
        self._exchange(holding)

    def _put_file(self, target: Path, license: License) -> License | Problem:
        """Write the file in use to ``target``."""
        holding = self._holding
        if holding is None or holding.file is None:
            self._last_problem = self._last_problem or problems.NO_FILE
            return self._last_problem
        try:
            license_folder.write(target, holding.record.license_file.encode())
        except OSError as error:
            _LOG.warning("the license file could not be written: %s", error.strerror)
            self._last_problem = problems.NOT_WRITTEN
            return problems.NOT_WRITTEN
        return license

    def _hold(self, holding: Holding) -> None:
        """Put what was just handed out into use; if it is younger than all before, its moment is the time."""
        self._holding, self._refused_device = holding, None
        self._keeper.memory = clock_memory.signed(self._keeper.memory, holdings.youngest_signed(holding))
        self._seats.take_up(holding.license, self.now())

    def _ask_again(self) -> None:
        wanted = self._wanted
        if wanted is not None:
            wanted()

    def _renew_string(self) -> bool:
        """Get a new string, because the server does not know ours: it was restored, or its key was retired."""
        holding = self._holding
        return holding is not None and self._exchange(holding)

    def _reset_clock(self, holding: Holding, text: bytes) -> None:
        reset = clock_resets.verify_clock_reset(
            text, self._configuration.keys, license=holding.license, device=holding.machine.device
        )
        with self._lock:
            if unix(reset.issued_at) <= self._keeper.memory.signed:
                raise UsedResetError("The clock reset was used already, or is older than what is known here.")
            self._keeper.memory = clock_memory.confirmed(unix(reset.issued_at))
            self._save()

    def _note_list(self) -> None:
        """Take the moment of the revocation list, which is signed as well."""
        issued_at = self._revocations.issued_at
        if issued_at is not None:
            with self._lock:
                self._keeper.memory = clock_memory.signed(self._keeper.memory, unix(issued_at))

    def settle(self, problem: Problem | None) -> License | Problem:
        """Answer a request with the held license, if it allows anything; else with the problem."""
        verdict = self.verdict()
        with self._lock:
            self._last_problem = problem
            if self._holding is None:
                self._last_problem = problem or problems.from_verdict(self._denial)
                return self._last_problem
            if verdict.is_allowed or verdict.reason is Reason.NO_SEAT:
                return self._holding.license
            self._last_problem = problems.from_verdict(verdict)
            return self._last_problem

    def _disbelieve(self, error: VerificationError) -> License | Problem:
        """Answer a request whose answer is not believed: with the held license, or with the reason."""
        with self._lock:
            if self._holding is None:
                self._denial = verdicts.denial_of(error)
        return self.settle(problems.from_error(error))

    def _give_up(self, problem: Problem, machine: Machine) -> Problem:
        """Stop using the license that the server refuses, until a later answer lifts that.

        The refusal itself is not signed, so it is not stored; but a last heartbeat may bring the signed word, which
        then also holds at a next start without network.
        """
        self.check_in()
        with self._lock:
            reason = _REASON_OF_CODE.get(problem.code, Reason.REFUSED)
            self._denial = verdicts.denied(reason, problem.sentence, problem.action)
            self._holding, self._last_problem, self._refused_device = None, problem, machine.info
        return problem

    def _stated_end(self) -> datetime | None:
        holding = self._holding
        return verdicts.stated_end(holding.license, holding.lease) if holding is not None else None

    def _is_contradicted(self, lease: Lease) -> bool:
        """Whether the list revokes what the lease calls active. The list counts; a newer text may settle it."""
        return lease.status is LeaseStatus.ACTIVE and self.verdict().reason is Reason.REVOKED

    def _refresh_list(self, lease: Lease) -> None:
        is_urgent = self._is_contradicted(lease)
        self._revocations.refresh_when_due(self._transport, self._clock.monotonic(), is_urgent=is_urgent)
        self._note_list()

    def _refresh_texts(self) -> CheckIn | None:
        """Get the license itself when a lease says more than it: only a license moves its end or lifts a revocation.

        Return the check-in with the new string, if there is one: the lease belonged to the old one.
        """
        holding = self._holding
        if holding is None:
            return None
        self._exchange(holding, file_too=True)
        return self.check_in() if self.lease is None else None

    def _exchange(self, holding: Holding, *, file_too: bool = False) -> bool:
        """Fetch the string of what is held, and take it over where it is believed; whether that went well.

        A file on disk is left alone: the program may be reading it; it asks again.
        """
        try:
            if file_too and holding.file is not None:
                raw = self._transport.request_license_file(holding.machine.info, _nonce(), holding.file.file_name)
                self._adopt_file(holding.machine, raw)
            issued = self._transport.request_license(holding.machine.info, _nonce())
            self._adopt(holding.machine, issued, keep_file=holding.file is not None)
        except TransportError as error:
            _LOG.info("the license was not renewed: %s", error.problem.code)
            return False
        except VerificationError as error:
            _LOG.warning("the renewed license is not believed: %s", error.code)
            return False
        return True

    def _note_sent(self) -> tuple[Holding | None, int]:
        """Return what checks in, and the number of this question: a held-back answer is known by it."""
        with self._lock:
            self._asked += 1
            if self._holding is not None:
                record = replace(self._holding.record, heartbeat_sent_at=unix(self.now()))
                self._holding = replace(self._holding, record=record)
            return self._holding, self._asked

    def _readings(self) -> tuple[datetime, float]:
        return self._clock.now(), self._clock.monotonic()

    def _seconds_since(self, began: tuple[datetime, float]) -> float:
        """Return how long something took, by the clock that says longer: one may be set, the other sleeps."""
        wall, monotonic = self._readings()
        return max((wall - began[0]).total_seconds(), monotonic - began[1])

    def _not_checked_in(self, problem: Problem, retry_after: timedelta | None) -> CheckIn:
        _LOG.info("the check-in did not succeed: %s", problem.code)
        self._last_problem = problem
        return CheckIn(problem=problem, retry_after=retry_after)

    def _believe(self, lease: Lease, text: str, license: License, question: int) -> CheckIn:
        """Take over a fresh lease; it also brings the server's time, which replaces what our clock showed before.

        The order of the questions counts, not the dates of the answers: the server's clock may have been set right.
        """
        with self._lock:
            if question < self._answered:
                overtaken = NonceMismatchError(
                    "The lease answers a question that was asked before the last answered one."
                )
                return CheckIn(problem=problems.from_error(overtaken))
            if self._holding is None or self._holding.string != license:
                exchanged = ForeignLeaseError("The license was exchanged while the server answered.")
                return CheckIn(problem=problems.from_error(exchanged))
            self._answered = question
            self._confirm(lease.issued_at)
            record = replace(self._holding.record, lease=text, lease_nonce=lease.nonce)
            self._holding, self._last_problem = replace(self._holding, record=record, lease=lease), None
            self._save(is_confirmed=True)
        return CheckIn(lease=lease)

    def _evidence(self, holding: Holding, now: datetime) -> Evidence:
        lease_end = holding.lease.expires_at if holding.lease else None
        return Evidence(
            lease=holding.lease,
            obtained_at=datetime.fromtimestamp(holding.record.obtained_at, UTC),
            first_grace=self._configuration.first_grace,
            highest_seen_at=datetime.fromtimestamp(self._keeper.memory.highest, UTC),
            listed_at=self._revocations.listed_at(holding.licenses),
            needs_contact=holding.file is None and bool(self._configuration.server_url),
            grace_until=self._sleep.grace_until(lease_end, now, self._clock.monotonic()),
            remind_within=self._configuration.remind_within,
            seat=self._seats.seat_of(holding.license),
        )

    def _note_time(self, holding: Holding, now: datetime) -> None:
        """Remember a reading of the own clock, unless it lies beyond the license's end and so proves nothing."""
        end = verdicts.license_end(holding.license, holding.lease, grace=self._configuration.first_grace)
        if end is not None and now >= end:
            return
        monotonic = self._clock.monotonic()
        elapsed, self._time_noted = int(monotonic - (self._time_noted or monotonic)), monotonic
        self._keeper.memory = clock_memory.seen(self._keeper.memory, unix(now), elapsed=elapsed)
        if self._keeper.unsaved_seconds() >= _SAVE_TIME_EVERY:
            self._save()

    def _save(self, *, replaces: bool = False, is_confirmed: bool = False) -> None:
        if self._holding is not None:
            self._holding = self._keeper.save(self._holding, replaces=replaces, is_confirmed=is_confirmed)


def _kept_list(configuration: Configuration) -> RevocationWatch:
    store = RevocationStore(configuration.revocations_stored_at)
    return RevocationWatch(store, configuration.keys, configuration.issuer)


def _moving(move_from: str) -> dict[str, str]:
    return {"move_from": move_from} if move_from else {}


def _nonce() -> str:
    return secrets.token_urlsafe(NONCE_BYTES)


def _is_unknown_string(problem: Problem | None) -> bool:
    return problem is not None and problem.status == _UNAUTHENTICATED_STATUS and problem.code == _UNAUTHENTICATED
