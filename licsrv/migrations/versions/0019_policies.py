"""Policies of products with all their versions; what products said of places and repairs becomes their first."""

import json

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

from licsrv.platform.clock import Clock

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# The name in the policy, the former column, and what that said where nothing was said.
_MOVED = (
    ("places.limit", "device_limit", None),
    ("places.amount_counts", "amount_is_places", True),
    ("recognition.learned_parts", "learned_parts", 2),
    ("recognition.learned_days", "learned_days", 30),
    ("recognition.weak_binding", "weak_binding", False),
)


def upgrade() -> None:
    """Make the table and its first rows; the former columns stay for the version before, and are read no more."""
    versions = op.create_table(
        "policy_versions",
        sa.Column("product_id", Text(128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("stated", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("actor", Text(100), nullable=False),
        sa.Column("reason", Text(500), nullable=False),
        sa.Column("restores", sa.Integer(), nullable=True),
        sa.Column("replaced_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("product_id", "version"),
    )
    current = sa.text("replaced_at IS NULL")
    op.create_index(
        "uq_policy_versions_current", "policy_versions", ["product_id"], unique=True,
        sqlite_where=current, postgresql_where=current,
    )  # fmt: skip
    op.bulk_insert(versions, _first_versions())


def _first_versions() -> list[dict[str, object]]:
    names = ["product_id", *(column for _, column, _ in _MOVED)]
    booleans = ("amount_is_places", "weak_binding")  # which SQLite keeps as numbers
    columns = [sa.column(name, sa.Boolean()) if name in booleans else sa.column(name) for name in names]
    rows = op.get_bind().execute(sa.select(*columns).select_from(sa.table("products")))
    now = Clock().now()
    return [
        {"product_id": product_id, "version": 1, "stated": text, "at": now, "actor": "system",
         "reason": "Moved from the description of the product.", "restores": None, "replaced_at": None}
        for product_id, *values in rows
        if (text := _text(values)) != "{}"
    ]  # fmt: skip


def _text(values: list[object]) -> str:
    pairs = zip(_MOVED, values, strict=True)
    stated = {name: value for (name, _, unsaid), value in pairs if value is not None and value != unsaid}
    return json.dumps(stated, sort_keys=True, separators=(",", ":"))
