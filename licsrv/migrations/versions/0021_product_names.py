"""A product is known by its id, or by the name under which its licenses were signed so far; former names are kept."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Programs of the products that are there compare the signed product with their present name."""
    op.add_column("products", sa.Column("signed_as", Text(128), nullable=True))
    op.add_column("products", sa.Column("former_names", sa.JSON(), nullable=True))
    products = sa.table("products", sa.column("signed_as", sa.String()), sa.column("name", sa.String()))
    op.execute(products.update().values(signed_as=products.c.name))
