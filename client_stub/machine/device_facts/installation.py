"""The install identity: a random part for a machine that has no facts of its own, such as a container.

It is kept in a file next to the stored licenses and travels as a disk. Who copies the file copies the machine, so the
server binds a place to it only where the vendor allows that for the product; a copy on a machine with another name is
noticed (``trust.install_identity``) and gets an identity of its own.

It is made only where a machine is weak. One that is there already is named next to facts that a machine has got since,
so that its place moves over to them. Nothing here fails its caller, and nothing of the identity reaches a log.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from client_stub.machine import disk
from client_stub.machine.device_facts.machine_name import machine_name
from client_stub.trust import install_identity
from client_stub.trust.install_identity import MAXIMUM_BYTES, RANDOM_BYTES, Origin, is_weak

NAME = "install-identity"
"""The file, in the folder of the store; all licenses in the folder share it."""
_LOG = logging.getLogger(__name__)


class Trouble(StrEnum):
    """What is wrong with the identity of this installation."""

    NOT_KEPT = "NOT_KEPT"
    """The machine is weak, and no identity can be read or kept."""
    COPIED = "COPIED"
    """The file came from another machine and was replaced."""


@dataclass(frozen=True)
class Identified:
    """A device text with the identity, where there is one."""

    text: str
    trouble: Trouble | None = None


def with_identity(text: str, path: Path) -> str:
    """Return the device text with the identity of this installation; see ``identify``."""
    return identify(text, path).text


def identify(text: str, path: Path | None) -> Identified:
    """Name the identity that is kept at ``path``, and make it where the machine is weak and there is none.

    Without a path, or where it cannot be kept, the text stays as it is. The second time the same identity is named; two
    programs that begin at once have one.
    """
    weak = is_weak(text)
    identity, origin = _look(path)
    if not weak or origin is Origin.HERE:
        return Identified(install_identity.with_identity(text, identity if origin is Origin.HERE else ""))
    identity = _make(path) if path is not None and origin is not None else ""
    if not identity:
        return Identified(text, Trouble.NOT_KEPT)
    trouble = Trouble.COPIED if origin is Origin.ELSEWHERE else None
    return Identified(install_identity.with_identity(text, identity), trouble)


def _look(path: Path | None) -> tuple[str, Origin | None]:
    """Read the file; no origin means that it is there and cannot be read, so it is not known to be damaged."""
    if path is None:
        return "", Origin.DAMAGED
    try:
        with path.open("rb") as file:
            return install_identity.read(file.read(MAXIMUM_BYTES), machine_name())
    except FileNotFoundError:
        return "", Origin.DAMAGED
    except OSError as error:
        if not path.exists():  # a part of the path is no folder
            return "", Origin.DAMAGED
        _LOG.warning("the identity of this installation cannot be read: %s", error.strerror)
        return "", None


def _make(path: Path) -> str:
    """Keep a new identity, unless another program has just kept one; what is damaged or copied is replaced."""
    made = install_identity.content(secrets.token_bytes(RANDOM_BYTES), machine_name())
    try:
        with disk.taking_turns(path):
            identity, origin = _look(path)
            if origin is Origin.HERE:
                return identity
            if path.exists():
                disk.replace_file(path, made)
            else:
                with contextlib.suppress(FileExistsError):
                    disk.create_file(path, made)
    except OSError as error:
        _LOG.warning("the identity of this installation could not be kept: %s", error.strerror)
        return ""
    identity, origin = _look(path)
    return identity if origin is Origin.HERE else ""
