"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    _audit()
    _outbox()
    _licensing()
    _heartbeats()
    _marketplace()


def _audit() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("actor", Text(100), nullable=False),
        sa.Column("action", Text(40), nullable=False),
        sa.Column("subject", Text(128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("request_id", Text(64), nullable=False),
        sa.Column("hash", Text(64), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("seq"),
    )
    op.create_index("ix_audit_entries_subject", "audit_entries", ["subject"], unique=False)
    op.create_index(
        "ix_audit_entries_unsealed",
        "audit_entries",
        ["id"],
        unique=False,
        sqlite_where=sa.text("seq IS NULL"),
        postgresql_where=sa.text("seq IS NULL"),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", Text(64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '" + "0" * 64 + "')")


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", Text(40), nullable=False),
        sa.Column("ordering_key", Text(64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", Text(10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("claimed_by", Text(64), nullable=True),
        sa.Column("claimed_until", Moment(), nullable=True),
        sa.Column("settled_at", Moment(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["kind", "id"],
        unique=False,
        sqlite_where=sa.text("settled_at IS NULL"),
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.create_index(
        "ix_outbox_order",
        "outbox",
        ["ordering_key", "id"],
        unique=False,
        sqlite_where=sa.text("settled_at IS NULL"),
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.create_index("ix_outbox_settled", "outbox", ["state", "settled_at"], unique=False)


def _licensing() -> None:
    op.create_table(
        "products",
        sa.Column("product_id", Text(128), nullable=False),
        sa.Column("name", Text(64), nullable=False),
        sa.Column("device_limit", sa.Integer(), nullable=True),
        sa.Column("amount_is_places", sa.Boolean(), nullable=False),
        sa.Column("features", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("product_id"),
    )
    op.create_table(
        "licenses",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("code", Text(64), nullable=False),
        sa.Column("source", Text(16), nullable=False),
        sa.Column("product_id", Text(128), nullable=False),
        sa.Column("order_id", Text(64), nullable=False),
        sa.Column("order_line_id", Text(64), nullable=False),
        sa.Column("customer", Text(200), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=True),
        sa.Column("device_limit", sa.Integer(), nullable=True),
        sa.Column("places_taken", sa.Integer(), nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("activated_at", Moment(), nullable=True),
        sa.Column("provisional_until", Moment(), nullable=True),
        sa.Column("refused_reason", Text(255), nullable=True),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("expiry_stated_at", Moment(), nullable=True),
        sa.Column("frozen_at", Moment(), nullable=True),
        sa.Column("freeze_stated_at", Moment(), nullable=True),
        sa.Column("revoked_at", Moment(), nullable=True),
        sa.Column("revoked_by", Text(100), nullable=True),
        sa.Column("revoked_reason", Text(500), nullable=True),
        sa.Column("released_at", Moment(), nullable=True),
        sa.Column("facts_changed_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
    )
    op.create_index("ix_licenses_order_id", "licenses", ["order_id"], unique=False)
    op.create_table(
        "devices",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("fingerprint", Text(43), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("text_hash", Text(32), nullable=False),
        sa.Column("name", Text(100), nullable=False),
        sa.Column("client_version", Text(64), nullable=False),
        sa.Column("first_seen_at", Moment(), nullable=False),
        sa.Column("released_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["license_id"],
            ["licenses.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("license_id", "fingerprint", name="uq_devices_license_fingerprint"),
    )
    op.create_index("ix_devices_fingerprint", "devices", ["fingerprint"], unique=False)
    op.create_table(
        "device_parts",
        sa.Column("device_id", Text(23), nullable=False),
        sa.Column("part_hash", Text(32), nullable=False),
        sa.Column("license_id", Text(23), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
        ),
        sa.PrimaryKeyConstraint("device_id", "part_hash"),
    )
    op.create_index("ix_device_parts_license_part", "device_parts", ["license_id", "part_hash"], unique=False)
    op.create_table(
        "issued_licenses",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("device_id", Text(23), nullable=False),
        sa.Column("form", Text(8), nullable=False),
        sa.Column("digest", Text(64), nullable=False),
        sa.Column("key_id", Text(43), nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("issued_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
        ),
        sa.ForeignKeyConstraint(
            ["license_id"],
            ["licenses.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("ix_issued_licenses_device_id", "issued_licenses", ["device_id"], unique=False)
    op.create_index("ix_issued_licenses_license_id", "issued_licenses", ["license_id"], unique=False)


def _heartbeats() -> None:
    op.create_table(
        "check_ins",
        sa.Column("device_id", Text(23), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("first_at", Moment(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("status", Text(16), nullable=False),
        sa.Column("lease_until", Moment(), nullable=False),
        sa.Column("client_version", Text(64), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "day"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_check_ins_license_day", "check_ins", ["license_id", "day"], unique=False)
    op.create_table(
        "license_days",
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("license_id", "day"),
        sqlite_with_rowid=False,
    )


def _marketplace() -> None:
    op.create_table(
        "callback_nonces",
        sa.Column("digest", Text(64), nullable=False),
        sa.Column("seen_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_callback_nonces_seen_at", "callback_nonces", ["seen_at"], unique=False)
    op.create_table(
        "callback_receipts",
        sa.Column("digest", Text(64), nullable=False),
        sa.Column("message", Text(255), nullable=False),
        sa.Column("answered_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "callback_log",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.Column("is_signed", sa.Boolean(), nullable=False),
        sa.Column("key_digest", Text(12), nullable=False),
        sa.Column("activity", Text(64), nullable=False),
        sa.Column("code", Text(64), nullable=False),
        sa.Column("is_probe", sa.Boolean(), nullable=False),
        sa.Column("result_code", Text(6), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("body_bytes", sa.Integer(), nullable=False),
        sa.Column("request_id", Text(64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_callback_log_code", "callback_log", ["code"], unique=False)
    op.create_index("ix_callback_log_signed", "callback_log", ["is_signed", "id"], unique=False)
    op.create_table(
        "license_orders",
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("order_id", Text(64), nullable=False),
        sa.Column("order_line_id", Text(64), nullable=False),
        sa.Column("scene", Text(64), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("license_id", "order_id", "order_line_id", "scene"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "marketplace_views",
        sa.Column("license_id", Text(23), nullable=False),
        sa.Column("status", Text(16), nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("asked_at", Moment(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("license_id"),
    )
    op.create_table(
        "marketplace_gates",
        sa.Column("key_pair", Text(12), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("paused_until", Moment(), nullable=True),
        sa.Column("reason", Text(500), nullable=False),
        sa.PrimaryKeyConstraint("key_pair"),
    )
    op.create_table(
        "marketplace_calls",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("key_pair", Text(12), nullable=False),
        sa.Column("ends_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_marketplace_calls_key_pair", "marketplace_calls", ["key_pair"], unique=False)
