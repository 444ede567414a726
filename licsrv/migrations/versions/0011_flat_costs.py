"""Indexes by which claiming, the desk's page and deleting cost the same however much there is."""

import sqlalchemy as sa

from licsrv.migrations import online

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

READS = ("outbox", "callback_receipts")


def upgrade() -> None:
    """Make the indexes while the service writes; the one that they replace goes last."""
    waiting = sa.text("settled_at IS NULL")
    online.replace_index("ix_outbox_claim", "outbox", ["kind", "due_at", "id"], where=waiting)
    online.replace_index("ix_outbox_waiting", "outbox", ["created_at", "id"], where=waiting)
    online.replace_index("ix_callback_receipts_answered_at", "callback_receipts", ["answered_at"])
    online.drop_index("ix_outbox_due", "outbox")
