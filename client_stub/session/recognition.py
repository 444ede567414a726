"""What this computer is to the server and to licenses: the program's device text, with the install identity.

The program gives what it gathered. Where that is nothing of its own, and there is a store, the identity that is kept
next to the store is named as well, so the program passes no path and verifies with ``device_info``.
"""

from __future__ import annotations

from pathlib import Path

from client_stub.machine.device_facts import installation
from client_stub.machine.device_facts.installation import Trouble
from client_stub.session import problems
from client_stub.session.holding import Machine
from client_stub.session.problems import Problem
from client_stub.trust import devices
from client_stub.trust import verdict as verdicts
from client_stub.trust.verdict import Reason, Verdict

NO_DEVICE_INFO = "|||"
_PROBLEMS = {Trouble.NOT_KEPT: problems.NO_IDENTITY, Trouble.COPIED: problems.COPIED_IDENTITY}


class Recognition:
    """Reads device texts.

    Args:
        store_at: The file of the store; the identity is next to it. None without a store.
    """

    def __init__(self, store_at: Path | None) -> None:
        self._identity_at = store_at.with_name(installation.NAME) if store_at else None
        self.problem: Problem | None = None
        self.device_info = ""

    @property
    def denial(self) -> Verdict:
        """The refusal while there is no license yet."""
        if self.problem is None:
            return verdicts.NO_LICENSE
        return verdicts.denied(Reason.NO_LICENSE, self.problem.sentence, self.problem.action)

    def machine(self, device_info: str) -> Machine:
        """Read the device text that the program gave; an empty one means four empty parts, for licenses of no device.

        Raises:
            InvalidDeviceInfoError: It cannot be read.
        """
        if not device_info:
            self.problem, self.device_info = None, ""
            return Machine(NO_DEVICE_INFO, devices.parse(NO_DEVICE_INFO))
        found = installation.identify(device_info, self._identity_at)
        self.problem = _PROBLEMS[found.trouble] if found.trouble else None
        self.device_info = found.text
        return Machine(found.text, devices.parse(found.text))
