"""The reconciliation: its runs and the differences that they find."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; nothing that was there changes."""
    op.create_table(
        "reconciliation_runs",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("started_by", Text(100), nullable=False),
        sa.Column("night", sa.Date(), nullable=True),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("state", Text(10), nullable=False),
        sa.Column("note", Text(500), nullable=False),
        sa.Column("cursor", Text(23), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("compared", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("vanished", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", Moment(), nullable=True),
        sa.Column("waits_until", Moment(), nullable=True),
        sa.Column("owner", Text(64), nullable=True),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("night"),
    )
    under_way = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_reconciliation_runs_under_way",
        "reconciliation_runs",
        ["state"],
        unique=True,
        sqlite_where=under_way,
        postgresql_where=under_way,
    )
    op.create_table(
        "reconciliation_differences",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("kind", Text(10), nullable=False),
        sa.Column("ours", sa.Text(), nullable=False),
        sa.Column("theirs", sa.Text(), nullable=False),
        sa.Column("explained", Text(255), nullable=False),
        sa.Column("word", sa.JSON(), nullable=False),
        sa.Column("asked_at", Moment(), nullable=False),
        sa.Column("found_at", Moment(), nullable=False),
        sa.Column("dismissed_at", Moment(), nullable=True),
        sa.Column("dismissed_by", Text(100), nullable=True),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.Column("closed_by", Text(100), nullable=True),
        sa.Column("reason", Text(500), nullable=False),
        sa.ForeignKeyConstraint(["license_id"], ["licenses.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_reconciliation_differences_license_id", "reconciliation_differences", ["license_id"])
    not_closed = sa.text("closed_at IS NULL")
    op.create_index(
        "uq_reconciliation_differences_kind",
        "reconciliation_differences",
        ["license_id", "kind"],
        unique=True,
        sqlite_where=not_closed,
        postgresql_where=not_closed,
    )
