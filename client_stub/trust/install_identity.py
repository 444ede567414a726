"""What the file with an install identity says, and whether it was made on this machine.

Pure; ``tests/vectors/install_identity.json`` binds it, for the verifier in C as well. The file holds one line or two,
in ASCII with LF::

    INSTALL-<32 hexadecimal digits, upper case>
    MACHINE-<32 hexadecimal digits, upper case>

The second line is a keyed hash of the name that the operating system gave to the machine at its installation, so that
a copy of the file on another machine is noticed. It is left out, and says nothing, where a system gives no such name.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import StrEnum

from client_stub.trust import devices
from client_stub.trust.device_match import Part
from client_stub.trust.errors import InvalidDeviceInfoError

RANDOM_BYTES = 16
MAXIMUM_BYTES = 256
_FORM = re.compile(rb"(INSTALL-[0-9A-F]{32})(?:\r?\n(MACHINE-[0-9A-F]{32}))?(?:\r?\n)?")
_WITNESS_BYTES = 16


class Origin(StrEnum):
    """Where the content of a file comes from."""

    HERE = "HERE"
    """Made on this machine, as far as can be seen."""
    ELSEWHERE = "ELSEWHERE"
    """Copied from another machine."""
    DAMAGED = "DAMAGED"
    """No identity."""


def is_weak(text: str) -> bool:
    """Return True when a device text names nothing that is this machine's own; a CPU is its model's."""
    try:
        return set(devices.parse(text).values) <= {Part.CPU}
    except InvalidDeviceInfoError:
        return False


def content(random: bytes, machine_name: str) -> bytes:
    """Return what a new file says; ``machine_name`` is empty where the system gives none."""
    identity = f"INSTALL-{random.hex().upper()}".encode()
    witness = _witness(identity, machine_name)
    return b"\n".join((identity, witness, b"")) if witness else identity + b"\n"


def read(raw: bytes, machine_name: str) -> tuple[str, Origin]:
    """Return the identity that a file says, empty when it says none, and where it comes from."""
    found = _FORM.fullmatch(raw)
    if found is None:
        return "", Origin.DAMAGED
    expected = _witness(found[1], machine_name)
    is_copy = found[2] is not None and bool(expected) and not hmac.compare_digest(found[2], expected)
    return found[1].decode(), Origin.ELSEWHERE if is_copy else Origin.HERE


def with_identity(text: str, identity: str) -> str:
    """Return a device text with the identity as the last of its disks; unchanged where it would be none any more."""
    parts = text.split("|")
    if not identity or len(parts) != len(Part) or identity in parts[1].split(","):
        return text
    parts[1] = f"{parts[1]},{identity}" if parts[1] else identity
    named = "|".join(parts)
    return named if len(named.encode(errors="replace")) <= devices.MAXIMUM_BYTES else text


def _witness(identity: bytes, machine_name: str) -> bytes:
    """Hash the machine's name: systems ask that it is not shown as it is (machine-id(5))."""
    name = machine_name.strip().lower()
    if not name:
        return b""
    digest = hmac.new(identity, f"machine:{name}".encode(), hashlib.sha256).digest()
    return b"MACHINE-" + digest[:_WITNESS_BYTES].hex().upper().encode()
