"""What devices learned, the budget of a product for it, and how many texts a device sends on a day."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and make the tables; nothing that was there changes."""
    op.add_column("products", sa.Column("learned_parts", sa.Integer(), server_default="2", nullable=False))
    op.add_column("products", sa.Column("learned_days", sa.Integer(), server_default="30", nullable=False))
    op.create_table(
        "learned_parts",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("device_id", Text(23), nullable=False),
        sa.Column("part", Text(8), nullable=False),
        sa.Column("learned_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_learned_parts_device", "learned_parts", ["device_id", "learned_at"], unique=False)
    op.create_table(
        "device_texts",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("device_id", Text(23), nullable=False),
        sa.Column("text_hash", Text(43), nullable=False),
        sa.Column("license_id", Text(23), nullable=False),
        sa.PrimaryKeyConstraint("day", "device_id", "text_hash"),
        sqlite_with_rowid=False,
    )
