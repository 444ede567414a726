"""Published versions."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of the releases room; nothing that was there changes."""
    op.create_table(
        "release_products",
        sa.Column("product_id", Text(128), nullable=False),
        sa.Column("version_scheme", Text(8), nullable=False),
        sa.Column("maintenance_months", sa.Integer(), nullable=True),
        sa.Column("change_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("product_id"),
    )
    op.create_table(
        "releases",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("product_id", Text(128), nullable=False),
        sa.Column("version", Text(64), nullable=False),
        sa.Column("version_key", Text(128), nullable=False),
        sa.Column("channel", Text(32), nullable=False),
        sa.Column("platform", Text(64), nullable=False),
        sa.Column("minimum_version", Text(64), nullable=True),
        sa.Column("rollout_percent", sa.Integer(), nullable=False),
        sa.Column("notes_zh", sa.Text(), nullable=False),
        sa.Column("notes_en", sa.Text(), nullable=False),
        sa.Column("url", Text(2048), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", Text(64), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", Text(100), nullable=False),
        sa.Column("published_at", Moment(), nullable=False),
        sa.Column("withdrawn_at", Moment(), nullable=True),
        sa.Column("withdrawn_by", Text(100), nullable=True),
        sa.Column("withdrawn_reason", Text(500), nullable=True),
        sa.ForeignKeyConstraint(["product_id"], ["release_products.product_id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("product_id", "channel", "platform", "version_key", name="uq_releases_version"),
    )
