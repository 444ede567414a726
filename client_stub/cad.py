"""A CAD program for the terminal: shows what a licensed desktop program does, and what its user would read.

Uses the client exactly as a real program would: the SDK's calls, its own verification of the string, the verdict
before every drawing. Decides nothing itself. Texts from the network are stripped of control characters, because a
terminal obeys them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from datetime import datetime
from typing import TextIO

from client_stub.claims import License
from client_stub.configuration import Configuration
from client_stub.errors import VerificationError
from client_stub.events import EventType
from client_stub.problems import Problem
from client_stub.sdk import SdkInvoker
from client_stub.session import NO_DEVICE_INFO
from client_stub.verdict import Permission, Verdict
from client_stub.verification import verify_license

PATIENCE = 30.0
"""Seconds to wait for an event; the SDK documents no limit."""

_COLOURS = {"good": "32", "bad": "31", "note": "33", "quiet": "2"}
_HELP = "Commands: d draw, c check in now, s status, q quit."
_FLANGE = r"""
        .-"''"-.
      .'  o  o  '.
     /  o      o  \        flange DN50, 8 bolts
     |     ()     |        drawn with a valid license
     \  o      o  /
      '.  o  o  .'
        '-....-'
"""


class Terminal:
    """Writes lines, in colour only where a person sees them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_colour = stream.isatty()

    def say(self, text: str, tone: str = "") -> None:
        """Write one line (or a drawing); ``tone`` is good, bad, note, quiet or nothing."""
        safe = "".join(character for character in text if character.isprintable() or character == "\n")
        if self._in_colour and tone:
            safe = f"\x1b[{_COLOURS[tone]}m{safe}\x1b[0m"
        self._stream.write(safe + "\n")
        self._stream.flush()


class CadProgram:
    """The host program: one license, one window, one user."""

    def __init__(self, configuration: Configuration, device_info: str, terminal: Terminal) -> None:
        self._configuration = configuration
        self._device_info = device_info
        self._terminal = terminal
        self._invoker = SdkInvoker(configuration)
        self._license_event = threading.Event()
        self._checked_in = threading.Event()
        self._message = ""

    def EventRecall(self, event: EventType, message: str) -> None:
        """Take an event of the SDK; on the SDK's thread, so only what is needed happens here."""
        if event is EventType.EVENT_LICENSE_VERIFY:
            self._message = message
            self._license_event.set()

    def play_once(self) -> bool:
        """Start, get the license, draw, check in, close. Return whether the program may work in the end."""
        try:
            if not self._start():
                return False
            self._draw()
            self._check_in()
            return self._invoker.verdict.is_allowed
        finally:
            self._close()

    def play(self, commands: Iterable[str]) -> bool:
        """Start, then obey one command per line until ``q`` or the end. Return whether it may work in the end."""
        try:
            if not self._start():
                return False
            self._draw()
            self._check_in()
            self._terminal.say(_HELP, "quiet")
            self._obey(commands)
            return self._invoker.verdict.is_allowed
        finally:
            self._close()

    def _obey(self, commands: Iterable[str]) -> None:
        actions = {"d": self._draw, "c": self._check_in, "s": self._show_status}
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
        self._invoker.on_verdict(lambda _: self._checked_in.set())
        self._invoker.GetLicenseStringRequest(self._device_info)
        if not self._license_event.wait(PATIENCE):
            self._terminal.say("No answer came. Close the program and try again later.", "bad")
            return False
        return self._take(json.loads(self._message)["params"])

    def _take(self, parameters: dict[str, str]) -> bool:
        if parameters["Status"] != "success":
            self._explain("There is no license for this computer.", self._invoker.last_problem)
            return False
        if self._invoker.last_problem is not None:
            self._terminal.say("The license server does not answer; the license stored here is used.", "note")
        return self._verify(parameters["LicenseContent"])

    def _verify(self, license_string: str) -> bool:
        """Verify the string in the program itself, without network, and tell the SDK the outcome."""
        try:
            believed = verify_license(
                license_string,
                self._configuration.keys,
                device_info=self._device_info or NO_DEVICE_INFO,
                now=self._invoker.now,
                issuer=self._configuration.issuer,
                product=self._configuration.product,
            )
        except VerificationError as error:
            return self._refuse(error)
        self._invoker.LicenseVerifyNotify(True)
        self._show_license(believed)
        return True

    def _refuse(self, error: VerificationError) -> bool:
        self._invoker.LicenseVerifyNotify(False, str(error))
        self._terminal.say(f"The license is not accepted ({error.code}): {error} {error.action}", "bad")
        return False

    def _show_license(self, believed: License) -> None:
        kinds = [
            word for word, holds in (("test", believed.is_test), ("provisional", believed.is_provisional)) if holds
        ]
        kind = f" ({', '.join(kinds)})" if kinds else ""
        self._terminal.say(
            f"License for {believed.product or 'this software'} verified on this computer, without network{kind}.",
            "good",
        )
        self._terminal.say(
            f"  Features: {', '.join(believed.features) or 'the basic ones'}; quantity {believed.quantity}."
        )
        self._terminal.say(f"  Ends: {_when(believed.expires_at, 'never')}.")

    def _draw(self) -> None:
        """Draw, if the verdict of this very moment allows it."""
        verdict = self._invoker.verdict
        if verdict.is_allowed:
            self._terminal.say(_FLANGE)
        else:
            self._show_verdict(verdict)

    def _check_in(self) -> None:
        self._terminal.say("Checking in with the license server …")
        self._checked_in.clear()
        if self._invoker.check_in_now() and not self._checked_in.wait(PATIENCE):
            self._terminal.say("No answer came; it is tried again in the background.", "note")
        if self._invoker.last_problem is not None:
            self._explain("The check-in did not succeed.", self._invoker.last_problem)
        self._show_status()

    def _show_status(self) -> None:
        lease = self._invoker.lease
        if lease is None:
            self._terminal.say("Lease: none yet.", "quiet")
        else:
            until, due = _when(lease.expires_at, "never"), _when(lease.next_heartbeat_at, "never")
            self._terminal.say(f"Lease: {lease.status}, valid until {until}; next check-in about {due}.", "quiet")
        self._show_verdict(self._invoker.verdict)

    def _show_verdict(self, verdict: Verdict) -> None:
        tones = {Permission.ALLOWED: "good", Permission.ALLOWED_OFFLINE: "note", Permission.DENIED: "bad"}
        until = f" It may work until {_when(verdict.until, '')}." if verdict.until else ""
        action = f" {verdict.action}" if verdict.action else ""
        self._terminal.say(
            f"{verdict.permission} ({verdict.reason}): {verdict.sentence}{until}{action}", tones[verdict.permission]
        )

    def _explain(self, headline: str, problem: Problem | None) -> None:
        self._terminal.say(headline, "bad")
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


def _when(moment: datetime | None, never: str) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else never
