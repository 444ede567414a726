"""Columns of the support desk. No password, token, code or link is stored as it was given: only what verifies it.

An account is never deleted, so that the audit can name it for good; it is disabled.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Column, Text
from sqlmodel import Field, SQLModel


class Account(SQLModel, table=True):
    """One person.

    ``password`` is an Argon2id hash (PHC string); ``temporary_until`` is set while it is one that another person set
    them, which has to be changed until then. ``totp_sealed`` is the secret of the second factor, ``totp_pending`` one
    that waits for its first code; ``totp_last_step`` is the newest step whose code was used: a code counts once.
    """

    __tablename__ = "staff_accounts"

    name: str = Field(primary_key=True, max_length=60)
    display_name: str = Field(default="", max_length=100)
    role: str = Field(max_length=16)
    language: str = Field(default="zh", max_length=2)
    password: str = Field(max_length=200)
    password_changed_at: datetime
    temporary_until: datetime | None = None
    totp_sealed: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    totp_pending: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    totp_last_step: int = 0
    created_at: datetime
    created_by: str = Field(max_length=100)
    disabled_at: datetime | None = None
    last_sign_in_at: datetime | None = None
    approver_since: datetime | None = None
    seal: str | None = Field(default=None, max_length=64)


class RecoveryCode(SQLModel, table=True):
    """A code that replaces the second factor once; its row is deleted when it is used."""

    __tablename__ = "staff_recovery_codes"

    account: str = Field(primary_key=True, foreign_key="staff_accounts.name", max_length=60)
    digest: str = Field(primary_key=True, max_length=64)


class StaffSession(SQLModel, table=True):
    """One signed-in browser; its row is deleted when it ends. ``digest`` is the SHA-256 of its cookie's token.

    ``proved_at`` is when its person last proved the second factor, or the password where the account has none.
    """

    __tablename__ = "staff_sessions"

    id: str = Field(primary_key=True, max_length=23)
    digest: str = Field(unique=True, max_length=64)
    account: str = Field(foreign_key="staff_accounts.name", max_length=60, index=True)
    opened_at: datetime
    seen_at: datetime = Field(index=True)
    expires_at: datetime
    proved_at: datetime | None = None
    address: str = Field(default="", max_length=64)
    client: str = Field(default="", max_length=200)
    seal: str | None = Field(default=None, max_length=64)


class ApiToken(SQLModel, table=True):
    """One program's token. ``owner`` is the account that made it, which it cannot outgrow; none when a command did."""

    __tablename__ = "staff_tokens"

    id: str = Field(primary_key=True, max_length=23)
    digest: str = Field(unique=True, max_length=64)
    name: str = Field(max_length=60)
    scopes: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    owner: str | None = Field(default=None, foreign_key="staff_accounts.name", max_length=60)
    created_at: datetime
    created_by: str = Field(max_length=100)
    expires_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    seal: str | None = Field(default=None, max_length=64)


class SignInFailures(SQLModel, table=True):
    """How often signing in failed, for an account's name or an address, both as keyed hashes.

    People type passwords into the name's field: what was typed is not kept.
    """

    __tablename__ = "staff_sign_in_failures"

    key: str = Field(primary_key=True, max_length=64)
    failures: int
    last_at: datetime = Field(index=True)


class SetupLink(SQLModel, table=True):
    """A link that makes the first account; its row is gone when one was made."""

    __tablename__ = "staff_setup_links"

    digest: str = Field(primary_key=True, max_length=64)
    expires_at: datetime


class StoredAnswer(SQLModel, table=True):
    """The answer to a call with an ``Idempotency-Key``; the same call again gets it again. ``sealed`` is its body."""

    __tablename__ = "staff_answers"

    actor: str = Field(primary_key=True, max_length=100)
    key: str = Field(primary_key=True, max_length=128)
    fingerprint: str = Field(max_length=64)
    sealed: str = Field(default="", sa_column=Column(Text, nullable=False))
    at: datetime = Field(index=True)
