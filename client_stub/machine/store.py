"""What the client remembers between two starts of the program: one small JSON file per license.

It holds the license string or file, the last lease with the nonce that it answers, and the highest time ever seen, so
a server outage is not noticed and a clock that was set back is. A store that is missing, damaged, edited, or copied
from another machine is like a new one: the program needs the network once, and nothing is ever raised.

The seal stops casual editing, not a reader of this source: who controls a machine controls what is on it.
It consists of a keyed checksum, and of the device's parts hashed with a salt that is derived from the content. So a
changed network card does not cost the stored license (the rule of two parts holds here too), but another machine does.

Does not verify signatures and does not decide anything: what comes out is verified like what comes from the network.
Two programs on one machine may use the same file: ``session.keeping`` has them take turns and puts together what both
know.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from client_stub.machine import disk
from client_stub.trust.device_match import Part
from client_stub.trust.devices import DeviceBinding, DeviceInfo, bind

_LOG = logging.getLogger(__name__)
_VERSION = 1
_MAXIMUM_BYTES = 256 * 1024
_NEWER_MEMBERS = {"license_file", "signed_at", "leapt_to"}
_LAST_SECOND = 32503679999  # 2999-12-31T23:59:59Z


class Condition(StrEnum):
    """In which state the file was found."""

    GOOD = "GOOD"
    MISSING = "MISSING"
    DAMAGED = "DAMAGED"
    """Cannot be read, or was edited."""
    FOREIGN = "FOREIGN"
    """Written on another machine."""


@dataclass(frozen=True)
class Record:
    """What is remembered. Moments are Unix seconds; texts are as they came over the network.

    ``highest_seen_at``, ``signed_at`` and ``leapt_to`` are the memory of the time (``trust.clock_memory``).
    """

    license_string: str
    obtained_at: int
    highest_seen_at: int
    refresh_after: int | None = None
    lease: str = ""
    lease_nonce: str = ""
    heartbeat_sent_at: int = 0
    license_file: str = ""
    signed_at: int = 0
    leapt_to: int = 0


@dataclass(frozen=True)
class Loaded:
    """What was found; ``record`` is None unless ``condition`` is GOOD."""

    record: Record | None
    condition: Condition


def default_path(code: str) -> Path | None:
    """Return the file for one license in the folder where this system keeps a user's program data.

    The code enters as a digest: it is worth money, and folders are listed in bug reports. None when this user has no
    such folder, as some service accounts.
    """
    folder = _data_folder()
    name = hashlib.sha256(code.encode()).hexdigest()[:16]
    return folder / "licsrv-client" / f"{name}.json" if folder else None


class LicenseStore:
    """The file at ``path``, read and replaced as a whole; without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def load(self, device: DeviceInfo) -> Loaded:
        """Read what was remembered on this machine. Never raises."""
        if self.path is None:
            return Loaded(None, Condition.MISSING)
        try:
            loaded = _open_sealed(_read(self.path), device)
        except FileNotFoundError:
            return Loaded(None, Condition.MISSING)
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            loaded = Loaded(None, Condition.DAMAGED)
        if loaded.condition is not Condition.GOOD:
            _LOG.warning("the stored license is not used: the store is %s", loaded.condition)
        return loaded

    def save(self, record: Record, device: DeviceInfo) -> bool:
        """Replace the file atomically, readable by this user only. Return False when it could not be written."""
        if self.path is None:
            return False
        try:
            disk.replace_file(self.path, json.dumps(_seal(record, device), indent=1).encode())
        except OSError as error:
            _LOG.warning("the license could not be stored: %s", error.strerror)
            return False
        return True


def _read(path: Path) -> Mapping[str, object]:
    content = json.loads(disk.read_file(path, _MAXIMUM_BYTES))
    if not isinstance(content, dict):
        raise TypeError("the store is not an object")
    return content


def _seal(record: Record, device: DeviceInfo) -> dict[str, object]:
    binding = bind(device, _salt(record))
    parts = {part.value: sorted(binding.hashes[part]) for part in Part if part in binding.hashes}
    return {"version": _VERSION, "record": _members(record), "device": parts, "check": _check(record, parts)}


def _open_sealed(content: Mapping[str, object], device: DeviceInfo) -> Loaded:
    record = _read_record(content["record"])
    parts = content["device"]
    if content["version"] != _VERSION or not isinstance(parts, dict):
        raise ValueError("the store has another version or shape")
    if not hmac.compare_digest(str(content["check"]).encode(), _check(record, parts).encode()):
        raise ValueError("the store was edited")

    hashes = {Part(part): frozenset(values) for part, values in parts.items()}
    if not DeviceBinding(_salt(record), hashes).compare(device).is_same_machine:
        return Loaded(None, Condition.FOREIGN)
    return Loaded(record, Condition.GOOD)


def _read_record(value: object) -> Record:
    if not isinstance(value, dict):
        raise TypeError("the record is not an object")
    record = Record(**value)
    texts = (record.license_string, record.license_file, record.lease, record.lease_nonce)
    moments = (
        record.obtained_at,
        record.highest_seen_at,
        record.heartbeat_sent_at,
        record.refresh_after or 0,
        record.signed_at,
        record.leapt_to,
    )
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text of the record is not a text")
    if not all(type(moment) is int and 0 <= moment <= _LAST_SECOND for moment in moments):
        raise ValueError("a moment of the record is not a moment")
    return record


def _members(record: Record) -> dict[str, object]:
    """Leave newer members out while they are empty, so that stores of earlier versions keep their seal."""
    return {name: value for name, value in asdict(record).items() if value or name not in _NEWER_MEMBERS}


def _key(record: Record) -> bytes:
    return hashlib.sha256(b"client_stub store\0" + (record.license_string or record.license_file).encode()).digest()


def _salt(record: Record) -> bytes:
    return hmac.new(_key(record), b"device\0" + _canonical(_members(record)), hashlib.sha256).digest()


def _check(record: Record, parts: Mapping[str, object]) -> str:
    content = b"check\0" + _canonical({"record": _members(record), "device": parts})
    return hmac.new(_key(record), content, hashlib.sha256).hexdigest()


def _canonical(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _data_folder() -> Path | None:
    """Read the one place of the environment that the client reads: where this user's program data goes.

    A relative path is ignored, as the XDG base directory specification asks for: it would depend on where the program
    was started.
    """
    variable = {"win32": "LOCALAPPDATA", "darwin": ""}.get(sys.platform, "XDG_DATA_HOME")
    named = Path(os.environ.get(variable) or "")
    if variable and named.is_absolute():
        return named
    below_home = {"win32": "AppData/Local", "darwin": "Library/Application Support"}.get(sys.platform, ".local/share")
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / below_home if home.is_absolute() else None
