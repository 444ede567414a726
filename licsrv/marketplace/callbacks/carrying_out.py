"""Carry a command of any product line out, once: what the marketplace asked for becomes a change of licenses.

Every message is absolute and may come again, late and out of order. A receipt gives the same answer to the same
message; unique constraints hold what must be there once; the signed moment orders statements of one kind; and the
marketplace is asked afterwards, so that its own word settles what order could not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeGuard, assert_never

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.errors import CallbackError
from licsrv.licensing import changes
from licsrv.licensing import store as licenses
from licsrv.licensing.tables import License
from licsrv.marketplace import store
from licsrv.marketplace.commands import (
    CONVERSION,
    RENEWAL,
    RENEWALS,
    UNDONE,
    ApplyForLicense,
    ChangeExpiry,
    ChangeOrder,
    ChangeStatus,
    CheckChange,
    Command,
    ExpireLicense,
    LicenseCommand,
    NoteOrder,
    OpenedInstance,
    OpenInstance,
    OpenLicense,
    Outcome,
    Probe,
    QueryInstances,
    ReleaseLicense,
    ResultCode,
)
from licsrv.marketplace.licenses import applications, instances
from licsrv.marketplace.licenses.applications import Issuer
from licsrv.marketplace.origins import AskedBy, asked_by
from licsrv.outbox import store as outbox
from licsrv.outbox.messages import QueryLicense, QueryOrder

# A renewal only extends; every other scene (an unknown one, too) states the end.
_AFTER_CONVERSION = frozenset({CONVERSION, *RENEWALS})
_UPGRADE, _EXPIRY, _RELEASE = "UPGRADE", "EXPIRY", "RELEASE"


@dataclass(frozen=True)
class Message:
    """A verified message: what it asks for, its members, and when the marketplace signed it."""

    command: Command
    body: Mapping[str, object]
    signed_at: datetime


def carry_out(session: Session, message: Message, issuer: Issuer, *, cause: Cause, now: datetime) -> Outcome:
    """Do what the message asks for; what was done before is not done again and gets the same answer.

    Raises:
        CallbackError: It cannot be done; whatever was written must be undone.
    """
    command = message.command
    match command:
        case Probe():
            return _answer_probe(command)
        case OpenInstance():
            return instances.open_instance(session, command, cause=cause, now=now)
        case OpenLicense():
            return instances.open_license(session, command, cause=cause, now=now)
        case QueryInstances(codes=codes):
            return instances.describe(session, codes, now=now)
        case CheckChange():
            return instances.check_change(session, command, issuer.terms)
        case ApplyForLicense():
            return applications.apply(session, command, issuer, cause=cause, now=now)
        case NoteOrder():
            return _note_order(session, command, message, now=now)
        case _:
            return _change_license(session, command, message, cause=cause, now=now)


def _answer_probe(probe: Probe) -> Outcome:
    """Answer a debug request as a real one would be, from what it says itself."""
    if probe.activity == "queryInstance":
        return Outcome(instances=[OpenedInstance(code, "debug") for code in probe.codes])
    return Outcome(instance=probe.codes[0] if probe.codes else None)


def _note_order(session: Session, command: NoteOrder, message: Message, *, now: datetime) -> Outcome:
    """Have an order asked about, and its license changed by the answer where it has one here."""
    receipt = _digest(message.body)
    if store.receipt(session, receipt) is None:
        instance = store.instance_of_order(session, command.order_id, command.order_line_id)
        code = instance.code if instance is not None else ""
        order = QueryOrder("", code=code, order_id=command.order_id, order_line_id=command.order_line_id)
        outbox.enqueue(session, order, now=now)
        store.add_receipt(session, receipt, Outcome().message, now=now)
    return Outcome()


def _change_license(
    session: Session, command: LicenseCommand, message: Message, *, cause: Cause, now: datetime
) -> Outcome:
    license = licenses.license_for_update(session, command.code)
    if license is None:
        raise CallbackError(ResultCode.UNKNOWN_LICENSE, "This license is not known here.")
    # Looked for under the lock: the same message on another replica has written its receipt by now.
    receipt = _receipt_digest(message)
    if receipt is not None and (before := store.receipt(session, receipt)) is not None:
        return Outcome(before)

    is_to_be_asked = _apply(session, license, command, stated_at=message.signed_at, cause=cause, now=now)

    if is_to_be_asked and license.released_at is None:
        _ask_afterwards(session, license, command, now=now)
    if receipt is not None:
        store.add_receipt(session, receipt, Outcome().message, now=now)
    return Outcome()


def _ask_afterwards(session: Session, license: License, command: LicenseCommand, *, now: datetime) -> None:
    """Ask the marketplace for its own word: about the code, or about the order that changed an instance."""
    if _concerns_order(command, session, license):
        order = QueryOrder(
            license.id,
            code=license.code,
            order_id=command.order_id,
            order_line_id=command.order_line_id,
            is_optional=asked_by(license.source) is AskedBy.CODE,
        )
        outbox.enqueue(session, order, now=now)
    if asked_by(license.source) is AskedBy.CODE:  # last: its word on the code settles what the order left open
        outbox.enqueue(session, QueryLicense(license.id, code=license.code), now=now)


def _concerns_order(
    command: LicenseCommand, session: Session, license: License
) -> TypeGuard[ChangeExpiry | ChangeOrder]:
    """Whether the order that a message names has to be asked about."""
    if isinstance(command, ChangeOrder):
        return asked_by(license.source) is AskedBy.ORDER
    if isinstance(command, ChangeExpiry):
        return asked_by(license.source) is AskedBy.ORDER or is_undecided(session, license, command)
    return False


def _receipt_digest(message: Message) -> str | None:
    """Return what names a message that must not be carried out twice.

    A change of status has none: FREEZE, UNFREEZE, FREEZE are three messages of which the first and the third are equal
    to the letter, as are the ends of two years in a row. They may be repeated; the signed time orders them.
    """
    return None if isinstance(message.command, ChangeStatus | ExpireLicense) else _digest(message.body)


def _digest(body: Mapping[str, object]) -> str:
    """Return one text for a message; the time at which a request of License 1.0 was signed is no part of it."""
    said = {name: value for name, value in body.items() if name != "timeStamp"}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _apply(
    session: Session, license: License, command: LicenseCommand, *, stated_at: datetime, cause: Cause, now: datetime
) -> bool:
    """Change the license; return whether the marketplace has to be asked for its own word afterwards."""
    match command:
        case ChangeExpiry():
            return _change_expiry(session, license, command, stated_at=stated_at, cause=cause, now=now)
        case ChangeStatus(frozen=frozen):
            changed = changes.set_frozen(session, license, frozen, stated_at=stated_at, cause=cause, now=now)
            # The license is not in the requested state: the message was overtaken or a clock is wrong, so query.
            return changed or (license.frozen_at is not None) is not frozen
        case ChangeOrder(order_id=order_id, order_line_id=line_id):
            store.add_order(session, license.id, order_id=order_id, order_line_id=line_id, scene=_UPGRADE, now=now)
            return True
        case ExpireLicense(order_id=order_id):
            store.add_order(session, license.id, order_id=order_id, scene=_EXPIRY, now=now)
            return _expire(session, license, stated_at=stated_at, cause=cause, now=now)
        case ReleaseLicense(order_id=order_id, order_line_id=line_id):
            if order_id:
                line_id = line_id or ""
                store.add_order(session, license.id, order_id=order_id, order_line_id=line_id, scene=_RELEASE, now=now)
            return changes.release(session, license, cause=cause, now=now)
    assert_never(command)


def _change_expiry(
    session: Session, license: License, command: ChangeExpiry, *, stated_at: datetime, cause: Cause, now: datetime
) -> bool:
    may_shorten = _may_shorten(session, license, command)
    is_late = is_undecided(session, license, command)
    store.add_order(
        session,
        license.id,
        order_id=command.order_id,
        order_line_id=command.order_line_id,
        scene=command.scene,
        ends_at=command.expires_at,
        now=now,
    )
    if command.scene in RENEWALS and instances.is_undone(
        session, license.id, command.order_id, order_line_id=command.order_line_id
    ):
        return False
    if is_late:
        return True
    changed = changes.change_expiry(
        session, license, command.expires_at, stated_at=stated_at, may_shorten=may_shorten, cause=cause, now=now
    )
    if command.product_id and changed:
        changes.change_product(session, license, command.product_id, cause=cause, now=now)
    # Not changed may mean late: the marketplace is asked in any case.
    return True


def _may_shorten(session: Session, license: License, command: ChangeExpiry) -> bool:
    """Whether this statement may move the end to an earlier moment.

    A conversion of a trial is absolute, once: repeated, or after a renewal, which only a converted license has, it
    comes late.
    """
    if command.scene == RENEWAL:
        return False
    return command.scene != CONVERSION or not store.has_scene(session, license.id, _AFTER_CONVERSION)


def is_undecided(session: Session, license: License, command: ChangeExpiry) -> bool:
    """Whether only the orders' own times can tell if a renewal holds, because a renewal was taken back before it came.

    The message that took it back may name an order of its own, so this may be that very renewal, delivered late. It
    is applied when the answer about its order says that it was placed afterwards.
    """
    return command.scene in RENEWALS and store.has_scene(session, license.id, {UNDONE})


def _expire(session: Session, license: License, *, stated_at: datetime, cause: Cause, now: datetime) -> bool:
    """End a license now; one that has ended already keeps its end, and a later renewal brings it back."""
    if license.expires_at is not None and license.expires_at <= now:
        return False
    return changes.change_expiry(session, license, now, stated_at=stated_at, may_shorten=True, cause=cause, now=now)
