"""Places that are bound to an install identity, and the products that allow them."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; no product allows it unless it is described so."""
    op.add_column("products", sa.Column("weak_binding", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("devices", sa.Column("is_weakly_bound", sa.Boolean(), server_default=sa.false(), nullable=False))
