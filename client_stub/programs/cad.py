"""A CAD program for the terminal: shows what a licensed desktop program does, and what its user would read.

Uses the client exactly as a real program would: the SDK's calls, its own verification of the license, the verdict
before every drawing. Decides nothing itself.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from client_stub.machine import license_folder
from client_stub.programs.terminal import Terminal, when
from client_stub.sdk.invoker import ResultStatus, SdkInvoker
from client_stub.session.configuration import Configuration
from client_stub.session.events import EventMessage, EventType, read_message
from client_stub.session.problems import STORE_NOT_WRITTEN, Problem
from client_stub.session.recognition import NO_DEVICE_INFO
from client_stub.trust.claims import License
from client_stub.trust.errors import VerificationError
from client_stub.trust.verdict import Permission, Verdict
from client_stub.trust.verification import verify_license, verify_license_file

PATIENCE = 30.0
"""Seconds to wait for an event; the SDK documents no limit."""
_BORROWED_FOR = timedelta(days=1)
_AFTERTHOUGHT = 1.0
"""Seconds in which ``EVENT_UPDATE`` is expected behind ``EVENT_UPGRADENOTICE``."""

_HELP = (
    "Commands: d draw, c check in now, s status, f get a license file, b borrow the seat for a day, r return it, u look"
    " for a new version, y or n answer its offer, o open from the cloud, w save to the cloud, g compute in the cloud,"
    " q quit."
)
_FLANGE = r"""
        .-"''"-.
      .'  o  o  '.
     /  o      o  \        flange DN50, 8 bolts
     |     ()     |        drawn with a valid license
     \  o      o  /
      '.  o  o  .'
        '-....-'
"""


@dataclass(frozen=True)
class Wish:
    """How the program asks for its license: as a string, or as a file of this name (empty for the usual one)."""

    device_info: str
    file_name: str | None = None
    patience: float = PATIENCE


class CadProgram:
    """The host program: one license, one window, one user."""

    def __init__(self, configuration: Configuration, wish: Wish, terminal: Terminal) -> None:
        self._configuration = configuration
        self._wish = wish
        self._terminal = terminal
        self._invoker = SdkInvoker(configuration)
        self._heard: queue.SimpleQueue[tuple[EventType, EventMessage]] = queue.SimpleQueue()
        self._checked_in: queue.SimpleQueue[Verdict] = queue.SimpleQueue()

    def EventRecall(self, event: EventType, message: str) -> None:
        """Take an event of the SDK; on the SDK's thread, so only what is needed happens here."""
        self._heard.put((event, read_message(message)))

    def play_once(self) -> bool:
        """Start, get the license, draw, check in, close. Return whether the program may work in the end."""
        return self._play([])

    def play(self, commands: Iterable[str]) -> bool:
        """Start, then obey one command per line until ``q`` or the end. Return whether it may work in the end."""
        return self._play(commands, is_interactive=True)

    def _play(self, commands: Iterable[str], *, is_interactive: bool = False) -> bool:
        try:
            if not self._start():
                return False
            self._draw()
            self._check_in()
            if is_interactive:
                self._help()
            self._obey(commands)
            return self._invoker.verdict.is_allowed
        finally:
            self._close()

    def _obey(self, commands: Iterable[str]) -> None:
        actions = {
            "d": self._draw,
            "c": self._check_in,
            "s": self._show_status,
            "f": self._get_file,
            "b": self._borrow,
            "r": self._return_seat,
            "u": self._look_for_version,
            "y": lambda: self._answer_offer(is_wanted=True),
            "n": lambda: self._answer_offer(is_wanted=False),
            "o": self._open_from_cloud,
            "w": self._save_to_cloud,
            "g": self._compute_in_cloud,
        }
        for command in commands:
            name = command.strip().lower()
            if name == "q":
                return
            actions.get(name, self._help)()

    def _help(self) -> None:
        self._terminal.say(_HELP, "quiet")

    def _start(self) -> bool:
        """Get a license and verify it, as every start of the program does."""
        self._terminal.say("CAD starts and asks for its license …")
        self._invoker.IscdeskFactory().Init()
        self._invoker.RegisterEventRecall(self, CadProgram.EventRecall)
        self._invoker.on_verdict(self._checked_in.put)
        return self._ask_for_license(self._wish.file_name)

    def _ask_for_license(self, file_name: str | None) -> bool:
        if file_name is None:
            status = self._invoker.GetLicenseStringRequest(self._wish.device_info)
        else:
            status = self._invoker.GetLicenseFileRequest(file_name, self._wish.device_info)
        if status is not ResultStatus.SUCCESS:
            self._terminal.say(f"The license cannot be asked for like this ({status.name}).", "bad")
            return False
        message = self._wait_for(EventType.EVENT_LICENSE_VERIFY)
        if message is None:
            self._terminal.say("No answer came. Close the program and try again later.", "bad")
            return False
        return self._take(message)

    def _take(self, message: EventMessage) -> bool:
        if not message.is_success:
            return self._go_on_without()
        problem = self._invoker.last_problem
        if problem is not None and problem.code == STORE_NOT_WRITTEN:
            self._terminal.say(problem.sentence, "note")
        elif problem is not None:
            self._terminal.say("The license server does not answer; the license stored here is used.", "note")
        try:
            believed = self._verified(message)
        except VerificationError as error:
            return self._refuse(error)
        self._invoker.LicenseVerifyNotify(True)
        self._terminal.show_license(believed)
        return self._take_seat() if believed.is_floating else True

    def _go_on_without(self) -> bool:
        """A request that brought nothing is no reason to stop while a license stored here still holds."""
        is_allowed = self._invoker.verdict.is_allowed
        headline = "There is no new license; the one stored here is used." if is_allowed else _NO_LICENSE
        self._explain(headline, self._invoker.last_problem, "note" if is_allowed else "bad")
        return is_allowed

    def _verified(self, message: EventMessage) -> License:
        """Verify string or file in the program itself, without network.

        Raises:
            VerificationError: It is not believed, or there is no file where the event says.
        """
        known, device_info = self._configuration, self._invoker.device_info or NO_DEVICE_INFO
        now, issuer, product = self._invoker.now, known.issuer, known.product
        path = message.text("LicenseFilePath")
        if not path:
            text = message.text("LicenseContent")
            return verify_license(
                text, known.keys, device_info=device_info, now=now, issuer=issuer, product=product, takes_seats=True
            )
        raw = license_folder.read(Path(path))
        self._terminal.say(f"The license file is {path}.", "quiet")
        return verify_license_file(
            raw,
            known.keys,
            device_info=device_info,
            now=now,
            issuer=issuer,
            product=product,
            require_both=known.require_both_signatures,
            takes_seats=True,
        )

    def _take_seat(self) -> bool:
        self._terminal.say("Taking a seat of the license …")
        self._invoker.CheckOut()
        return self._report_seat("There is no seat for this program.")

    def _borrow(self) -> None:
        self._invoker.Borrow(self._invoker.now + _BORROWED_FOR)
        self._report_seat("The seat was not borrowed.")

    def _return_seat(self) -> None:
        self._invoker.Return()
        self._report_seat("The seat was not given back.")

    def _report_seat(self, headline: str) -> bool:
        message = self._wait_for(EventType.EVENT_SEAT_RESULT)
        if message is None or not message.is_success:
            self._explain(headline, self._invoker.seat_problem or self._invoker.last_problem)
            return False
        seat = self._invoker.seat
        if seat is None:
            self._terminal.say("The seat was given back.")
            return True
        kind = "borrowed, good without network" if seat.is_borrowed else "renewed in the background"
        self._terminal.say(f"Seat until {when(seat.expires_at, '')}, {kind}.", "good")
        return True

    def _refuse(self, error: VerificationError) -> bool:
        self._invoker.LicenseVerifyNotify(False, str(error))
        self._terminal.say(f"The license is not accepted ({error.code}): {error} {error.action}", "bad")
        return False

    def _get_file(self) -> None:
        self._ask_for_license(self._wish.file_name or "")

    def _draw(self) -> None:
        """Draw, if the verdict of this very moment allows it."""
        verdict = self._invoker.verdict
        if verdict.is_allowed:
            self._terminal.say(_FLANGE)
        else:
            self._show_verdict(verdict)

    def _check_in(self) -> None:
        if not self._configuration.server_url:
            self._show_status()  # ISCDesk has no check-ins
            return
        self._terminal.say("Checking in with the license server …")
        while not self._checked_in.empty():
            self._checked_in.get()
        if self._invoker.check_in_now():
            self._await_check_in()
        if self._invoker.last_problem is not None:
            self._explain("The check-in did not succeed.", self._invoker.last_problem)
        self._show_status()

    def _await_check_in(self) -> None:
        try:
            self._checked_in.get(timeout=self._wish.patience)
        except queue.Empty:
            self._terminal.say("No answer came; it is tried again in the background.", "note")

    def _show_status(self) -> None:
        lease = self._invoker.lease
        if lease is None:
            self._terminal.say("Lease: none yet.", "quiet")
        else:
            until, due = when(lease.expires_at, "never"), when(lease.next_heartbeat_at, "never")
            self._terminal.say(f"Lease: {lease.status}, valid until {until}; next check-in about {due}.", "quiet")
        self._show_verdict(self._invoker.verdict)

    def _show_verdict(self, verdict: Verdict) -> None:
        tones = {Permission.ALLOWED: "good", Permission.ALLOWED_OFFLINE: "note", Permission.DENIED: "bad"}
        until = f" It may work until {when(verdict.until, '')}." if verdict.until else ""
        if verdict.notice:
            self._terminal.say(verdict.notice, "note")
        action = f" {verdict.action}" if verdict.action else ""
        self._terminal.say(
            f"{verdict.permission} ({verdict.reason}): {verdict.sentence}{until}{action}", tones[verdict.permission]
        )

    def _look_for_version(self) -> None:
        self._terminal.say("Looking for a new version …")
        self._invoker.CheckNewVersions()
        notice = self._wait_for(EventType.EVENT_UPGRADENOTICE)
        if notice is None or not notice.flag("available"):
            self._explain("There is no new version to be had.", self._invoker.last_problem, "quiet")
            return
        offer = self._wait_for(EventType.EVENT_UPDATE, _AFTERTHOUGHT)
        if offer is None:
            self._terminal.say("There is a new version; ISCDesk asks whether you want it.", "note")
            return
        self._show_offer(is_forced=offer.flag("fromForceWin"))

    def _show_offer(self, *, is_forced: bool) -> None:
        release = self._invoker.release
        name = f"version {release.version}" if release else "a new version"
        ending = "it has to be installed; save your work" if is_forced else "y to take it, n to leave it"
        self._terminal.say(f"There is {name}: {ending}.", "note")
        if release is not None:
            self._terminal.say(f"  {release.url}, {release.size} bytes, SHA-256 {release.sha256}", "quiet")
        if is_forced:
            self._answer_offer(is_wanted=True)

    def _answer_offer(self, *, is_wanted: bool) -> None:
        status = self._invoker.UpgradeNotify(is_wanted)
        texts = {
            ResultStatus.NOTHING_OFFERED: "No new version was offered.",
            ResultStatus.UPGRADE_IS_FORCED: "The vendor leaves no choice: it is installed after the program closes.",
        }
        kept = "It is installed after the program closes." if is_wanted else "It is not installed."
        self._terminal.say(texts.get(status, kept))

    def _open_from_cloud(self) -> None:
        self._invoker.OpenCloudFile()
        opened = self._wait_for(EventType.EVENT_OPENCLOUDFILE_RESULT)
        self._report_cloud("opened", is_done=opened is not None and bool(opened.text("mainFile")))

    def _save_to_cloud(self) -> None:
        self._invoker.Save("flange.dwg")
        saved = self._wait_for(EventType.EVENT_SAVE_RESULT)
        self._report_cloud("saved", is_done=saved is not None and saved.is_success)

    def _compute_in_cloud(self) -> None:
        self._report_cloud("computed", is_done=self._invoker.GetSolution("flange.dwg") is ResultStatus.SUCCESS)

    def _report_cloud(self, done: str, *, is_done: bool) -> None:
        if is_done:
            self._terminal.say(f"The file was {done} in the cloud.", "good")
        else:
            self._explain(f"Nothing was {done} in the cloud.", self._invoker.last_problem)

    def _wait_for(self, wanted: EventType, patience: float | None = None) -> EventMessage | None:
        """Return the message of the next event of this kind; others that come before it are left out."""
        until = time.monotonic() + (self._wish.patience if patience is None else patience)
        while True:
            try:
                event, message = self._heard.get(timeout=max(until - time.monotonic(), 0.0))
            except queue.Empty:
                return None
            if event is wanted:
                return message

    def _explain(self, headline: str, problem: Problem | None, tone: str = "bad") -> None:
        self._terminal.say(headline, tone)
        if problem is None:
            return
        self._terminal.say(f"  Why: {problem.sentence} ({problem.code})")
        if problem.action:
            self._terminal.say(f"  What to do: {problem.action}")
        if problem.request_id:
            self._terminal.say(f"  For support: request {problem.request_id}", "quiet")

    def _close(self) -> None:
        self._invoker.ShutOut()
        self._terminal.say("CAD closes.", "quiet")


_NO_LICENSE = "There is no license for this computer."
