"""Bulk work: its jobs and their rows."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString as Text
from sqlmodel.sql.sqltypes import UTCDateTime as Moment

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; nothing that was there changes."""
    op.create_table(
        "bulk_jobs",
        sa.Column("id", Text(23), nullable=False),
        sa.Column("action", Text(20), nullable=False),
        sa.Column("until", Moment(), nullable=True),
        sa.Column("reason", Text(500), nullable=False),
        sa.Column("state", Text(10), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", Text(100), nullable=False),
        sa.Column("maker", Text(100), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("licenses", sa.Integer(), nullable=False),
        sa.Column("upload", Text(23), nullable=False),
        sa.Column("listed_at", Moment(), nullable=True),
        sa.Column("started_at", Moment(), nullable=True),
        sa.Column("decided_by", Text(100), nullable=True),
        sa.Column("decided_at", Moment(), nullable=True),
        sa.Column("decision", Text(500), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("owner", Text(64), nullable=True),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    under_way = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_bulk_jobs_under_way",
        "bulk_jobs",
        ["state", "id"],
        sqlite_where=under_way,
        postgresql_where=under_way,
    )
    op.create_table(
        "bulk_rows",
        sa.Column("job_id", Text(23), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("given", Text(128), nullable=False),
        sa.Column("license_id", Text(23), nullable=True),
        sa.Column("code", Text(64), nullable=False),
        sa.Column("planned", Text(10), nullable=False),
        sa.Column("planned_why", Text(200), nullable=False),
        sa.Column("outcome", Text(10), nullable=True),
        sa.Column("why", Text(200), nullable=False),
        sa.Column("done_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["bulk_jobs.id"]),
        sa.PrimaryKeyConstraint("job_id", "number"),
        sqlite_with_rowid=False,
    )
