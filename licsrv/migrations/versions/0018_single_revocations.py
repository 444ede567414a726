"""Licenses that a person revoked one by one: they count like a list."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; nothing that was there changes."""
    op.create_table(
        "single_revocations",
        sa.Column("person", Text(100), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("license_id", Text(23), nullable=False),
        sa.PrimaryKeyConstraint("person", "at", "license_id"),
    )
