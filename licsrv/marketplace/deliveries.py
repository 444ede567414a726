"""How the messages of the outbox are delivered to the marketplace.

A message may be delivered twice (the process may die between the call and its settlement). That is harmless: a query
changes nothing at the marketplace; reported clients are counted once; an activation that finds the code activated
takes its state over; an upload sends the same license for the same event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from sqlmodel import Session

from licsrv.audit import Action, Cause, record
from licsrv.errors import (
    KeyringError,
    MarketplaceError,
    MarketplacePausedError,
    MarketplaceRefusedError,
    MarketplaceUnansweredError,
    MarketplaceUnreadableError,
)
from licsrv.licensing import changes, store
from licsrv.marketplace import store as marketplace
from licsrv.marketplace.licenses import applications, codes, instances
from licsrv.marketplace.licenses.applications import Issuer
from licsrv.marketplace.licenses.ends import Unstated
from licsrv.marketplace.licenses.introduction import activate_or_adopt, refusal_of
from licsrv.marketplace.open_api.code_answers import Usage
from licsrv.marketplace.open_api.guarded import GuardedOpenApi
from licsrv.marketplace.open_api.uploads import Upload
from licsrv.outbox.messages import ActivateLicense, Message, QueryLicense, QueryOrder, ReportUsage, UploadLicense
from licsrv.outbox.rules import Again, Delivered, Postponed, Refused, Verdict
from licsrv.outbox.worker import Deliverer, Parked
from licsrv.platform import sealing
from licsrv.platform.clock import Clock

# A call takes 100 codes and 100 clients of a code (protocol §2.4): a hundred messages never exceed that.
USAGE_BATCH = 100
_CAUSE = Cause("outbox")

Kind = TypeVar("Kind", bound=Message)


@dataclass(frozen=True)
class Deliveries:
    """The deliverers of this room.

    Args:
        time_limit: For one call.
        alive_unfreezes: Whether the answer ALIVE ends a freeze.
        issuer: Issues what was applied for before its order was known.
    """

    api: GuardedOpenApi
    clock: Clock
    time_limit: timedelta
    alive_unfreezes: bool
    issuer: Issuer

    def deliverers(self) -> Sequence[Deliverer[Any]]:
        """Return a deliverer for each kind."""
        return (
            Deliverer(ActivateLicense, _one(self._activate)),
            Deliverer(QueryLicense, _one(self._query)),
            Deliverer(QueryOrder, _one(self._query_order)),
            Deliverer(UploadLicense, _one(self._upload)),
            Deliverer(ReportUsage, self._report_usage, batch=USAGE_BATCH),
        )

    def note_parked(self, session: Session, parked: Parked) -> None:
        """Write to the audit that a message is parked."""
        detail = {"kind": parked.kind, "row": parked.row_id, "why": parked.reason}
        now = self.clock.now()
        record(session, Action.DELIVERY_PARKED, subject=parked.ordering_key, cause=_CAUSE, detail=detail, now=now)

    async def _query(self, message: QueryLicense) -> Verdict:
        asked_at = self.clock.now()
        state = await self.api.query(message.code, time_limit=self.time_limit)

        def effect(session: Session) -> None:
            codes.apply_state(
                session,
                message.license_id,
                state,
                asked_at=asked_at,
                alive_unfreezes=self.alive_unfreezes,
                now=self.clock.now(),
            )

        return Delivered(effect)

    async def _query_order(self, message: QueryOrder) -> Verdict:
        asked_at = self.clock.now()
        try:
            order = await self.api.query_order(message.order_id, message.order_line_id, time_limit=self.time_limit)
        except MarketplaceRefusedError as error:
            return Delivered() if message.is_optional else self._refused_order(message, error)
        except MarketplaceUnreadableError as error:
            return self._unreadable_order(message, error)

        def effect(session: Session) -> Again | None:
            now = self.clock.now()
            license = instances.take_order_over(session, message.code, order, asked_at=asked_at, cause=_CAUSE, now=now)
            if isinstance(license, Unstated):
                return Again(license.reason)
            if license is not None and license.activated_at is not None:
                applications.issue_waiting(session, license, self.issuer, cause=_CAUSE, now=now)
            return None

        return Delivered(effect)

    def _unreadable_order(self, message: QueryOrder, error: MarketplaceUnreadableError) -> Verdict:
        subject, members = message.code or message.order_id, error.members

        def effect(session: Session) -> None:
            marketplace.note_reading(session, subject, members, now=self.clock.now())

        # An order that no license here waits for is noted once and not asked about again.
        return Again(_reason(error), effect) if message.code else Delivered(effect)

    def _refused_order(self, message: QueryOrder, error: MarketplaceRefusedError) -> Verdict:
        """Note on the license that the marketplace does not know its order; a repeated newInstance asks again."""
        reason = _reason(error)

        def effect(session: Session) -> None:
            license = store.license_for_update(session, message.code) if message.code else None
            if license is not None:
                changes.refuse(session, license, reason[:255], cause=_CAUSE, now=self.clock.now())

        return Refused(reason, effect)

    async def _upload(self, message: UploadLicense) -> Verdict:
        try:
            text = sealing.unseal(message.sealed, device_key=self.issuer.keyring().device_key)
        except KeyringError as error:
            return Refused(str(error))
        await self.api.upload(message.event_id, Upload(text, message.file_name), time_limit=self.time_limit)
        return Delivered()

    async def _activate(self, message: ActivateLicense) -> Verdict:
        try:
            found = await activate_or_adopt(self.api, message.code, self.time_limit)
        except MarketplaceRefusedError as error:
            return self._refused_activation(message, error)

        def effect(session: Session) -> Again | None:
            taken = codes.take_over(session, message.code, found, cause=_CAUSE, now=self.clock.now())
            return Again(taken.reason) if isinstance(taken, Unstated) else None

        return Delivered(effect)

    def _refused_activation(self, message: ActivateLicense, error: MarketplaceRefusedError) -> Verdict:
        """End the provisional license together with the row: the code that it was given for does not exist."""

        def effect(session: Session) -> None:
            license = store.license_by_id_for_update(session, message.license_id)
            if license is not None:
                detail = refusal_of(error).detail
                changes.refuse(session, license, detail, cause=_CAUSE, now=self.clock.now())

        return Refused(_reason(error), effect)

    async def _report_usage(self, messages: Sequence[ReportUsage]) -> Sequence[Verdict]:
        """Report up to a hundred messages in one call; where one code fails the call, halves isolate it."""
        try:
            result = await self.api.report_usage(_usages(messages), time_limit=self.time_limit)
        except MarketplaceRefusedError as error:
            if len(messages) == 1:
                return [_refused_usage(messages[0], _reason(error))]
            middle = len(messages) // 2
            return [*await self._report_usage(messages[:middle]), *await self._report_usage(messages[middle:])]
        except MarketplaceError as error:
            return [_verdict(error)] * len(messages)
        failed = frozenset(result.failed_codes)
        return [
            _refused_usage(message, _FAILED_CHECK) if message.code in failed else Delivered() for message in messages
        ]


_FAILED_CHECK = "the marketplace names this code among those that failed its check"


def _refused_usage(message: ReportUsage, reason: str) -> Verdict:
    """Park a use that the marketplace refuses, unless the license was released after it: then nothing is left to do."""

    def effect(session: Session) -> Delivered | None:
        license = store.license_by_code(session, message.code)
        return Delivered() if license is not None and license.released_at is not None else None

    return Refused(reason, effect)


def _one(deliver: Callable[[Kind], Awaitable[Verdict]]) -> Callable[[Sequence[Kind]], Awaitable[Sequence[Verdict]]]:
    """Deliver messages one in a call; an error of the open API becomes its verdict."""

    async def guarded(messages: Sequence[Kind]) -> Sequence[Verdict]:
        try:
            return [await deliver(messages[0])]
        except MarketplaceError as error:
            return [_verdict(error)]

    return guarded


def _verdict(error: MarketplaceError) -> Verdict:
    """Return what an error means for a message: later, never, or after the usual delay."""
    if isinstance(error, MarketplacePausedError):
        return Postponed(_reason(error), error.until)
    if isinstance(error, MarketplaceRefusedError):
        return Refused(_reason(error))
    # An answer that cannot be read is one: the next message may be answered better.
    is_silence = isinstance(error, MarketplaceUnansweredError) and not isinstance(error, MarketplaceUnreadableError)
    return Again(_reason(error), is_silence=is_silence)


def _reason(error: MarketplaceError) -> str:
    return f"{error.error_code} {error.message}".strip()


def _usages(messages: Sequence[ReportUsage]) -> list[Usage]:
    clients: dict[str, list[str]] = {}
    for message in messages:
        clients.setdefault(message.code, []).append(message.client_id)
    return [Usage(code, tuple(dict.fromkeys(ids))) for code, ids in clients.items()]
