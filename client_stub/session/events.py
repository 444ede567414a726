"""The events of the SDK and their messages: written byte for byte as published, read tolerantly.

Pure. Source: protocol/online-license-and-sdk.md §1.3 and §1.4. The names are the SDK's; their numeric values were not
found (GAP, §10), so the numbers here are ours. The names of the heartbeat and client-closing events and the messages
of upload and solve were not found either and are left out. ``EVENT_LICENSE_CHANGED``, ``EVENT_SEAT_RESULT`` and
``EVENT_DEVICES_RESULT`` with their messages are ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class EventType(IntEnum):
    """What happened; first argument of the event callback."""

    EVENT_LICENSE_VERIFY = 1
    EVENT_UPGRADENOTICE = 2
    EVENT_UPDATE = 3
    EVENT_OPENCLOUDFILE_RESULT = 4
    EVENT_SAVE_RESULT = 5
    EVENT_UPLOAD_START = 6
    EVENT_UPLOAD_END = 7
    EVENT_LICENSE_CHANGED = 101
    EVENT_SEAT_RESULT = 102
    EVENT_DEVICES_RESULT = 103


class LicenseType(IntEnum):
    """The two forms of a license. Only ``LICENSE_TYPE_FILE`` was found (GAP, §10); the other member is ours."""

    LICENSE_TYPE_STRING = 0
    LICENSE_TYPE_FILE = 1

    @property
    def word(self) -> str:
        """How messages call it: ``string`` or ``file``."""
        return "file" if self is LicenseType.LICENSE_TYPE_FILE else "string"


_EVENT_OF_OPERATE = {
    "LicenseVerify": EventType.EVENT_LICENSE_VERIFY,
    "UpgradeNotice": EventType.EVENT_UPGRADENOTICE,
    "Update": EventType.EVENT_UPDATE,
    "OpenFile": EventType.EVENT_OPENCLOUDFILE_RESULT,
    "SaveResult": EventType.EVENT_SAVE_RESULT,
    "LicenseChanged": EventType.EVENT_LICENSE_CHANGED,
    "Seat": EventType.EVENT_SEAT_RESULT,
    "Devices": EventType.EVENT_DEVICES_RESULT,
}
_LONGEST_MESSAGE = 256 * 1024


class EventMessageError(ValueError):
    """The text is not a message of the SDK; the sentence says what is wrong and repeats nothing of it."""


@dataclass(frozen=True)
class EventMessage:
    """A message of the SDK, read."""

    operate: str
    parameters: Mapping[str, object]

    @property
    def event(self) -> EventType | None:
        """The event that such a message comes with; None when this program does not know it."""
        return _EVENT_OF_OPERATE.get(self.operate)

    @property
    def is_success(self) -> bool:
        """True when ``Status`` (of a license) or ``status`` (of a save) says so; their spelling differs there."""
        return "success" in (self.parameters.get("Status"), self.parameters.get("status"))

    def text(self, name: str) -> str:
        """Return a parameter; empty when it is absent or something else than text.

        Whether a failure has an empty content or none is not documented (GAP): both are empty here.
        """
        value = self.parameters.get(name)
        return value if isinstance(value, str) else ""

    def flag(self, name: str) -> bool:
        """Return a parameter that is true or false; a string in newer pages (``"true"``), a boolean in older ones."""
        value = self.parameters.get(name)
        return value is True or (isinstance(value, str) and value.lower() == "true")


def read_message(text: str) -> EventMessage:
    """Read the message of an event.

    Raises:
        EventMessageError: It is not a JSON object with ``operate`` and ``params``.
    """
    if len(text) > _LONGEST_MESSAGE:
        raise EventMessageError("The message is too long.")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EventMessageError("The message is not JSON.") from error
    if not isinstance(message, dict):
        raise EventMessageError("The message is not an object.")
    operate, parameters = message.get("operate"), message.get("params")
    if not isinstance(operate, str) or not isinstance(parameters, dict):
        raise EventMessageError("The message has no operate or no params.")
    return EventMessage(operate, parameters)


def license_arrived(license_string: str) -> str:
    """Return the message of ``EVENT_LICENSE_VERIFY`` for a license string."""
    return _license_verify("success", "LicenseContent", license_string, kind=LicenseType.LICENSE_TYPE_STRING)


def license_file_arrived(path: str) -> str:
    """Return the message of ``EVENT_LICENSE_VERIFY`` for a license file at ``path``."""
    return _license_verify("success", "LicenseFilePath", path, kind=LicenseType.LICENSE_TYPE_FILE)


def license_failed(kind: LicenseType = LicenseType.LICENSE_TYPE_STRING) -> str:
    """Return the message of ``EVENT_LICENSE_VERIFY`` when there is no license.

    No sample of a failure is published (INFER): ``Status`` is ``failed``, the type stays, the content is empty.
    ``comeBackParams`` is empty in every sample, so the reason is not put there; ask ``SdkInvoker.last_problem``.
    """
    member = "LicenseFilePath" if kind is LicenseType.LICENSE_TYPE_FILE else "LicenseContent"
    return _license_verify("failed", member, "", kind=kind)


def license_changed(changed: Iterable[str]) -> str:
    """Return the message of ``EVENT_LICENSE_CHANGED``: which of permission, features, end and places differ now."""
    return _envelope("LicenseChanged", {"changed": ",".join(changed)})


def seat_result(action: str, *, until: datetime | None, code: str = "") -> str:
    """Return the message of ``EVENT_SEAT_RESULT``.

    Args:
        action: What was asked for: checkout, return or borrow.
        until: When the seat that is held ends; None without one.
        code: Why it was not done; empty when it was.
    """
    status, end = "failed" if code else "success", until.isoformat() if until else ""
    return _envelope("Seat", {"status": status, "action": action, "until": end, "code": code})


def devices_result(action: str, *, code: str = "") -> str:
    """Return the message of ``EVENT_DEVICES_RESULT``; ``action`` is list or release, ``code`` says why not."""
    return _envelope("Devices", {"status": "failed" if code else "success", "action": action, "code": code})


def upgrade_notice(*, available: bool, as_boolean: bool = False) -> str:
    """Return the message of ``EVENT_UPGRADENOTICE``; pages differ on whether ``available`` is a string."""
    return _envelope("UpgradeNotice", {"available": available if as_boolean else _spelled(available)})


def update(*, is_forced: bool) -> str:
    """Return the message of ``EVENT_UPDATE``."""
    return _envelope("Update", {"fromForceWin": _spelled(is_forced)})


def open_file_result(
    main_file: str, *, open_type: str = "OpenOnly", work_state: str = "CHECKIN", is_assembly: bool = False
) -> str:
    """Return the message of ``EVENT_OPENCLOUDFILE_RESULT``; an empty ``main_file`` says that nothing was opened.

    The published message has no place for a failure (INFER).
    """
    parameters = {"mainFile": main_file, "openType": open_type, "workState": work_state}
    return _envelope("OpenFile", parameters | {"assembly": _spelled(is_assembly)})


def save_result(*, is_saved: bool) -> str:
    """Return the message of ``EVENT_SAVE_RESULT``."""
    return _envelope("SaveResult", {"status": "success" if is_saved else "failed"})


def _license_verify(status: str, member: str, content: str, kind: LicenseType) -> str:
    return _envelope("LicenseVerify", {"Status": status, member: content, "LicenseType": kind.word})


def _spelled(value: bool) -> str:
    return "true" if value else "false"


def _envelope(operate: str, parameters: Mapping[str, object]) -> str:
    message = {"operate": operate, "params": parameters, "comeBackParams": {}}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
