"""Products that are sold once, unreadable answers of the marketplace, licenses whose places were lowered."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

from licsrv.migrations import online

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

READS = ("licenses",)
_ENDLESS = sa.text("expires_at IS NULL AND released_at IS NULL")
_LOWERED = sa.text("lowered_at IS NOT NULL")


def upgrade() -> None:
    """Add the columns, their indexes and the table; nothing that was there changes."""
    op.add_column("products", sa.Column("one_off", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("licenses", sa.Column("lowered_at", Moment(), nullable=True))
    op.add_column("license_orders", sa.Column("ends_at", Moment(), nullable=True))
    op.create_table(
        "marketplace_unread_answers",
        sa.Column("subject", Text(64), nullable=False),
        sa.Column("members", Text(100), nullable=False),
        sa.Column("seen_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    online.replace_index("ix_licenses_endless", "licenses", ["product_id"], where=_ENDLESS)
    online.replace_index("ix_licenses_lowered", "licenses", ["lowered_at"], where=_LOWERED)
