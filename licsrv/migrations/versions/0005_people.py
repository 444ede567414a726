"""People of the support desk: accounts, sessions, tokens, and what guards them."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; nothing that was there changes."""
    _accounts()
    _sessions()
    _tokens()
    _guards()


def _accounts() -> None:
    op.create_table(
        "staff_accounts",
        sa.Column("name", Text(60), nullable=False),
        sa.Column("display_name", Text(100), nullable=False),
        sa.Column("role", Text(16), nullable=False),
        sa.Column("language", Text(2), nullable=False),
        sa.Column("password", Text(200), nullable=False),
        sa.Column("password_changed_at", Moment(), nullable=False),
        sa.Column("temporary_until", Moment(), nullable=True),
        sa.Column("totp_sealed", sa.Text(), nullable=True),
        sa.Column("totp_pending", sa.Text(), nullable=True),
        sa.Column("totp_last_step", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", Text(100), nullable=False),
        sa.Column("disabled_at", Moment(), nullable=True),
        sa.Column("last_sign_in_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "staff_recovery_codes",
        sa.Column("account", Text(60), nullable=False),
        sa.Column("digest", Text(64), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["staff_accounts.name"]),
        sa.PrimaryKeyConstraint("account", "digest"),
    )


def _sessions() -> None:
    op.create_table(
        "staff_sessions",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("digest", Text(64), nullable=False),
        sa.Column("account", Text(60), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("seen_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("address", Text(64), nullable=False),
        sa.Column("client", Text(200), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["staff_accounts.name"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("ix_staff_sessions_account", "staff_sessions", ["account"], unique=False)
    op.create_index("ix_staff_sessions_seen_at", "staff_sessions", ["seen_at"], unique=False)


def _tokens() -> None:
    op.create_table(
        "staff_tokens",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("digest", Text(64), nullable=False),
        sa.Column("name", Text(60), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("owner", Text(60), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", Text(100), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("last_used_at", Moment(), nullable=True),
        sa.Column("revoked_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["owner"], ["staff_accounts.name"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )


def _guards() -> None:
    op.create_table(
        "staff_sign_in_failures",
        sa.Column("key", Text(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_staff_sign_in_failures_last_at", "staff_sign_in_failures", ["last_at"], unique=False)
    op.create_table(
        "staff_setup_links",
        sa.Column("digest", Text(64), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "staff_answers",
        sa.Column("actor", Text(100), nullable=False),
        sa.Column("key", Text(128), nullable=False),
        sa.Column("fingerprint", Text(64), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key"),
    )
    op.create_index("ix_staff_answers_at", "staff_answers", ["at"], unique=False)
