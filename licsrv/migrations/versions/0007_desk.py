"""The support desk: what is searched, notes, refused devices, and a grace that the vendor gives."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what old code may leave out, and the indexes by which people find a license."""
    op.add_column("licenses", sa.Column("grace_until", Moment(), nullable=True))
    _make_tables()
    for index, table, column in (
        ("ix_licenses_code_folded", "licenses", "code"),
        ("ix_licenses_customer_folded", "licenses", "customer"),
        ("ix_devices_name_folded", "devices", "name"),
    ):
        op.create_index(index, table, [_folded(column)], unique=False)
    for index, table, columns in (
        ("ix_device_parts_part", "device_parts", ["part_hash"]),
        ("ix_license_orders_order", "license_orders", ["order_id"]),
        ("ix_license_orders_line", "license_orders", ["order_line_id"]),
        ("ix_outbox_key", "outbox", ["ordering_key", "id"]),
    ):
        op.create_index(index, table, columns, unique=False)
    for index, table, column, where in (
        ("ix_check_ins_refused", "check_ins", "day", "status <> 'ACTIVE'"),
        ("ix_licenses_ending", "licenses", "expires_at", "released_at IS NULL"),
        ("ix_licenses_frozen", "licenses", "frozen_at", "frozen_at IS NOT NULL"),
    ):
        op.create_index(index, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _folded(column: str) -> Any:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    return sa.text(f"lower({column})" if is_sqlite else f'(lower({column}) COLLATE "C")')


def _make_tables() -> None:
    op.create_table(
        "license_notes",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("author", Text(100), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["license_id"], ["licenses.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_license_notes_license", "license_notes", ["license_id", "id"], unique=False)
    op.create_table(
        "refused_devices",
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("device", Text(43), nullable=False),
        sa.Column("code", Text(40), nullable=False),
        sa.Column("name", Text(100), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("license_id", "day", "device", "code"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_refused_devices_last_at", "refused_devices", ["last_at"], unique=False)
