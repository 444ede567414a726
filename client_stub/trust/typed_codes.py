"""Codes as people type or paste them, in plain characters. Pure.

Second witness of the server's rule (``clean``); ``tests/vectors/typed_codes.json`` binds both. Do not replace this
module by an import. Case, dashes and blanks inside a code are left to the server, which knows the codes: an instance id
is in small letters and has dashes.
"""

from __future__ import annotations

import unicodedata

_DASHES = "\N{MINUS SIGN}\N{KATAKANA-HIRAGANA PROLONGED SOUND MARK}"


def clean(typed: str) -> str:
    """Return a code without full-width forms, without what cannot be seen, and without blanks and dashes around it."""
    return "".join(map(_plain, unicodedata.normalize("NFKC", typed))).strip("- ")


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Zs", "Zl", "Zp"):
        return " "
    if category == "Pd" or character in _DASHES:
        return "-"
    is_invisible = category in ("Cc", "Cf", "Cs") or "\ufe00" <= character <= "\ufe0f"
    return "" if is_invisible else character
