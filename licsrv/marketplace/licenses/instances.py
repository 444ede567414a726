"""Use cases of licenses that the marketplace orders from us: they are opened, and become what their order says.

An order line has one license (online-license-and-sdk.md §3.1), whatever arrives how often and on which replica: a
unique constraint decides. The message of a new instance has only names, so its order is asked for through the outbox;
until the answer is there no device may use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.errors import CallbackError
from licsrv.licensing import changes, lifecycle
from licsrv.licensing import store as licenses
from licsrv.licensing.changes import Purchase
from licsrv.licensing.devices import Terms
from licsrv.licensing.places import Bought, Surplus, is_overfull, limit
from licsrv.licensing.tables import License
from licsrv.marketplace import store
from licsrv.marketplace.commands import (
    RENEWALS,
    UNDONE,
    CheckChange,
    OpenedInstance,
    OpenInstance,
    OpenLicense,
    Outcome,
    ResultCode,
)
from licsrv.marketplace.licenses import ends
from licsrv.marketplace.licenses.ends import Unstated
from licsrv.marketplace.open_api.order_answers import Order, OrderType
from licsrv.marketplace.origins import ONLINE_LICENSE, AskedBy, asked_by
from licsrv.marketplace.tables import Instance, OrderRecord
from licsrv.outbox import store as outbox
from licsrv.outbox.messages import QueryOrder
from licsrv.platform.ids import new_id

# The marketplace gives an order up after two or three hours of 000004 and pays it back (§4.2): an instance whose order
# we could not learn by then is called open, because the open API, not the instance, is what is late.
CALLED_OPEN_AFTER = timedelta(hours=1)

_PROCESSING = "request is processing"
_FIRST = frozenset({OrderType.NEW, OrderType.TRIAL, OrderType.OTHER})
_CHANGING = frozenset({OrderType.RENEW, OrderType.CHANGE, OrderType.TRIAL_TO_FORMAL})


def open_instance(session: Session, command: OpenInstance, *, cause: Cause, now: datetime) -> Outcome:
    """Open an instance, or name the one that the order line has.

    Raises:
        CallbackError: ``000005`` when the marketplace has refused to say what was ordered for an hour.
    """
    instance = _instance(session, command, source=ONLINE_LICENSE.source, cause=cause, now=now)
    license = licenses.license_for_update(session, instance.code)
    if license is None:
        raise AssertionError  # both are written in one transaction, and licenses are never deleted
    if license.activated_at is not None or license.released_at is not None:
        return Outcome(instance=instance.code)
    if license.refused_reason is not None:
        _ask_again(session, license, instance, cause=cause, now=now)
    elif now - instance.created_at >= CALLED_OPEN_AFTER:
        return Outcome(instance=instance.code)
    return Outcome(_PROCESSING, ResultCode.IN_PROGRESS, instance=instance.code)


def _ask_again(session: Session, license: License, instance: Instance, *, cause: Cause, now: datetime) -> None:
    """Ask once more about an order that the marketplace did not know a moment ago."""
    if now - instance.created_at >= CALLED_OPEN_AFTER:
        raise CallbackError(ResultCode.INTERNAL_ERROR, f"The order cannot be asked about: {license.refused_reason}")
    changes.reopen(session, license, cause=cause, now=now)
    _ask_order(session, license, now=now)


def _instance(session: Session, command: OpenInstance, *, source: str, cause: Cause, now: datetime) -> Instance:
    found = store.instance_of_order(session, command.order_id, command.order_line_id)
    if found is not None:
        return found
    # The first request's business id is the instance's (§3.1), unless another license has that code.
    for code in (command.business_id, new_id(now)):
        if licenses.license_by_code(session, code) is not None:
            continue
        if store.add_instance(session, code, command.order_id, order_line_id=command.order_line_id, now=now):
            purchase = Purchase(code, source, order_id=command.order_id, order_line_id=command.order_line_id)
            license = changes.reserve(session, purchase, cause=cause, now=now)
            store.add_order(
                session,
                license.id,
                order_id=command.order_id,
                order_line_id=command.order_line_id,
                scene=OrderType.NEW,
                now=now,
            )
            if asked_by(source) is AskedBy.ORDER:
                _ask_order(session, license, now=now)
        found = store.instance_of_order(session, command.order_id, command.order_line_id)
        if found is not None:
            return found
    raise CallbackError(ResultCode.INTERNAL_ERROR, "No instance could be made for this order line.")


def open_license(session: Session, command: OpenLicense, *, cause: Cause, now: datetime) -> Outcome:
    """Open a license whose facts are in the message; the second time they stay as they are (§7.1)."""
    line = OpenInstance(command.order_id, "", command.business_id)
    instance = _instance(session, line, source=command.source, cause=cause, now=now)
    purchase = Purchase(
        code=instance.code,
        source=command.source,
        product_id=command.product_id,
        order_id=command.order_id,
        customer=command.customer,
        amount=command.amount,
        expires_at=command.expires_at,
    )
    changes.confirm(session, purchase, cause=cause, now=now)
    return Outcome(instance=instance.code)


def describe(session: Session, codes: Sequence[str], *, now: datetime) -> Outcome:
    """Name those of the instances that are open (§3.2); the marketplace asks again about the others.

    Raises:
        CallbackError: ``000003`` when none of them is known here.
    """
    found = licenses.licenses_by_codes(session, codes)
    if not found:
        raise CallbackError(ResultCode.UNKNOWN_LICENSE, "None of these instances is known here.")
    opened = [license for license in found if license.activated_at is not None]
    return Outcome(instances=[OpenedInstance(license.code, str(lifecycle.status(license, now))) for license in opened])


def check_change(session: Session, command: CheckChange, terms: Terms) -> Outcome:
    """Say whether the devices in use fit what the license would become; the marketplace asks before it sells that.

    Raises:
        CallbackError: ``000003`` no such license; ``000002`` more devices are in use than the change leaves room for
            (GAP: no page says which code refuses), or an amount of none.
    """
    license = licenses.license_by_code(session, command.code)
    if license is None or license.released_at is not None:
        raise CallbackError(ResultCode.UNKNOWN_LICENSE, "This instance is not known here.")
    if command.amount == 0:
        raise CallbackError(ResultCode.INVALID_PARAMETER, "linearValue is 0: nothing would be left to use.")
    policy = terms.policies.of(licenses.policy_text(session, command.product_id))
    bought = Bought(license.device_limit, command.amount)
    places = limit(bought, policy.places)
    if policy.places.surplus != Surplus.NEWEST_OUT and is_overfull(bought, policy.places, license.places_taken):
        raise CallbackError(
            ResultCode.INVALID_PARAMETER,
            f"{license.places_taken} devices are in use and the change leaves room for {places}. "
            f"Release {license.places_taken - places} of them first.",
        )
    return Outcome()


def _ask_order(session: Session, license: License, *, now: datetime) -> None:
    """Ask the marketplace what was bought with the order line of a license."""
    order = QueryOrder(license.id, code=license.code, order_id=license.order_id, order_line_id=license.order_line_id)
    outbox.enqueue(session, order, now=now)


def take_order_over(
    session: Session, code: str, order: Order, *, asked_at: datetime, cause: Cause, now: datetime
) -> License | Unstated | None:
    """Make a license what its order says; return it, or None where no license has this code.

    An order without an end confirms no license whose product is not marked as sold once; an end that a callback has
    stated stays.

    The first order confirms it. A later one changes product and amount, and may extend: when it ends is stated exactly
    by refreshInstance, which also alone shortens (an unsubscribed renewal). The order of a renewal that was taken back
    still says what was bought then; that holds no more.
    """
    _keep(session, order, asked_at)
    store.note_reading(session, code or order.order_id, order.unread, now=now)
    license = licenses.license_for_update(session, code) if code else None
    if license is None or is_undone(session, license.id, order.order_id, order_line_id=order.order_line_id):
        return license
    if license.activated_at is None and order.type in _FIRST | _CHANGING:
        unstated = _unstated_end(session, license, order)
        if unstated is not None:
            store.note_reading(session, code, {*order.unread, unstated.member}, now=now)
            return unstated
        return changes.confirm(session, _purchase(license, order), cause=cause, now=now)
    if order.type in _CHANGING:
        _change(session, license, order, asked_at=asked_at, cause=cause, now=now)
    return license


def _unstated_end(session: Session, license: License, order: Order) -> Unstated | None:
    if order.expires_at is not None or license.expires_at is not None:
        return None
    product = licenses.product(session, order.product_id or license.product_id)
    return ends.without_end(product, member="expireTime", is_given=False)


def _purchase(license: License, order: Order) -> Purchase:
    # A refreshInstance that came before the order's answer has stated an end already.
    later = max((end for end in (order.expires_at, license.expires_at) if end is not None), default=None)
    return Purchase(
        code=license.code,
        source=license.source,
        product_id=order.product_id,
        order_id=license.order_id,
        customer=order.customer,
        amount=order.amount,
        expires_at=later,
    )


def _change(
    session: Session, license: License, order: Order, *, asked_at: datetime, cause: Cause, now: datetime
) -> None:
    # An answer says what held after that order: a late one must not undo what a later order bought.
    is_latest = not _is_older(order, store.latest_order_placed_at(session, license.id))
    if order.product_id and is_latest:
        changes.change_product(session, license, order.product_id, cause=cause, now=now)
    if order.amount is not None and is_latest:
        changes.change_amount(session, license, order.amount, cause=cause, now=now)
    ends_at = _renewed_until(session, license, order)
    if ends_at is not None:
        # Callbacks carry the time of the marketplace's clock, which may go before ours; this answer is newer than them.
        stated_at = max(asked_at, license.expiry_stated_at or asked_at)
        changes.change_expiry(session, license, ends_at, stated_at=stated_at, may_shorten=False, cause=cause, now=now)


def is_undone(session: Session, license_id: str, order_id: str, order_line_id: str) -> bool:
    """Whether an order was taken back by a message that names this very order."""
    return store.named_in(session, license_id, {UNDONE}, order=(order_id, order_line_id)) is not None


def _renewed_until(session: Session, license: License, order: Order) -> datetime | None:
    """Return until when an order extends a license; None where a renewal was taken back after it was placed.

    The orders' own times decide, not the order in which messages came. The end that the order's callback stated counts
    before the one that the order's answer gives: it is exact.
    """
    undone_at = store.last_undone_at(session, license.id)
    if undone_at is not None and (order.placed_at is None or order.placed_at <= undone_at):
        return None
    named = store.named_in(session, license.id, RENEWALS, order=(order.order_id, order.order_line_id))
    return named.ends_at if named is not None and named.ends_at is not None else order.expires_at


def _is_older(order: Order, latest_placed_at: datetime | None) -> bool:
    return order.placed_at is not None and latest_placed_at is not None and order.placed_at < latest_placed_at


def _keep(session: Session, order: Order, asked_at: datetime) -> None:
    store.save_order(
        session,
        OrderRecord(
            order_id=order.order_id,
            order_line_id=order.order_line_id,
            order_type=str(order.type),
            charging_mode=order.charging_mode,
            product_id=order.product_id,
            amount=order.amount,
            expires_at=order.expires_at,
            placed_at=order.placed_at,
            asked_at=asked_at,
        ),
    )
