"""Texts from outside: which of them every database stores, and how long those that people type may be. Pure.

The command line and the API read the same lengths.
"""

from __future__ import annotations

import re

SHORTEST_REASON, LONGEST_REASON = 2, 500  # two characters are a whole word in Chinese: 退款
LONGEST_NAME = 60
LONGEST_DISPLAY_NAME = 100
LONGEST_NOTE = 2000
LONGEST_FEATURE = 100

# PostgreSQL stores no U+0000, and UTF-8 no half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether every database stores a text as it is."""
    return _UNSTORABLE.search(text) is None
