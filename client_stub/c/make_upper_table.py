"""Write ``src/upper_table.h``: which letters outside ASCII have an upper case, for the C library.

Run as ``python client_stub/c/make_upper_table.py > client_stub/c/src/upper_table.h``. Servers are written in Python,
so its ``str.upper`` is what a device text is normalised with; the table says the same in C. Letters that a newer
Unicode adds are missing until it is written again, which no serial number will notice.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator

_HEAD = """\
/* Made by make_upper_table.py from Unicode {version}; do not change by hand. */

/* From first to last, every stride-th letter: upper case is the letter plus delta. */
static const struct {{ uint32_t first, last, stride; int32_t delta; }} UPPER_RUNS[] = {{
{runs}
}};

/* One letter that becomes two or three. */
static const struct {{ uint32_t letter, upper[3]; }} UPPER_SPECIALS[] = {{
{specials}
}};
"""


def table() -> str:
    """Return the text of the header."""
    return _HEAD.format(
        version=unicodedata.unidata_version,
        runs=_rows([f"{{0x{a:X}, 0x{b:X}, {max(stride, 1)}, {delta}}}," for a, b, stride, delta in _runs()], 4),
        specials=_rows([f"{{0x{letter:X}, {{{_hex(upper)}}}}}," for letter, upper in _specials()], 3),
    )


def _letters() -> Iterator[tuple[int, str]]:
    for code_point in range(0x80, sys.maxunicode + 1):
        upper = chr(code_point).upper()
        if upper != chr(code_point):
            yield code_point, upper


def _specials() -> Iterator[tuple[int, str]]:
    return ((letter, upper) for letter, upper in _letters() if len(upper) > 1)


def _runs() -> list[tuple[int, int, int, int]]:
    runs: list[tuple[int, int, int, int]] = []
    for letter, upper in _letters():
        if len(upper) > 1:
            continue
        delta = ord(upper) - letter
        first, last, stride, known_delta = runs[-1] if runs else (0, 0, 0, 0)
        step = letter - last
        if delta == known_delta and (step == stride or (stride == 0 and step <= 2)):
            runs[-1] = (first, letter, step, delta)
        else:
            runs.append((letter, letter, 0, delta))
    return runs


def _hex(upper: str) -> str:
    return ", ".join(f"0x{ord(character):X}" for character in upper)


def _rows(cells: list[str], per_row: int) -> str:
    return "\n".join("    " + " ".join(cells[at : at + per_row]) for at in range(0, len(cells), per_row))


if __name__ == "__main__":
    sys.stdout.write(table())
