"""How the outbox's kinds are delivered: the questions, the activation, the usage report and the upload.

Each may be delivered twice (a process that dies between the call and its settlement): a query changes nothing at the
marketplace, a usage report names clients and is counted once for each, an activation that finds the code activated
takes it as it is, and an upload sends the very same license for the same event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session

from licsrv.audit import Action, Cause, record
from licsrv.errors import KeyringError, MarketplaceError, MarketplacePausedError, MarketplaceRefusedError
from licsrv.heartbeats.service import QUERY_KIND, USAGE_KIND
from licsrv.licensing import changes, store
from licsrv.marketplace.licenses import applications, codes, instances
from licsrv.marketplace.licenses.applications import UPLOAD_KIND, Issuer
from licsrv.marketplace.licenses.instances import ORDER_KIND
from licsrv.marketplace.licenses.introduction import ACTIVATE_KIND, activate_or_adopt, refusal_of
from licsrv.marketplace.open_api.code_answers import Usage
from licsrv.marketplace.open_api.guarded import GuardedOpenApi
from licsrv.marketplace.open_api.uploads import Upload
from licsrv.outbox.rules import Again, Delivered, Postponed, Refused, Verdict
from licsrv.outbox.store import Claimed
from licsrv.outbox.worker import Deliverer
from licsrv.platform import sealing
from licsrv.platform.clock import Clock

# At most 100 codes a call and 100 clients a code (protocol §2.4): a hundred rows can never be more than that.
USAGE_BATCH = 100
_CAUSE = Cause("outbox")


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

    def deliverers(self) -> Mapping[str, Deliverer]:
        """Return a deliverer for each kind."""
        return {
            ACTIVATE_KIND: Deliverer(self._one(self._activate)),
            QUERY_KIND: Deliverer(self._one(self._query)),
            ORDER_KIND: Deliverer(self._one(self._query_order)),
            UPLOAD_KIND: Deliverer(self._one(self._upload)),
            USAGE_KIND: Deliverer(self._report_usage, batch=USAGE_BATCH),
        }

    def _one(
        self, deliver: Callable[[Claimed], Awaitable[Verdict]]
    ) -> Callable[[Sequence[Claimed]], Awaitable[Sequence[Verdict]]]:
        async def guarded(rows: Sequence[Claimed]) -> Sequence[Verdict]:
            try:
                return [await deliver(rows[0])]
            except MarketplaceError as error:
                return [self._verdict(error, rows[0])]

        return guarded

    def _verdict(self, error: MarketplaceError, row: Claimed) -> Verdict:
        """Return what an error means for a row: closed way, no for good, or try again."""
        reason = f"{error.error_code} {error.message}".strip()
        if isinstance(error, MarketplacePausedError):
            return Postponed(reason, error.until)
        if isinstance(error, MarketplaceRefusedError):
            return Refused(reason, lambda session: self._note_parked(session, row, reason))
        return Again(reason)

    def _note_parked(self, session: Session, row: Claimed, reason: str) -> None:
        detail = {"kind": row.kind, "row": row.id, "why": reason}
        now = self.clock.now()
        record(session, Action.DELIVERY_PARKED, subject=row.ordering_key, cause=_CAUSE, detail=detail, now=now)

    async def _query(self, row: Claimed) -> Verdict:
        asked_at = self.clock.now()
        state = await self.api.query(row.payload["code"], time_limit=self.time_limit)

        def effect(session: Session) -> None:
            codes.apply_state(
                session,
                row.ordering_key,
                state,
                asked_at=asked_at,
                alive_unfreezes=self.alive_unfreezes,
                now=self.clock.now(),
            )

        return Delivered(effect)

    async def _query_order(self, row: Claimed) -> Verdict:
        code, asked_at = row.payload["code"], self.clock.now()
        try:
            order = await self.api.query_order(
                row.payload["order_id"], row.payload["order_line_id"], time_limit=self.time_limit
            )
        except MarketplaceRefusedError as error:
            return self._refused_order(row, error)

        def effect(session: Session) -> None:
            now = self.clock.now()
            license = instances.take_order_over(session, code, order, asked_at=asked_at, cause=_CAUSE, now=now)
            if license is not None and license.activated_at is not None:
                applications.issue_waiting(session, license, self.issuer, cause=_CAUSE, now=now)

        return Delivered(effect)

    def _refused_order(self, row: Claimed, error: MarketplaceRefusedError) -> Verdict:
        """Note on the license that the marketplace does not know its order; a repeated newInstance asks again."""
        reason = f"{error.error_code} {error.message}".strip()

        def effect(session: Session) -> None:
            license = store.license_for_update(session, row.payload["code"]) if row.payload["code"] else None
            if license is not None:
                changes.refuse(session, license, reason[:255], cause=_CAUSE, now=self.clock.now())
            self._note_parked(session, row, reason)

        return Refused(reason, effect)

    async def _upload(self, row: Claimed) -> Verdict:
        try:
            text = sealing.unseal(row.payload["sealed"], device_key=self.issuer.keyring().device_key)
        except KeyringError as error:
            reason = str(error)
            return Refused(reason, lambda session: self._note_parked(session, row, reason))
        upload = Upload(text, row.payload["file_name"])
        await self.api.upload(row.payload["event_id"], upload, time_limit=self.time_limit)
        return Delivered()

    async def _activate(self, row: Claimed) -> Verdict:
        code = row.payload["code"]
        try:
            found = await activate_or_adopt(self.api, code, self.time_limit)
        except MarketplaceRefusedError as error:
            return self._refused_activation(row, error)

        def effect(session: Session) -> None:
            codes.take_over(session, code, found, cause=_CAUSE, now=self.clock.now())

        return Delivered(effect)

    def _refused_activation(self, row: Claimed, error: MarketplaceRefusedError) -> Verdict:
        """End the provisional license together with the row: what it was given for does not exist."""
        reason = f"{error.error_code} {error.message}".strip()

        def effect(session: Session) -> None:
            license = store.license_by_id_for_update(session, row.ordering_key)
            if license is not None:
                detail = refusal_of(error).detail
                changes.refuse(session, license, detail, cause=_CAUSE, now=self.clock.now())
            self._note_parked(session, row, reason)

        return Refused(reason, effect)

    async def _report_usage(self, rows: Sequence[Claimed]) -> Sequence[Verdict]:
        """Report up to a hundred rows in one call; where one code spoils it, halves are tried until it stands alone."""
        try:
            result = await self.api.report_usage(_usages(rows), time_limit=self.time_limit)
        except MarketplaceRefusedError as error:
            if len(rows) == 1:
                return [self._verdict(error, rows[0])]
            middle = len(rows) // 2
            return [*await self._report_usage(rows[:middle]), *await self._report_usage(rows[middle:])]
        except MarketplaceError as error:
            return [self._verdict(error, row) for row in rows]
        failed = frozenset(result.failed_codes)
        return [self._refused_usage(row) if row.payload["code"] in failed else Delivered() for row in rows]

    def _refused_usage(self, row: Claimed) -> Verdict:
        reason = "the marketplace names this code among those that failed its check"
        return Refused(reason, lambda session: self._note_parked(session, row, reason))


def _usages(rows: Sequence[Claimed]) -> list[Usage]:
    clients: dict[str, list[str]] = {}
    for row in rows:
        clients.setdefault(row.payload["code"], []).append(row.payload["client_id"])
    return [Usage(code, tuple(dict.fromkeys(ids))) for code, ids in clients.items()]
