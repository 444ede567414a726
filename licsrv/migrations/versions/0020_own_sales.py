"""Features of single licenses, and new terms for lists of them."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; licenses keep the features of their products."""
    op.add_column("licenses", sa.Column("features", sa.JSON(), nullable=True))
    op.add_column("bulk_jobs", sa.Column("terms", sa.JSON(), nullable=True))
