"""License files, second signatures, the end of maintenance, and the revocation list with what is on it already."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_CHUNK = 10_000
_licenses = sa.table(
    "licenses", sa.column("id"), sa.column("revoked_at", Moment()), sa.column("released_at", Moment()),
    sa.column("expires_at", Moment()),
)  # fmt: skip
_devices = sa.table("devices", sa.column("id"), sa.column("released_at", Moment()))
_issued = sa.table(
    "issued_licenses", sa.column("id"), sa.column("license_id"), sa.column("device_id"), sa.column("claims"),
    sa.column("given_back_at", Moment()),
)  # fmt: skip
_changes = sa.table(
    "revocation_changes", sa.column("number"), sa.column("entry"), sa.column("action"),
    sa.column("ends_at", Moment()), sa.column("at", Moment()),
)  # fmt: skip
_head = sa.table("revocation_head", sa.column("id"), sa.column("number"), sa.column("changed_at", Moment()))


def upgrade() -> None:
    """Add columns that old code may leave out, and make the list."""
    op.add_column("products", sa.Column("second_signature", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("products", sa.Column("deliver_as", Text(8), nullable=False, server_default="auto"))
    op.add_column("licenses", sa.Column("maintenance_until", Moment(), nullable=True))
    op.add_column("issued_licenses", sa.Column("given_back_at", Moment(), nullable=True))
    op.add_column("issued_licenses", sa.Column("second_key_id", Text(43), nullable=True))
    op.add_column("issued_licenses", sa.Column("second_signature", sa.LargeBinary(), nullable=True))
    _make_list()
    _mark_given_back()
    _fill_list()


def _make_list() -> None:
    op.create_table(
        "revocation_changes",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("entry", Text(14), nullable=False),
        sa.Column("action", Text(6), nullable=False),
        sa.Column("ends_at", Moment(), nullable=True),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_revocation_changes_entry", "revocation_changes", ["entry", "number"], unique=False)
    op.create_table(
        "revocation_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )


def _mark_given_back() -> None:
    """Note at what was handed out to devices without a place that it is not handed out again."""
    released_at = sa.select(_devices.c.released_at).where(_devices.c.id == _issued.c.device_id).scalar_subquery()
    without_place = sa.select(_devices.c.id).where(_devices.c.released_at.is_not(None))
    op.execute(sa.update(_issued).where(_issued.c.device_id.in_(without_place)).values(given_back_at=released_at))


def _fill_list() -> None:
    """List what was revoked, released and given back before there was a list, in the order in which it happened."""
    connection = op.get_bind()
    rows = sorted([*_ended_licenses(connection), *_given_back(connection)], key=lambda row: (row["at"], row["entry"]))
    for number, row in enumerate(rows, start=1):
        row |= {"number": number, "action": "add"}
    for start in range(0, len(rows), _CHUNK):
        connection.execute(sa.insert(_changes), rows[start : start + _CHUNK])
    head = {"id": 1, "number": len(rows), "changed_at": rows[-1]["at"] if rows else None}
    connection.execute(sa.insert(_head), [head])


def _ended_licenses(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    ended = sa.or_(_licenses.c.revoked_at.is_not(None), _licenses.c.released_at.is_not(None))
    ends = {row.id: [row.expires_at] for row in connection.execute(sa.select(_licenses).where(ended))}
    of_ended = _issued.c.license_id.in_(sa.select(_licenses.c.id).where(ended))
    for row in connection.execute(sa.select(_issued.c.license_id, _issued.c.claims).where(of_ended)):
        ends[row.license_id].append(_end(row.claims))
    for row in connection.execute(sa.select(_licenses).where(ended)):
        at = min(moment for moment in (row.revoked_at, row.released_at) if moment is not None)
        yield {"entry": _entry("license", row.id), "ends_at": _latest(ends[row.id]), "at": at}


def _given_back(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    for row in connection.execute(sa.select(_issued).where(_issued.c.given_back_at.is_not(None))):
        yield {"entry": _entry("string", row.id), "ends_at": _end(row.claims), "at": row.given_back_at}


def _entry(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}:{name}".encode()).digest()[:7].hex()


def _end(claims: str) -> datetime | None:
    ends = json.loads(claims).get("exp")
    return datetime.fromtimestamp(ends, UTC) if ends is not None else None


def _latest(ends: list[datetime | None]) -> datetime | None:
    known = [moment for moment in ends if moment is not None]
    return max(known) if len(known) == len(ends) else None
