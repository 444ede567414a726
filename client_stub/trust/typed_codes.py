"""Codes as people type or paste them, in plain characters. Pure.

Second witness of the server's rule (``clean``); ``tests/vectors/typed_codes.json`` binds both. Do not replace this
module by an import. Case, dashes and blanks inside a code are left to the server, which knows the codes: an instance id
is in small letters and has dashes.
"""

from __future__ import annotations

import re
import unicodedata

# Fillers, joiners and selectors that are letters or marks to Unicode and show nothing, and the blank of Braille.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_DOTS = {"\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}": "I", "\N{LATIN SMALL LETTER DOTLESS I}": "i"}
_DASHES = "\N{MINUS SIGN}\N{KATAKANA-HIRAGANA PROLONGED SOUND MARK}"


def clean(typed: str) -> str:
    """Return a code in plain letters and digits, without what cannot be seen, blanks and dashes at its ends."""
    return "".join(map(_plain, unicodedata.normalize("NFKC", typed))).strip("- ")


def _plain(character: str) -> str:
    character = _DOTS.get(character, character)
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category in ("Zs", "Zl", "Zp"):
        return " "
    if category == "Pd" or character in _DASHES:
        return "-"
    return "" if category in ("Cc", "Cf", "Cs") or _UNSEEN.fullmatch(character) else character
