"""Sealing: what must wait in the database but must not be readable in it (device facts, licenses on their way).

Fernet (AES-128-CBC and HMAC-SHA256) under a key derived from the device secret, which is not in the database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken

from licsrv.errors import KeyringError


def seal(text: str, *, device_key: bytes) -> str:
    """Return a text that only this server can read; the same text is sealed differently each time."""
    return _box(device_key).encrypt(text.encode("utf-8", "surrogatepass")).decode("ascii")


def unseal(sealed: str, *, device_key: bytes) -> str:
    """Return what was sealed.

    Raises:
        KeyringError: It was sealed under another device secret, or is damaged.
    """
    try:
        return _box(device_key).decrypt(sealed.encode("ascii", "replace")).decode("utf-8", "surrogatepass")
    except InvalidToken as error:
        raise KeyringError("What waits in the database was sealed under another device secret.") from error


def _box(device_key: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hmac.digest(device_key, b"seal", hashlib.sha256)))
