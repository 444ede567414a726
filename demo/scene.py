"""What the steps share: the stage, the narrator, and who is in the story so far."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from client_stub import Lease, Problem
from demo.expectations import expect
from demo.marketplace import Marketplace, last_answer
from demo.narrator import Narrator
from demo.stage import Stage
from demo.workstation import Workstation

SUCCESS = '"resultCode":"000000"'


@dataclass
class Scene:
    """The story so far.

    Attributes:
        code: The first customer's code.
        second_code: The second customer's.
        desktops: Every desktop by name.
        ends_at: When the first customer's license ends, by the last signed statement.
        callback_id: The callback of the renewal.
        instance: The instance of the online license.
        site_code: The code whose license goes to a site without network, as a file.
        license_file: That file.
        old_order: The order of the License 1.0.
    """

    stage: Stage
    narrator: Narrator
    code: str = ""
    second_code: str = ""
    desktops: dict[str, Workstation] = field(default_factory=dict)
    ends_at: datetime | None = None
    callback_id: str = ""
    instance: str = ""
    site_code: str = ""
    license_file: Path = Path()
    old_order: str = ""

    @property
    def marketplace(self) -> Marketplace:
        """The emulator."""
        return self.stage.marketplace

    def say(self, sentence: str) -> None:
        """Print a sentence of the step."""
        self.narrator.say(sentence)

    def run(self, *words: str) -> str:
        """Print a ``licsrv`` command without the temporary folder, run it, and return what it printed."""
        self.narrator.command(f"licsrv {shlex.join(words)}".replace(f"{self.stage.folder}/", ""))
        return self.stage.command(*words)

    def desktop(self, name: str, device_info: str, code: str) -> Workstation:
        """Set up another desktop that asks the license server itself."""
        self.desktops[name] = self.stage.workstation(name, device_info, code)
        return self.desktops[name]

    def desktop_with_iscdesk(self, name: str, device_info: str) -> Workstation:
        """Set up another desktop with ISCDesk, which knows the instance of the online license."""
        self.desktops[name] = self.stage.workstation(name, device_info, self.instance, with_iscdesk=True)
        return self.desktops[name]

    def show_problem(self, desktop: Workstation, problem: Problem) -> None:
        """Print what the person at a desktop reads when the software does not get its license."""
        self.narrator.quote(desktop.name, f"{problem.sentence} {problem.action}".strip())
        status = f"HTTP {problem.status} " if problem.status else ""
        self.narrator.quote("for programs", f"{status}{problem.code}", "dim")

    def show_lease(self, desktop: Workstation, lease: Lease) -> None:
        """Print what a verified lease says."""
        verdict, until = desktop.verdict, when(lease.expires_at)
        said = f"lease {lease.status} until {until}" if verdict.is_allowed else f"lease {lease.status}"
        self.narrator.quote(desktop.name, f"{said}, program {verdict.permission}")

    def expect_lease(self, desktop: Workstation, status: str, permission: str) -> Lease:
        """Let a desktop check in, and check what the signed lease says and what the program may do then."""
        lease = desktop.check_in()
        expect(str(lease.status), status, f"status of the lease of {desktop.name}")
        expect(str(desktop.verdict.permission), permission, f"what the program on {desktop.name} may do")
        self.show_lease(desktop, lease)
        return lease

    def expect_success(self, callback: dict[str, Any]) -> None:
        """Check that our server answered 000000 to the last try of a callback, and print it."""
        expect(SUCCESS in last_answer(callback), True, f"answer to {callback['activity']}: {last_answer(callback)}")
        milliseconds = callback["attempts"][-1]["duration_ms"]
        self.narrator.quote(
            "marketplace", f"{callback['activity']} answered 000000 after {milliseconds:.0f} ms", "cyan"
        )


@dataclass(frozen=True)
class Step:
    """One step of the story; ``play`` returns what the table at the end says was observed."""

    title: str
    play: Callable[[Scene], str]


@dataclass(frozen=True)
class Act:
    """Steps that belong together: those of one product line, or of one concern."""

    title: str
    steps: tuple[Step, ...]


def when(moment: datetime | None) -> str:
    """Return a moment for people."""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"
