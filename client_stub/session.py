"""The client's memory while the program runs: the license in use, the newest lease, the time, and what went wrong.

Use cases: ``obtain`` a license, ``check_in`` (and ``keep_up``, which renews an ageing string first), and give the
``verdict`` on what the program may do. Outside things come in through the constructor: the way to the server, the
store, the clock. Nothing here raises on account of the network, the disk or what was received; failures are values.

Called from several threads: state changes under one lock, which is never held while the network is asked. An answer
that arrives after the license was exchanged is dropped.
"""

from __future__ import annotations

import logging
import secrets
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from client_stub import devices, problems, verification
from client_stub import verdict as verdicts
from client_stub.claims import Lease, License
from client_stub.clock import Clock, ConfirmedTime, best_estimate
from client_stub.configuration import Configuration
from client_stub.devices import DeviceInfo
from client_stub.errors import DeviceMismatchError, ForeignLeaseError, VerificationError
from client_stub.problems import Problem
from client_stub.store import LicenseStore, Record
from client_stub.transport import IssuedString, RefusedError, Transport, TransportError, UnansweredError
from client_stub.verdict import Evidence, Reason, Verdict

_LOG = logging.getLogger(__name__)
NO_DEVICE_INFO = "|||"
NONCE_BYTES = 24
_SAVE_TIME_EVERY = 600  # seconds; a killed program forgets at most this much of the highest time seen
_EPOCH = datetime.fromtimestamp(0, UTC)
_END_OF_TIME = datetime(2999, 12, 31, tzinfo=UTC)

_REASON_OF_CODE = {
    "LICENSE_EXPIRED": Reason.EXPIRED,
    "LICENSE_FROZEN": Reason.FROZEN,
    "LICENSE_REVOKED": Reason.REVOKED,
    "LICENSE_RELEASED": Reason.RELEASED,
    "DEVICE_MISMATCH": Reason.DEVICE_MISMATCH,
}


@dataclass(frozen=True)
class CheckIn:
    """What came of a heartbeat: a lease that is believed (it may say REVOKED), or a problem."""

    lease: Lease | None = None
    problem: Problem | None = None
    retry_after: timedelta | None = None


@dataclass(frozen=True)
class _Holding:
    """A license that is believed on this machine, and what belongs to it."""

    device_info: str
    device: DeviceInfo
    record: Record
    license: License
    lease: Lease | None


class LicenseSession:
    """One license of one running program."""

    def __init__(
        self, configuration: Configuration, *, transport: Transport, store: LicenseStore, clock: Clock
    ) -> None:
        self._configuration = configuration
        self._transport = transport
        self._store = store
        self._clock = clock
        self._lock = threading.RLock()
        self._holding: _Holding | None = None
        self._denial = verdicts.NO_LICENSE
        self._confirmed: ConfirmedTime | None = None
        self._time_saved = 0
        self._last_problem: Problem | None = None

    @property
    def last_problem(self) -> Problem | None:
        """Why the last request or check-in did not succeed; None when it did."""
        return self._last_problem

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

    def obtain(self, device_info: str) -> License | Problem:
        """Get a license for this machine: from the server, or, while it does not answer, the stored one.

        A refusal by the server is final for this run; the stored license is then not used either. The second time, the
        server is asked again, which costs no second place.
        """
        device_info = device_info or NO_DEVICE_INFO
        try:
            device = devices.parse(device_info)
            self._resume(device_info, device)
            self._adopt(device_info, device, self._transport.request_license(device_info, _nonce()))
        except RefusedError as refusal:
            return self._give_up(refusal.problem)
        except UnansweredError as error:
            return self._settle(error.problem)
        except VerificationError as error:
            return self._settle(problems.from_error(error))

        if not self.verdict().is_allowed:
            # A wrong clock makes a fresh license look bad; the answer to a heartbeat brings the true time.
            self.check_in()
        return self._settle(None)

    def keep_up(self) -> CheckIn:
        """Do what is due at a heartbeat: exchange the string when it is outdated, then check in."""
        holding = self._holding
        if holding is not None and _is_outdated(holding, self.now()):
            self._refresh(holding)
        return self.check_in()

    def check_in(self) -> CheckIn:
        """Send one heartbeat with a new nonce, and believe the answer only if it proves itself."""
        holding = self._note_sent()
        if holding is None:
            return CheckIn(problem=self._problem_of(self._denial))

        nonce = _nonce()
        try:
            text = self._transport.send_heartbeat(holding.record.license_string, holding.device_info, nonce)
            keys = self._configuration.keys
            lease = verification.authenticate_lease(text, keys, license=holding.license, nonce=nonce)
        except TransportError as error:
            return self._not_checked_in(error.problem, getattr(error, "retry_after", None))
        except VerificationError as error:
            return self._not_checked_in(problems.from_error(error), None)
        return self._believe(lease, text, holding.license)

    def verdict(self) -> Verdict:
        """Say what the program may do now, and remember the time."""
        with self._lock:
            holding = self._holding
            if holding is None:
                return self._denial
            now = self.now()
            verdict = verdicts.decide(holding.license, self._evidence(holding), now=now)
            self._note_time(holding, now)
            return verdict

    def reject(self, message: str) -> None:
        """Take the license out of use because the program itself does not accept it."""
        with self._lock:
            self._holding = None
            self._denial = verdicts.denied(Reason.REJECTED_BY_PROGRAM, message or "The program refused the license.")
            self._last_problem = self._problem_of(self._denial)

    def close(self) -> None:
        """Keep what is known and give connections back."""
        with self._lock:
            if self._holding is not None:
                self._store.save(self._holding.record, self._holding.device)
        self._transport.close()

    def _resume(self, device_info: str, device: DeviceInfo) -> None:
        """Take up the stored license, unless this machine's license is in use already."""
        with self._lock:
            if self._holding is not None and self._holding.device_info == device_info:
                return
            self._holding, self._denial = None, verdicts.NO_LICENSE
            record = self._store.load(device).record
            if record is None:
                return
            try:
                believed = self._authenticate(record.license_string, device_info)
            except VerificationError as error:
                self._denial = _denial_of(error)
                return
            self._hold(_Holding(device_info, device, record, believed, self._stored_lease(record, believed)))

    def _authenticate(self, license_string: str, device_info: str) -> License:
        """Believe a string apart from its span, which depends on leases and on how far the clock can be trusted."""
        believed = verification.authenticate_license(
            license_string,
            self._configuration.keys,
            issuer=self._configuration.issuer,
            product=self._configuration.product,
        )
        verification.check_device(believed, device_info)
        return believed

    def _stored_lease(self, record: Record, license: License) -> Lease | None:
        if not record.lease:
            return None
        try:
            keys = self._configuration.keys
            return verification.authenticate_lease(record.lease, keys, license=license, nonce=record.lease_nonce)
        except VerificationError as error:
            _LOG.warning("the stored lease is not used: %s", error.code)
            return None

    def _adopt(self, device_info: str, device: DeviceInfo, issued: IssuedString) -> None:
        """Put a string that the server has just handed out into use, and on disk before anybody hears of it."""
        believed = self._authenticate(issued.license_string, device_info)
        with self._lock:
            now = _unix(self.now())
            record = Record(issued.license_string, obtained_at=now, highest_seen_at=now)
            lease = None
            if self._holding is not None and _is_same_string(self._holding.license, believed):
                record, lease = replace(self._holding.record, obtained_at=now), self._holding.lease
            if self._holding is not None:
                record = replace(record, highest_seen_at=max(now, self._holding.record.highest_seen_at))
            record = replace(record, refresh_after=_plausible(issued.refresh_after))
            self._hold(_Holding(device_info, device, record, believed, lease))
            self._save()

    def _hold(self, holding: _Holding) -> None:
        """Use this license, and count what it and its lease say about the time as seen."""
        signed = [holding.license.issued_at, *([holding.lease.issued_at] if holding.lease else [])]
        highest = max(holding.record.highest_seen_at, *(_unix(moment) for moment in signed))
        self._holding = replace(holding, record=replace(holding.record, highest_seen_at=highest))

    def _settle(self, problem: Problem | None) -> License | Problem:
        """Answer a request with the license at hand, if it allows anything; else say what stands in the way."""
        verdict = self.verdict()
        with self._lock:
            self._last_problem = problem
            if self._holding is None:
                self._last_problem = problem or self._problem_of(self._denial)
                return self._last_problem
            if verdict.is_allowed:
                return self._holding.license
            self._last_problem = self._problem_of(verdict)
            return self._last_problem

    def _give_up(self, problem: Problem) -> Problem:
        """Stop using the license that the server refuses.

        The refusal itself is not signed, so it is not stored; but a last heartbeat may bring the signed word, which
        then also holds at a next start without network.
        """
        self.check_in()
        with self._lock:
            reason = _REASON_OF_CODE.get(problem.code, Reason.REFUSED)
            self._denial = verdicts.denied(reason, problem.sentence, problem.action)
            self._holding, self._last_problem = None, problem
        return problem

    def _refresh(self, holding: _Holding) -> None:
        try:
            issued = self._transport.request_license(holding.device_info, _nonce())
            self._adopt(holding.device_info, holding.device, issued)
        except TransportError as error:
            _LOG.info("the license string was not renewed: %s", error.problem.code)
        except VerificationError as error:
            _LOG.warning("the renewed license string is not believed: %s", error.code)

    def _note_sent(self) -> _Holding | None:
        with self._lock:
            if self._holding is not None:
                record = replace(self._holding.record, heartbeat_sent_at=_unix(self.now()))
                self._holding = replace(self._holding, record=record)
            return self._holding

    def _not_checked_in(self, problem: Problem, retry_after: timedelta | None) -> CheckIn:
        _LOG.info("the check-in did not succeed: %s", problem.code)
        self._last_problem = problem
        return CheckIn(problem=problem, retry_after=retry_after)

    def _believe(self, lease: Lease, text: str, license: License) -> CheckIn:
        """Take over a fresh lease; with it the server has told the time, so what our clock showed before is void."""
        with self._lock:
            if self._holding is None or self._holding.license != license:
                exchanged = ForeignLeaseError("The license was exchanged while the server answered.")
                return CheckIn(problem=problems.from_error(exchanged))
            self._confirmed = ConfirmedTime(lease.issued_at, self._clock.now(), self._clock.monotonic())
            record = replace(
                self._holding.record, lease=text, lease_nonce=lease.nonce, highest_seen_at=_unix(lease.issued_at)
            )
            self._holding = replace(self._holding, record=record, lease=lease)
            self._last_problem = None
            self._save()
        return CheckIn(lease=lease)

    def _evidence(self, holding: _Holding) -> Evidence:
        return Evidence(
            lease=holding.lease,
            obtained_at=datetime.fromtimestamp(holding.record.obtained_at, UTC),
            first_grace=self._configuration.first_grace,
            highest_seen_at=datetime.fromtimestamp(holding.record.highest_seen_at, UTC),
        )

    def _note_time(self, holding: _Holding, now: datetime) -> None:
        seen = _unix(now)
        if seen <= holding.record.highest_seen_at:
            return
        self._holding = replace(holding, record=replace(holding.record, highest_seen_at=seen))
        if seen - self._time_saved >= _SAVE_TIME_EVERY:
            self._save()

    def _save(self) -> None:
        if self._holding is not None:
            self._store.save(self._holding.record, self._holding.device)
            self._time_saved = self._holding.record.highest_seen_at

    @staticmethod
    def _problem_of(verdict: Verdict) -> Problem:
        return Problem(verdict.reason.value, verdict.sentence, verdict.action)


def _nonce() -> str:
    return secrets.token_urlsafe(NONCE_BYTES)


def _unix(moment: datetime) -> int:
    """Return whole seconds, kept inside what the store accepts whatever a desktop's clock claims."""
    return int(min(max(moment, _EPOCH), _END_OF_TIME).timestamp())


def _is_same_string(one: License, other: License) -> bool:
    return (one.license_id, one.string_id) == (other.license_id, other.string_id)


def _is_outdated(holding: _Holding, now: datetime) -> bool:
    """True from ``refresh_after`` on, and when a lease has moved the end that the string itself still tells."""
    refresh_after = holding.record.refresh_after
    if refresh_after is not None and now.timestamp() >= refresh_after:
        return True
    return verdicts.license_end(holding.license, holding.lease) != holding.license.expires_at


def _plausible(moment: datetime | None) -> int | None:
    return None if moment is None else _unix(moment)


def _denial_of(error: VerificationError) -> Verdict:
    reason = Reason.DEVICE_MISMATCH if isinstance(error, DeviceMismatchError) else Reason.INVALID_LICENSE
    return verdicts.denied(reason, str(error), error.action)
