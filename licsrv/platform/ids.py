"""Identifiers for rows: random, and sorting by the moment they were made."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime

_RANDOM_BYTES = 8


def new_id(now: datetime) -> str:
    """Return 23 characters (digits and a-v): 48 bits of milliseconds, then 64 random bits.

    Sorting by time keeps inserts at one end of an index; the random half keeps them unguessable and free of races.
    """
    milliseconds = int(now.timestamp() * 1000)
    return _text(milliseconds.to_bytes(6, "big") + secrets.token_bytes(_RANDOM_BYTES))


def is_id(text: str) -> bool:
    """Whether a text can be looked up as an id: ASCII letters and digits only."""
    return text.isascii() and text.isalnum()


def first_id(at: datetime) -> str:
    """Return an id before all that :func:`new_id` made from a moment on."""
    return _text(int(at.timestamp() * 1000).to_bytes(6, "big") + bytes(_RANDOM_BYTES))


def _text(raw: bytes) -> str:
    return base64.b32hexencode(raw).decode("ascii").rstrip("=").lower()
