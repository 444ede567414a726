"""Instances, orders and applications of the online product line."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; nothing that was there changes."""
    op.create_table(
        "marketplace_instances",
        sa.Column("code", Text(64), nullable=False),
        sa.Column("order_id", Text(64), nullable=False),
        sa.Column("order_line_id", Text(64), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
        sa.UniqueConstraint("order_id", "order_line_id", name="uq_marketplace_instances_order"),
    )
    op.create_table(
        "marketplace_orders",
        sa.Column("order_id", Text(64), nullable=False),
        sa.Column("order_line_id", Text(64), nullable=False),
        sa.Column("order_type", Text(32), nullable=False),
        sa.Column("charging_mode", Text(32), nullable=False),
        sa.Column("product_id", Text(128), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=True),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("placed_at", Moment(), nullable=True),
        sa.Column("asked_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "order_line_id"),
    )
    op.create_table(
        "marketplace_applications",
        sa.Column("event_id", Text(64), nullable=False),
        sa.Column("fingerprint", Text(32), nullable=False),
        sa.Column("code", Text(64), nullable=False),
        sa.Column("effective_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("applied_at", Moment(), nullable=False),
        sa.Column("issued_id", Text(23), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "fingerprint"),
    )
    op.create_index("ix_marketplace_applications_code", "marketplace_applications", ["code"])
