"""Signing keys as API, console and command line show them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from pydantic import Field

from licsrv.errors import KeyringError
from licsrv.licensing.keyring import KeyRecord, Keyring, Purpose
from licsrv.platform.fields import Body


class Key(Body):
    """A signing key; its private half is nowhere in here."""

    key_id: str
    id: str = Field(description="the same as key_id")
    purpose: str
    algorithm: str
    public: str
    created_at: datetime
    signs_from: datetime | None = Field(description="null: since it was made")
    begins_at: datetime = Field(description="signs_from, or else created_at")
    retired_at: datetime | None
    state: str = Field(description="signing, verifying (a newer key signs), waiting (for its moment) or retired")


class Keys(Body):
    """Every signing key."""

    items: list[Key]


def keys(keyring: Keyring, *, now: datetime) -> Keys:
    """Return every signing key with what it does now."""
    signing = _signing(keyring, now)
    return Keys(items=[shown(record, signing=record.key_id in signing, now=now) for record in keyring.records])


def _signing(keyring: Keyring, now: datetime) -> frozenset[str]:
    return frozenset(_signers(keyring, now))


def _signers(keyring: Keyring, now: datetime) -> Iterator[str]:
    for purpose in Purpose:
        with suppress(KeyringError):  # a replica that only verifies has no private half
            yield keyring.signer(purpose, now=now).key_id
    with suppress(KeyringError):  # the second signature is optional
        yield keyring.second_signer(now=now).key_id


def shown(record: KeyRecord, *, signing: bool, now: datetime) -> Key:
    """Return a key.

    Args:
        signing: Whether it is the newest key of its purpose that may sign.
    """
    return Key(
        key_id=record.key_id, id=record.key_id, purpose=str(record.purpose), algorithm=str(record.algorithm),
        public=record.public, created_at=record.created_at, signs_from=record.signs_from, begins_at=record.begins_at,
        retired_at=record.retired_at, state=_state(record, signing=signing, now=now),
    )  # fmt: skip


def _state(record: KeyRecord, *, signing: bool, now: datetime) -> str:
    if record.is_retired:
        return "retired"
    if record.begins_at > now:
        return "waiting"
    return "signing" if signing else "verifying"
