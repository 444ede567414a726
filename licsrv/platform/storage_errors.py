"""What the database library's errors mean: busy, unwritable, or failed, and which part of them may be shown.

The database's own sentence is kept unless it may quote a value (SQLSTATE classes 22 and 23): values are people's data.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as ConnectionWaitError

from licsrv.errors import StorageBusyError, StorageError, StorageUnwritableError


class Failure(StrEnum):
    """Why a transaction was not committed; also the label of a metric."""

    BUSY = "busy"
    READ_ONLY = "read_only"
    NO_RIGHT = "no_right"
    FULL = "full"
    OTHER = "other"


_RETRYABLE_STATES = frozenset({"40001", "40P01"})  # serialization failure, deadlock: over at once the next time
_FAILURES = {
    **dict.fromkeys(_RETRYABLE_STATES, Failure.BUSY),
    "55P03": Failure.BUSY,  # a lock was not available in time
    "57014": Failure.BUSY,  # the statement took too long
    "53300": Failure.BUSY,  # too many connections
    "08P01": Failure.BUSY,  # PgBouncer: query_wait_timeout
    "25006": Failure.READ_ONLY,  # a standby, or default_transaction_read_only
    "42501": Failure.NO_RIGHT,
    "53100": Failure.FULL,
    "53000": Failure.FULL,
}
_SQLITE_FAILURES = (
    ("locked", Failure.BUSY),
    ("readonly", Failure.READ_ONLY),
    ("full", Failure.FULL),
    ("unable to open", Failure.NO_RIGHT),
)
_SENTENCES = {
    Failure.READ_ONLY: "The database is read-only; nothing was changed.",
    Failure.NO_RIGHT: "The database lacks a right that licsrv needs; nothing was changed.",
    Failure.FULL: "The database has no space left; nothing was changed.",
}
_VALUE_CLASSES = ("22", "23")
_LONGEST_REASON = 300


def failure_of(error: SQLAlchemyError) -> Failure:
    """Say what kind of failure an error is."""
    if isinstance(error, ConnectionWaitError):
        return Failure.BUSY
    if (state := _state(error)) is not None:
        return _FAILURES.get(state, Failure.OTHER)
    said = str(getattr(error, "orig", "")) if isinstance(error, OperationalError) else ""
    return next((failure for words, failure in _SQLITE_FAILURES if words in said), Failure.OTHER)


def translate(error: SQLAlchemyError) -> StorageError:
    """Return an error of ours: busy (ask again), unwritable (an operator has to act) or failed."""
    failure = failure_of(error)
    if failure is Failure.BUSY:
        return StorageBusyError("The database is busy; nothing was changed.")
    reason = reason_of(error)
    if failure is Failure.OTHER:
        return StorageError(f"The database failed ({reason}); nothing was changed.", reason=reason)
    return StorageUnwritableError(_SENTENCES[failure], reason=reason)


def reason_of(error: SQLAlchemyError) -> str:
    """Return the database's own sentence, without values; the error's name where it has none."""
    orig = getattr(error, "orig", None)
    may_quote = (_state(error) or "")[:2] in _VALUE_CLASSES or isinstance(error, IntegrityError | DataError)
    if orig is None or may_quote or not isinstance(error, DBAPIError):
        return type(error).__name__
    said = getattr(getattr(orig, "diag", None), "message_primary", None) or str(orig).partition("\n")[0]
    return str(said).strip()[:_LONGEST_REASON] or type(error).__name__


def facts_of(error: SQLAlchemyError) -> dict[str, str]:
    """Return of an error what may be logged: the statement and the first line, which name no values."""
    return {
        "error": type(getattr(error, "orig", None) or error).__name__,
        "state": _state(error) or "",
        "reason": str(failure_of(error)),
        "said": str(getattr(error, "orig", None) or error).partition("\n")[0][:_LONGEST_REASON],
        "statement": str(getattr(error, "statement", None) or "")[:500],
    }


def is_retryable(error: BaseException) -> bool:
    """Whether the database gave the transaction up only because another one was in the way."""
    return _state(error) in _RETRYABLE_STATES


def _state(error: BaseException) -> str | None:
    return getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
