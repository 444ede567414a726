"""Seals of accounts, sessions and tokens: what grants access is believed only where this server wrote it.

A row is sealed whenever it is written as an object. An update seals only what was genuine before: a row that other
means changed does not become genuine by the next change of its language.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import object_session
from sqlmodel import Session, SQLModel

from licsrv.people import store
from licsrv.people.tables import Account, ApiToken, StaffSession
from licsrv.platform.db import seals_of

# What changes at each use is left out, and what grants nothing.
_LEFT_OUT: dict[type[SQLModel], set[str]] = {
    Account: {"display_name", "language", "totp_last_step", "last_sign_in_at", "seal"},
    StaffSession: {"seen_at", "address", "client", "seal"},
    ApiToken: {"last_used_at", "seal"},
}
_COLUMNS: dict[type[SQLModel], tuple[str, ...]] = {
    model: tuple(name for name in model.model_fields if name not in left_out) for model, left_out in _LEFT_OUT.items()
}


def is_genuine(session: Session, row: SQLModel) -> bool:
    """Whether this server wrote a row as it is."""
    return _is_genuine(session, row, {})


def seal_row(session: Session, row: SQLModel) -> None:
    """Seal a row as it is."""
    seals = seals_of(session)
    if seals is not None:
        row.seal = seals.make(type(row).__name__, _fields(row, {}))


def reseal(session: Session, _: object = None) -> None:
    """Seal every row as it is: what is there is believed from then on."""
    for row in store.every_for_update(session, *_COLUMNS):
        seal_row(session, row)
        session.add(row)


def forged(session: Session) -> list[str]:
    """Name the accounts and tokens that this server did not write as they are."""
    rows = [row for row in store.every(session, Account, ApiToken) if not is_genuine(session, row)]
    return [f"account {row.name}" if isinstance(row, Account) else f"token {row.id}" for row in rows]  # type: ignore[attr-defined]


def _is_genuine(session: Session, row: SQLModel, before: dict[str, Any]) -> bool:
    seals = seals_of(session)
    seal = before.get("seal", row.seal)  # type: ignore[attr-defined]
    return seals is None or seals.believes(seal, type(row).__name__, _fields(row, before))


def _fields(row: SQLModel, before: dict[str, Any]) -> list[object]:
    return [before.get(name, getattr(row, name)) for name in _COLUMNS[type(row)]]


def _seal_new(_: object, __: object, row: SQLModel) -> None:
    if (session := object_session(row)) is not None:
        seal_row(session, row)  # type: ignore[arg-type]


def _seal_changed(_: object, __: object, row: SQLModel) -> None:
    session, before = object_session(row), dict(inspect(row).committed_state)
    if session is not None and "seal" not in before and _is_genuine(session, row, before):  # type: ignore[arg-type]
        seal_row(session, row)  # type: ignore[arg-type]


for _model in _COLUMNS:
    event.listen(_model, "before_insert", _seal_new)
    event.listen(_model, "before_update", _seal_changed)
