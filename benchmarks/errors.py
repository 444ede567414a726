"""The one way in which a benchmark cannot be carried out; a missed target is a result, not an error."""

from __future__ import annotations


class BenchmarkError(Exception):
    """The measurement is not valid: a server did not start, an answer was wrong, time ran out."""
