"""Codes as people type them, and which license they mean. Pure.

One rule for every entrance where a code is typed. Messages of the marketplace name codes exactly and do not pass here.

1. A code counts as it was typed, where a license has exactly this code.
2. Else it is cleaned: compatibility forms (full width) become plain ones (NFKC), digits of any script those of ASCII,
   the Turkish i the plain one, invisible characters go, all dashes and blanks are of one kind, and none is left at
   either end.
3. Then case, dashes and blanks do not matter, where exactly one license remains.
4. Look-alikes (O and 0; I, l and 1) are never accepted. Where exactly one license differs in them alone, the refusal
   names it: this tells a guesser little, because few codes look alike, and the guess counts as a failed try.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 64
"""Characters of a code at most. Plain forms may be longer than what was typed."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs"})
_UNSEEN = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, 0xFFA0))
).union(map(chr, range(0xFE00, 0xFE10)), map(chr, range(0xE0100, 0xE01F0)))
"""Fillers, joiners and selectors that are letters or marks to Unicode and show nothing, and the blank of Braille."""
_DOTS = {"\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}": "I", "\N{LATIN SMALL LETTER DOTLESS I}": "i"}
"""The same letter in the other case, where a computer speaks Turkish."""
_DASHES = frozenset({"\N{MINUS SIGN}", "\N{KATAKANA-HIRAGANA PROLONGED SOUND MARK}"})


@dataclass(frozen=True)
class Meant:
    """The code of a license that a typed one means; else the only one that looks like it, or that it means several."""

    code: str | None = None
    look_alike: str | None = None
    is_ambiguous: bool = False


def clean(typed: str) -> str:
    """Return a typed code in plain characters; its case, and dashes and blanks inside, stay."""
    visible = (_plain(character) for character in unicodedata.normalize("NFKC", typed))
    return "".join(visible).strip(" -")


def normal(typed: str) -> str:
    """Return a typed code in the form in which the marketplace shows codes: capitals, no blanks, no dashes."""
    return _bare(clean(typed)).upper()


def asked_as(typed: str) -> Sequence[str]:
    """Return the codes as which the marketplace is asked about a typed one that no license has, the likeliest first.

    A form that is too long is no code; there may be none left.

    GAP: the protocol does not say which characters a code has; all examples are capitals and digits.
    """
    return tuple(dict.fromkeys(code for code in (normal(typed), clean(typed)) if 0 < len(code) <= LONGEST))


def read(typed: str, among: Sequence[str]) -> Meant:
    """Choose among the codes that look like a typed one."""
    for same in (_same, clean, _small, _small_and_bare):
        found = [code for code in among if same(code) == same(typed)]
        if found:
            return Meant(code=found[0]) if len(found) == 1 else Meant(is_ambiguous=True)
    return Meant(look_alike=among[0] if len(among) == 1 else None)


def hint(meant: Meant) -> str:
    """Return the sentence that suggests a look-alike; empty where there is none."""
    return f" Did you mean {meant.look_alike}?" if meant.look_alike is not None else ""


def _plain(character: str) -> str:
    character = _DOTS.get(character, character)
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category.startswith("Z"):
        return " "
    if category == "Pd" or character in _DASHES:
        return "-"
    return "" if category in _INVISIBLE or character in _UNSEEN else character


def _same(code: str) -> str:
    return code


def _bare(code: str) -> str:
    return code.replace(" ", "").replace("-", "")


def _small(code: str) -> str:
    return clean(code).lower()


def _small_and_bare(code: str) -> str:
    return _bare(_small(code))
