"""The texts of ISCDesk's events, to the letter as the published samples; pure.

GAP: what a failed ``LicenseVerify`` carries. Taken: the form that was asked for, with an empty content or path.

Source: protocol/online-license-and-sdk.md §1.4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from licsrv.emulator.online_license.applications import LicenseKind

LICENSE_VERIFY = "EVENT_LICENSE_VERIFY"
UPGRADE_NOTICE = "EVENT_UPGRADENOTICE"
UPDATE = "EVENT_UPDATE"


@dataclass(frozen=True)
class LicenseFile:
    """A file that travels with an event; the receiver writes it where it wants it."""

    name: str
    content: bytes


@dataclass(frozen=True)
class DeskEvent:
    """One event for the software: its name, its text, and the file it speaks of."""

    name: str
    text: str
    file: LicenseFile | None = None


def license_string(text: str) -> DeskEvent:
    """Hand over a string license."""
    return DeskEvent(LICENSE_VERIFY, _verify("success", member="LicenseContent", value=text, kind=LicenseKind.STRING))


def license_file(name: str, content: bytes) -> DeskEvent:
    """Hand over a license file; the path in the text is its bare name."""
    text = _verify("success", member="LicenseFilePath", value=name, kind=LicenseKind.FILE)
    return DeskEvent(LICENSE_VERIFY, text, LicenseFile(name, content))


def no_license(kind: LicenseKind) -> DeskEvent:
    """Say that no license came."""
    member = "LicenseContent" if kind is LicenseKind.STRING else "LicenseFilePath"
    return DeskEvent(LICENSE_VERIFY, _verify("failed", member=member, value="", kind=kind))


def upgrade_notice(*, available: bool, as_boolean: bool) -> DeskEvent:
    """Answer a question for upgrades; the documents spell the truth as a string and as a boolean."""
    value: object = available if as_boolean else _word(truth=available)
    return DeskEvent(UPGRADE_NOTICE, _envelope("UpgradeNotice", {"available": value}))


def update(*, forced: bool) -> DeskEvent:
    """Say that the user chose to upgrade, or has to."""
    return DeskEvent(UPDATE, _envelope("Update", {"fromForceWin": _word(truth=forced)}))


def _verify(status: str, member: str, value: str, kind: LicenseKind) -> str:
    return _envelope("LicenseVerify", {"Status": status, member: value, "LicenseType": kind.value})


def _envelope(operate: str, params: Mapping[str, object]) -> str:
    members = {"operate": operate, "params": dict(params), "comeBackParams": {}}
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def _word(*, truth: bool) -> str:
    return "true" if truth else "false"
