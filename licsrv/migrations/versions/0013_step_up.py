"""When the person of a session last proved who they are."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; sessions that were open before have to prove it again."""
    op.add_column("staff_sessions", sa.Column("proved_at", Moment(), nullable=True))
