"""``python -m client_stub verify FILE``: say whether a license file is believed on this computer, without network."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from client_stub.machine import disk, license_folder
from client_stub.programs.terminal import Terminal
from client_stub.trust import revocations, verification
from client_stub.trust.claims import License
from client_stub.trust.errors import VerificationError
from client_stub.trust.keys import PinnedKeys, PinnedKeysError

BELIEVED, NOT_BELIEVED, CANNOT_START = 0, 1, 2
_Refusal = tuple[str, str, str]
_REVOKED = ("REVOKED", "The license is on the vendor's list of revoked licenses.", "Ask the vendor's support.")
_NOT_THE_WHOLE_LIST = (
    "NEEDS_FULL",
    "The revocation list holds changes only; it is not known whether the whole list names the license.",
    "Carry the whole list here.",
)


class KeysFileError(ValueError):
    """The file with the public keys cannot be used; the message says why."""


def main(arguments: Sequence[str], *, output: TextIO, this_device: Callable[[], str], now: datetime) -> int:
    """Verify, say it, and return the exit code: 0 believed, 1 not believed, 2 when it could not be looked at.

    Args:
        arguments: What follows ``verify``.
        output: Where the result is written.
        this_device: Gathers the device text of this computer; asked unless ``--device`` says otherwise.
        now: The moment, unless ``--at`` says otherwise.
    """
    options = _parser().parse_args(arguments)
    device_info = this_device() if options.device is None else options.device
    terminal = Terminal(output)
    try:
        keys = read_keys(options.keys)
        raw = license_folder.read(options.file)
        believed = _believe(raw, keys, options, device_info=device_info, now=options.at or now)
        refusal = _refusal_of_list(believed, keys, options)
    except VerificationError as error:
        believed, refusal = None, (error.code, str(error), error.action)
    except (OSError, KeysFileError) as error:
        terminal.say(f"The license cannot be looked at: {_reason(error)}", "bad")
        return CANNOT_START
    _report(terminal, believed, refusal, as_json=options.json)
    return BELIEVED if refusal is None else NOT_BELIEVED


def read_keys(path: Path) -> PinnedKeys:
    """Read a file with the vendor's public keys (JWKS).

    Raises:
        KeysFileError: It cannot be read, or holds no usable keys.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise KeysFileError(f"{path.name} cannot be read as a key set.") from error
    if not isinstance(content, dict):
        raise KeysFileError(f"{path.name} does not hold a key set.")
    try:
        return PinnedKeys.from_jwks(content)
    except PinnedKeysError as error:
        raise KeysFileError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m client_stub verify", description="Verify a license file on this computer, without network."
    )
    parser.add_argument("file", type=Path, help="the license file")
    parser.add_argument("--keys", type=Path, required=True, help="file with the vendor's public keys (JWKS)")
    parser.add_argument("--device", help="'MAC|disk|board|CPU' (default: this computer)")
    parser.add_argument("--product", help="believe licenses of this product only")
    parser.add_argument("--issuer", help="believe licenses of this issuer only")
    parser.add_argument("--require-both", action="store_true", help="demand both signatures, EdDSA and ML-DSA-65")
    parser.add_argument("--revocations", type=Path, help="file with the vendor's list of revoked licenses")
    parser.add_argument("--at", type=_moment, help="moment to verify for, such as 2026-05-04T08:00:00Z (default: now)")
    parser.add_argument("--json", action="store_true", help="say it for programs")
    return parser


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _believe(raw: bytes, keys: PinnedKeys, options: argparse.Namespace, device_info: str, now: datetime) -> License:
    return verification.verify_license_file(
        raw,
        keys,
        device_info=device_info,
        now=now,
        issuer=options.issuer,
        product=options.product,
        require_both=options.require_both,
        takes_seats=True,
    )


def _refusal_of_list(believed: License, keys: PinnedKeys, options: argparse.Namespace) -> _Refusal | None:
    """Look the license up in the list. Changes alone may name it, but that they do not name it says nothing."""
    if options.revocations is None:
        return None
    try:
        text = disk.read_file(options.revocations, revocations.MAXIMUM_CHARACTERS).rstrip(b"\r\n")
    except ValueError as error:
        raise KeysFileError(f"{options.revocations.name} is too large.") from error
    update = revocations.open_update(text, keys, issuer=options.issuer)
    if revocations.RevocationList(update.number, update.issued_at, update.added).names(believed):
        return _REVOKED
    return _NOT_THE_WHOLE_LIST if update.since else None


def _reason(error: Exception) -> str:
    return error.strerror or "the file cannot be read" if isinstance(error, OSError) else str(error)


def _report(terminal: Terminal, believed: License | None, refusal: _Refusal | None, *, as_json: bool) -> None:
    if as_json:
        terminal.say(json.dumps(_document(believed, refusal), ensure_ascii=False, indent=2))
    elif refusal is not None:
        code, sentence, action = refusal
        terminal.say(f"The license is not accepted ({code}): {sentence} {action}", "bad")
    elif believed is not None:
        terminal.show_license(believed)


def _document(believed: License | None, refusal: _Refusal | None) -> Mapping[str, object]:
    document: dict[str, object] = {"verified": refusal is None}
    if refusal is not None:
        document |= dict(zip(("code", "detail", "action"), refusal, strict=True))
    if believed is not None:
        members = asdict(believed)
        del members["binding"]
        members["entitlements"] = {
            one.name: {"value": one.value, "ends_at": one.ends_at.isoformat() if one.ends_at else None}
            for one in believed.entitlements
            if one.is_readable
        }
        document["license"] = {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in members.items()
        }
    return document
