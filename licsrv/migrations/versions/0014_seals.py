"""Seals of rows that other means must not write, the caller's own request id, and since when an account approves."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

READS = ("audit_entries", "issued_licenses")  # the sealing after this step, with the service at rest
IS_ONLINE = False
_SEALED = ("audit_entries", "audit_head", "staff_accounts", "staff_sessions", "staff_tokens", "issued_licenses")


def upgrade() -> None:
    """Add the columns; `licsrv init` and the next start seal what is there, once."""
    for table in _SEALED:
        op.add_column(table, sa.Column("seal", Text(64), nullable=True))
    op.add_column("audit_entries", sa.Column("client_request_id", Text(64), nullable=True))
    op.add_column("staff_accounts", sa.Column("approver_since", Moment(), nullable=True))
