"""Counts in English sentences. Pure."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: ``1 callback``, ``3 callbacks``, ``2 licenses``.

    Args:
        plural: The plural where an ``s`` does not make it.
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
