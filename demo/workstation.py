"""A desktop with a licensed program on it: ``client_stub`` exactly as a vendor's program links it.

Turns the SDK's events, which arrive on a thread of their own, into answers that a story can wait for. The license is
verified here a second time, by the program itself and without network, as a real program should.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2

from client_stub import (
    Configuration,
    EventType,
    Lease,
    License,
    PinnedKeys,
    Problem,
    Release,
    SdkInvoker,
    Verdict,
    verify_license,
    verify_license_file,
)
from client_stub.machine.threads import Alarm
from client_stub.session.license_devices import LicenseDevice
from client_stub.trust.seats import Seat
from demo.expectations import UnexpectedError

VERSION, PLATFORM = "3.2.1", "linux-x86_64"
_PATIENCE = 15.0
_NOT_BY_ITSELF = timedelta(days=3650)  # the story decides when a program checks in


class StoryClock:
    """The clock of every desktop in the story: this computer's, moved."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the story's time."""
        return datetime.now(UTC) + self._offset

    def monotonic(self) -> float:
        """Return seconds that never jump, moved along with the wall clock: days do pass in the story."""
        return monotonic() + self._offset.total_seconds()

    def move_to(self, moment: datetime) -> None:
        """Go on from a moment."""
        self._offset = moment - datetime.now(UTC)


@dataclass(frozen=True)
class Surroundings:
    """What a desktop of the story finds around it; without an address of ISCDesk it has none."""

    server_url: str
    keys: PinnedKeys
    folder: Path
    clock: StoryClock
    iscdesk_url: str = ""


class OnlyWhenAsked(Alarm):
    """Lets a program check in when the story says so, however long the story takes: a real one asks by itself."""

    def wait(self, seconds: float) -> None:
        """Return when rung; the time that would have been waited does not count."""
        super().wait(max(seconds, threading.TIMEOUT_MAX))


class Workstation:
    """One desktop."""

    def __init__(self, name: str, device_info: str, code: str, around: Surroundings) -> None:
        self.name = name
        self.device_info = device_info
        self._around = around
        self._events: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[tuple[EventType, Mapping[str, Any]]] = queue.SimpleQueue()
        self._seats: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
        configuration = Configuration(
            server_url=around.server_url,
            code=code,
            keys=around.keys,
            store_path=around.folder / f"{name}.json",
            client_name=name,
            client_version=VERSION,
            iscdesk_url=around.iscdesk_url,
            license_folder=around.folder / name,
            platform=PLATFORM,
            first_heartbeat_within=_NOT_BY_ITSELF,
        )
        self._invoker = SdkInvoker(
            configuration, clock=around.clock, uniform=lambda _, longest: longest, alarm=OnlyWhenAsked()
        )
        self._invoker.IscdeskFactory().Init()
        self._invoker.RegisterEventRecall(self._on_event)
        self._invoker.on_verdict(self._verdicts.put)
        self.license_string = ""

    def ask(self) -> License | Problem:
        """Ask for the license, and verify it in the program itself; a refusal is an answer."""
        self._invoker.GetLicenseStringRequest(self.device_info)
        return self._answer()

    def _answer(self) -> License | Problem:
        parameters = self._next_event()
        if parameters["Status"] != "success":
            return self.problem
        self.license_string = parameters["LicenseContent"]
        license = self.verify(self.license_string)
        self._invoker.LicenseVerifyNotify(True)
        return license

    @property
    def movable(self) -> Sequence[LicenseDevice]:
        """The devices whose place this one may take, after a refusal."""
        return self._invoker.movable

    def move_here(self, device: LicenseDevice) -> License | Problem:
        """Take the place of a device that the refusal named."""
        self._invoker.MoveHere(device.device_id)
        return self._answer()

    def check_out(self) -> Seat | Problem:
        """Take a seat, and wait in line where none is free; a refusal is an answer."""
        self._invoker.CheckOut(queue=True)
        return self._seat()

    def borrow(self, until: datetime) -> Seat | Problem:
        """Borrow the seat; a refusal is an answer."""
        self._invoker.Borrow(until)
        return self._seat()

    def _seat(self) -> Seat | Problem:
        self._wait(self._seats, "an answer about a seat")
        held = self._invoker.seat_problem or self._invoker.seat
        if held is None:
            raise UnexpectedError(f"{self.name} got no seat and no refusal.")
        return held

    def ask_for_file(self, file_name: str) -> Path | Problem:
        """Ask for a license file by name, verify it, and return where it is; a refusal is an answer."""
        self._invoker.GetLicenseFileRequest(file_name, self.device_info)
        parameters = self._next_event()
        if parameters["Status"] != "success":
            return self.problem
        path = Path(parameters["LicenseFilePath"])
        verify_license_file(path.read_bytes(), self._around.keys, device_info=self.device_info, now=self._invoker.now)
        self._invoker.LicenseVerifyNotify(True)
        return path

    def check_versions(self) -> Release | None:
        """Ask for a newer version and return what is offered and signed; the program wants it.

        With ISCDesk the offer comes from there and nothing is signed by the vendor: None, see ``is_upgrade_agreed``.

        Raises:
            UnexpectedError: No answer came.
        """
        self._invoker.CheckNewVersions()
        event, parameters = self._wait(self._news, "an answer about new versions")
        if event is EventType.EVENT_UPGRADENOTICE and parameters["available"] == "false":
            return None
        self._wait(self._news, "the offer of a new version")
        self._invoker.UpgradeNotify(True)
        return self._invoker.release

    @property
    def is_upgrade_agreed(self) -> bool:
        """Whether the program has been offered a version and has said yes."""
        return self._invoker.upgrade_wanted

    def verify(self, license_string: str, device_info: str | None = None) -> License:
        """Verify a license string with nothing but the pinned keys: no network is involved.

        Raises:
            VerificationError: It is not believed.
        """
        facts = device_info or self.device_info
        return verify_license(
            license_string, self._around.keys, device_info=facts, now=self._invoker.now, takes_seats=True
        )

    def check_in(self) -> Lease:
        """Check in now and return the lease that was verified.

        Raises:
            UnexpectedError: No lease came.
        """
        self._check_in()
        if self._invoker.lease is None and self._invoker.last_problem is None:
            self._check_in()  # the first one brought a renewed license, which has no lease before its own check-in
        lease = self._invoker.lease
        if self._invoker.last_problem is not None or lease is None:
            raise UnexpectedError(f"{self.name} got no lease: {self._invoker.last_problem}")
        return lease

    def _check_in(self) -> None:
        before = self._invoker.lease
        if not self._invoker.check_in_now():
            raise UnexpectedError(f"{self.name} has no license to check in with.")
        self._wait(self._verdicts, "the end of a check-in")
        while self._invoker.lease is before and self._invoker.last_problem is None:  # a verdict of before came first
            self._wait(self._verdicts, "the end of a check-in")

    @property
    def verdict(self) -> Verdict:
        """What the program may do at this moment."""
        return self._invoker.verdict

    @property
    def problem(self) -> Problem:
        """The latest problem.

        Raises:
            UnexpectedError: There was none.
        """
        if self._invoker.last_problem is None:
            raise UnexpectedError(f"{self.name} has no problem to show.")
        return self._invoker.last_problem

    def give_back(self) -> dict[str, Any]:
        """Give this device's place back and return the server's answer."""
        headers = {"Authorization": f"Bearer {self.license_string}"}
        with httpx2.Client(base_url=self._around.server_url, trust_env=False, timeout=_PATIENCE) as http:
            response = http.post("/v1/devices/release", headers=headers, json={"device_info": self.device_info})
        if response.status_code != 200:
            raise UnexpectedError(f"The place was not taken back: {response.text[:300]}")
        answer: dict[str, Any] = response.json()
        return answer

    def close(self) -> None:
        """End the program."""
        self._invoker.ShutOut()

    def _on_event(self, event: EventType, message: str) -> None:
        parameters = json.loads(message)["params"]
        if event is EventType.EVENT_LICENSE_VERIFY:
            self._events.put(parameters)
        elif event is EventType.EVENT_SEAT_RESULT:
            self._seats.put(parameters)
        elif event in (EventType.EVENT_UPGRADENOTICE, EventType.EVENT_UPDATE):
            self._news.put((event, parameters))

    def _next_event(self) -> Mapping[str, Any]:
        parameters: Mapping[str, Any] = self._wait(self._events, "an answer about the license")
        return parameters

    def _wait(self, source: queue.SimpleQueue[Any], what: str) -> Any:
        try:
            return source.get(timeout=_PATIENCE)
        except queue.Empty:
            raise UnexpectedError(f"{self.name} waited {_PATIENCE:g} s for {what}.") from None
