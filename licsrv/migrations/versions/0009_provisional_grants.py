"""Provisional licenses that were given, and from where they were asked for."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; nothing that was there changes."""
    op.create_table(
        "marketplace_provisional_grants",
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("address_hash", Text(32), nullable=False),
        sa.Column("network_hash", Text(32), nullable=False),
        sa.Column("granted_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("license_id"),
    )
    op.create_index(
        "ix_marketplace_provisional_grants_granted_at", "marketplace_provisional_grants", ["granted_at"], unique=False
    )
