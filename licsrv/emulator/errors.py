"""Every refusal the emulator raises on purpose; nothing here is shared with the service's own errors.

::

    EmulatorError
    ├── ControlError          a control call that cannot be done; becomes {"error": "<sentence>"}
    ├── GatewayRefusedError   the API gateway in front of the open API says no (APIGW.0301)
    └── OpenApiRefusedError   the open API says no with one of its documented codes
"""

from __future__ import annotations

from enum import StrEnum


class EmulatorError(Exception):
    """Base of every refusal of the emulator."""


class ControlError(EmulatorError):
    """A control call cannot be done and has changed nothing.

    Args:
        sentence: What is wrong, for the person who drives the emulator.
        status: The HTTP status of the control API's answer, always 4xx.
    """

    def __init__(self, sentence: str, *, status: int = 400) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status


class GatewayRefusedError(EmulatorError):
    """The gateway did not accept the key pair or the signature (protocol/authorization-code.md §3.2).

    Args:
        tail: The documented end of ``error_msg``.
    """

    def __init__(self, tail: str) -> None:
        super().__init__(tail)
        self.tail = tail


class OpenApiRefusedError(EmulatorError):
    """The open API answers with an error code and has changed nothing.

    Args:
        code: One of the documented codes of the operation's dialect.
        reason: Which rule failed; for the emulator's own journal, never in the answer.
    """

    def __init__(self, code: StrEnum, reason: str = "") -> None:
        super().__init__(reason or code.name)
        self.code = code
        self.reason = reason
