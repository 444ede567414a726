"""Floating seats, those who wait for one, and when each replica was last alive."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "seats",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("device_id", Text(23), nullable=False),
        sa.Column("session", Text(32), nullable=False),
        sa.Column("holder", Text(32), nullable=False),
        sa.Column("since", Moment(), nullable=False),
        sa.Column("until", Moment(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("borrowed_at", Moment(), nullable=True),
        sa.Column("borrowed_until", Moment(), nullable=True),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    held, ended = sa.text("ended_at IS NULL"), sa.text("ended_at IS NOT NULL")
    op.create_index(
        "uq_seats_held", "seats", ["license_id", "device_id", "session"], unique=True, sqlite_where=held,
        postgresql_where=held,
    )  # fmt: skip
    op.create_index("ix_seats_ended", "seats", ["ended_at"], sqlite_where=ended, postgresql_where=ended)
    op.create_table(
        "seat_line",
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("holder", Text(32), nullable=False),
        sa.Column("device_id", Text(23), nullable=False),
        sa.Column("since", Moment(), nullable=False),
        sa.Column("until", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("license_id", "holder"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "seat_presence",
        sa.Column("replica", Text(16), nullable=False),
        sa.Column("noted_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("replica"),
        sqlite_with_rowid=False,
    )
