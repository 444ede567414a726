"""The product line at work: codes bought, received, renewed, frozen, released; activated, queried, used.

Keeps the codes in memory and puts callbacks on their way through the function it is given. How a body looks is in
``messages.py``, what a code may do in ``codes.py``.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Protocol

from licsrv.emulator.authorization_code import fields, messages
from licsrv.emulator.authorization_code.codes import (
    AuthorizationCode,
    CodeState,
    DayOfUse,
    Order,
    OrderKind,
    Renewal,
)
from licsrv.emulator.clock import MovableClock, later, require_in_calendar
from licsrv.emulator.deliveries import BEFORE_REFUND, Delivery, RefundFirst
from licsrv.emulator.errors import ControlError, OpenApiRefusedError
from licsrv.emulator.moments import parse_compact
from licsrv.emulator.open_api_codes import OpenApiCode

MARKETPLACE_ZONE = timezone(timedelta(hours=8))
"""The day a report of use counts for; a fixed offset, since the marketplace's zone has no summer time."""

ALPHABET = string.ascii_uppercase + string.digits
MAX_DAYS = 36_500
MAX_AMOUNT = 999_999_999
SAMPLE_CODE = "PL0000000001"


class PostCallback(Protocol):
    """Signs a body and puts it on its way; ``held``: only after a flush."""

    def __call__(self, body: Mapping[str, object], *, held: bool = False) -> Delivery:
        """Return at once."""


class AuthorizationCodes:
    """Every authorization code of the emulated marketplace.

    Args:
        clock: The marketplace's clock.
        post: Signs a body and puts it on its way to the merchant.
    """

    def __init__(self, clock: MovableClock, post: PostCallback) -> None:
        self._clock = clock
        self._post = post
        self._codes: dict[str, AuthorizationCode] = {}

    def all(self) -> list[AuthorizationCode]:
        """Return every code, the oldest first."""
        return list(self._codes.values())

    def get(self, code: str) -> AuthorizationCode:
        """Return one code.

        Raises:
            ControlError: There is none.
        """
        if code not in self._codes:
            raise ControlError(f"there is no code {code}", status=404)
        return self._codes[code]

    def find(self, code: str) -> AuthorizationCode | None:
        """Return one code, or None."""
        return self._codes.get(code)

    def forget(self) -> None:
        """Forget every code."""
        self._codes.clear()

    def buy(
        self,
        *,
        product_id: str = "OFFI000000000000000001",
        amount: int = 1,
        days: int | None = None,
        expires_at: datetime | None = None,
        received: bool = True,
        code: str | None = None,
        order_id: str | None = None,
        order_line_id: str | None = None,
        test: bool = False,
    ) -> AuthorizationCode:
        """Buy a license resource: the marketplace makes a code and does not notify the merchant (protocol §1.3).

        Args:
            product_id: Of the product.
            amount: Value of the quantity-type pricing attribute.
            days: How long it lasts, counted from its activation; 365 when no end is given either.
            expires_at: Its end, instead of ``days``.
            received: The buyer has received the code, so it can be activated.
            code: The code to use instead of a random one.
            order_id: Instead of a random one.
            order_line_id: Instead of the order's first line.
            test: Make a test code of the seller center.

        Raises:
            ControlError: A value makes no sense (400), or the code exists (409).
        """
        now = self._clock.now()
        chosen = _code_text(code) if code is not None else f"PL{_random(16)}"
        if chosen in self._codes:
            raise ControlError(f"the code {chosen} exists already", status=409)
        lasting = _lasting(days, expires_at)
        bought = AuthorizationCode(
            code=chosen,
            product_id=_text(product_id, "product_id"),
            amount=_whole(amount, "amount", low=0, high=MAX_AMOUNT),
            bought_at=now,
            orders=[self._order(OrderKind.PURCHASE, order_id, order_line_id)],
            days=lasting,
            expires_at=expires_at,
            received_at=now if received else None,
            test=test,
        )
        self._codes[chosen] = bought
        return bought

    def receive(self, code: str) -> AuthorizationCode:
        """Let the buyer receive the code; doing it again changes nothing."""
        found = self.get(code)
        found.received_at = found.received_at or self._clock.now()
        return found

    async def renew(
        self,
        code: str,
        *,
        days: int | None = None,
        expires_at: datetime | None = None,
        product_id: str | None = None,
        scene: str = messages.RENEWAL,
        order_id: str | None = None,
        order_line_id: str | None = None,
        ago: timedelta = timedelta(0),
    ) -> Delivery:
        """Renew under a new order and send ``refreshLicenseCode``.

        The days are added to the end, or to now when the end has passed (INFER). A frozen code stays frozen: the
        marketplace unfreezes in a callback of its own.

        Args:
            code: The code to renew.
            days: How long to add; 365 when no end is given either.
            expires_at: The new end, instead of ``days``.
            product_id: The new product when the renewal changes the period type.
            scene: ``RENEWAL``, or a word the merchant may not know yet.
            order_id: Instead of a random one.
            order_line_id: Instead of the order's first line.
            ago: The order was placed so long ago, and its callback is withheld until a flush.

        Raises:
            ControlError: No such code (404), released or without an end so far (409), a value makes no sense (400).
        """
        found = self._unreleased(code)
        ends = expires_at or self._extended(found, _lasting(days, None) or 0)
        require_in_calendar(ends)
        word = _text(scene, "scene")
        product = None if product_id is None else _text(product_id, "product_id")
        order = self._order(OrderKind.RENEWAL, order_id, order_line_id, ago=ago)
        found.renewals.append(Renewal(found.expires_at, found.product_id))
        found.orders.append(order)
        found.expires_at, found.product_id = ends, product or found.product_id
        return self._post(messages.refresh(code, order, ends, scene=word, product_id=product), held=bool(ago))

    async def refund_first(
        self, code: str, *, days: int | None = None, expires_at: datetime | None = None
    ) -> RefundFirst:
        """Renew, and undo it a minute later under an order of its own; the renewal is withheld until a flush.

        Raises:
            ControlError: No such code (404), released or without an end so far (409), a value makes no sense (400).
        """
        withheld = await self.renew(code, days=days, expires_at=expires_at, ago=BEFORE_REFUND)
        return RefundFirst(await self.unsubscribe_renewal(code), withheld)

    async def unsubscribe_renewal(
        self, code: str, *, order_id: str | None = None, order_line_id: str | None = None
    ) -> Delivery:
        """Undo the latest renewal under a new order and send ``UNSUBSCRIBE_RENEWAL_PERIOD`` with the earlier end.

        Raises:
            ControlError: No such code (404), released or without a renewal to undo (409).
        """
        found = self._unreleased(code)
        undone = found.renewals[-1] if found.renewals else None
        if undone is None or undone.previous_expires_at is None:
            raise ControlError(f"{code} has no renewal to undo", status=409)
        order = self._order(OrderKind.UNSUBSCRIBE_RENEWAL, order_id, order_line_id)
        found.renewals.pop()
        found.orders.append(order)
        found.expires_at, found.product_id = undone.previous_expires_at, undone.previous_product_id
        scene = messages.UNSUBSCRIBE_RENEWAL_PERIOD
        return self._post(messages.refresh(code, order, undone.previous_expires_at, scene=scene))

    async def freeze(self, code: str) -> Delivery:
        """Freeze the code and notify the merchant.

        Raises:
            ControlError: No such code (404), released or frozen already (409).
        """
        found = self._unreleased(code)
        if found.frozen_at:
            raise ControlError(f"{code} is frozen already", status=409)
        found.frozen_at = self._clock.now()
        return self._post(messages.update_status(code, frozen=True))

    async def unfreeze(self, code: str) -> Delivery:
        """Unfreeze the code and notify the merchant.

        Raises:
            ControlError: No such code (404), released or not frozen (409).
        """
        found = self._unreleased(code)
        if not found.frozen_at:
            raise ControlError(f"{code} is not frozen", status=409)
        found.frozen_at = None
        return self._post(messages.update_status(code, frozen=False))

    async def release(
        self, code: str, *, unsubscribe: bool = False, order_id: str | None = None, order_line_id: str | None = None
    ) -> Delivery:
        """Release the code for good and notify the merchant.

        Args:
            code: The code to release.
            unsubscribe: An unsubscribe caused it, so its order is named in the callback.
            order_id: Of the unsubscribe, instead of a random one; implies ``unsubscribe``.
            order_line_id: Instead of the order's first line; implies ``unsubscribe``.

        Raises:
            ControlError: No such code (404), or released already (409).
        """
        found = self._unreleased(code)
        order = None
        if unsubscribe or order_id is not None or order_line_id is not None:
            order = self._order(OrderKind.UNSUBSCRIBE, order_id, order_line_id)
            found.orders.append(order)
        found.released_at = self._clock.now()
        return self._post(messages.release(code, order))

    async def probe(self, code: str = SAMPLE_CODE) -> list[Delivery]:
        """Send all three activities with ``testFlag`` 1 and sample values; nothing changes at the marketplace."""
        return [self._post(body) for body in self.debug_cases(code).values()]

    def debug_cases(self, code: str = SAMPLE_CODE) -> dict[str, messages.Body]:
        """Return a debug case for every activity."""
        order = Order("CS2211181819B4LVS", "CS2211181819B4LVS-000001", OrderKind.RENEWAL, placed_at=self._clock.now())
        cases = messages.probes(_code_text(code), order, parse_compact("20230523201932"))
        return {str(case["activity"]): case for case in cases}

    def activate(self, code: str, effective_at: datetime | None, now: datetime) -> AuthorizationCode:
        """Activate one code, as v1 does; not idempotent (protocol §2.2).

        Raises:
            OpenApiRefusedError: With the documented code.
        """
        found = self._known(code)
        found.require_activatable(now, effective_at)
        found.activate(now, effective_at)
        return found

    def activate_all(self, codes: Sequence[str], effective_at: datetime | None, now: datetime) -> None:
        """Activate a batch, as v2 does: all of it or nothing (GAP in protocol §2.2, INFER).

        Raises:
            OpenApiRefusedError: 92020020 when any code cannot be activated or is named twice.
        """
        try:
            found = [self._known(code) for code in codes]
            for each in found:
                each.require_activatable(now, effective_at)
        except OpenApiRefusedError as refusal:
            raise OpenApiRefusedError(OpenApiCode.INVALID_CODE_IN_BATCH, str(refusal)) from refusal
        if len(set(codes)) < len(codes):
            raise OpenApiRefusedError(OpenApiCode.INVALID_CODE_IN_BATCH, "a code is named twice")
        for each in found:
            each.activate(now, effective_at)

    def query(self, code: str, now: datetime) -> AuthorizationCode:
        """Return a code for the query API and count the query.

        Raises:
            OpenApiRefusedError: No such code (92020005); never activated and not released either (92020011, one
                reading of the GAP in protocol §1.4).
        """
        found = self._known(code)
        if found.activated_at is None and found.released_at is None:
            raise OpenApiRefusedError(OpenApiCode.NOT_ACTIVATED)
        found.queries += 1
        found.last_queried_at = now
        return found

    def report_usage(self, report: fields.UsageOfCode, now: datetime) -> OpenApiCode | None:
        """Write a report down, or return the code it is refused with; expired and frozen codes may report."""
        found = self._codes.get(report.code)
        if found is None:
            return OpenApiCode.CODE_NOT_EXISTING
        if found.state(now) is CodeState.RELEASED:
            return OpenApiCode.ILLEGAL_STATE
        if found.activated_at is None:
            return OpenApiCode.NOT_ACTIVATED
        day = found.usage.setdefault(now.astimezone(MARKETPLACE_ZONE).date(), DayOfUse())
        for usage in report.usages:
            if usage.client_id is not None:
                day.ids.add(usage.client_id)
            else:
                day.active_num = usage.active_num
        return None

    def _known(self, code: str) -> AuthorizationCode:
        found = self._codes.get(code)
        if found is None:
            raise OpenApiRefusedError(OpenApiCode.CODE_NOT_EXISTING, code)
        return found

    def _unreleased(self, code: str) -> AuthorizationCode:
        found = self.get(code)
        if found.released_at:
            raise ControlError(f"{code} is released", status=409)
        return found

    def _extended(self, found: AuthorizationCode, days: int) -> datetime:
        if found.expires_at is None:
            raise ControlError(f"{found.code} has no end before it is activated; give expire_time", status=409)
        return later(max(found.expires_at, self._clock.now()), timedelta(days=days))

    def _order(
        self, kind: OrderKind, order_id: str | None, order_line_id: str | None, *, ago: timedelta = timedelta(0)
    ) -> Order:
        now = self._clock.now() - ago
        chosen = _text(order_id, "order_id") if order_id is not None else f"CS{now:%y%m%d%H%M}{_random(5)}"
        line = _text(order_line_id, "order_line_id") if order_line_id is not None else f"{chosen}-000001"
        return Order(chosen, line, kind, placed_at=now)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _lasting(days: int | None, expires_at: datetime | None) -> int | None:
    """Return the days that count, or None when an end is given instead."""
    if days is not None and expires_at is not None:
        raise ControlError("give days or expire_time, not both")
    if expires_at is not None:
        require_in_calendar(expires_at)
        return None
    return _whole(365 if days is None else days, "days", low=1, high=MAX_DAYS)


def _whole(value: int, name: str, low: int, high: int) -> int:
    if not low <= value <= high:
        raise ControlError(f"{name} must be between {low} and {high}")
    return value


def _text(value: str, name: str) -> str:
    if not 1 <= len(value) <= 64 or not value.isprintable():
        raise ControlError(f"{name} must be a text of 1 to 64 printable characters")
    return value


def _code_text(value: str) -> str:
    # A code is part of the control API's paths, so it may not look like one.
    if "/" in value or not value.strip(".") or value != value.strip():
        raise ControlError("a code must not hold a slash, be made of dots or begin or end with a blank")
    return _text(value, "code")
