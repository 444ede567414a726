"""Branches of devices whose check-ins forked. A replica of the version before reads and writes none."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_IS_PROVEN = sa.text("proven_at IS NOT NULL")


def upgrade() -> None:
    """Add the table, and the mark of devices that have rows in it."""
    op.add_column("devices", sa.Column("is_branched", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "device_branches",
        sa.Column("device_id", Text(23), primary_key=True),
        sa.Column("branch", Text(8), primary_key=True),
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("family", Text(8), nullable=False),
        sa.Column("head", Moment(), nullable=False),
        sa.Column("since", Moment(), nullable=False),
        sa.Column("origin", Moment(), nullable=False),
        sa.Column("left_at", Moment(), nullable=True),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.Column("proven_at", Moment(), nullable=True),
        sa.Column("blessed_from", Moment(), nullable=True),
        sa.Column("name", Text(100), nullable=False),
        sa.Column("client_version", Text(64), nullable=False),
        sa.Column("network", Text(64), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_device_branches_head", "device_branches", ["head"])
    op.create_index(
        "ix_device_branches_proven", "device_branches", ["proven_at"], sqlite_where=_IS_PROVEN,
        postgresql_where=_IS_PROVEN,
    )  # fmt: skip
