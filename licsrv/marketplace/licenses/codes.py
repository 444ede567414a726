"""Taking over what the marketplace says of a code: its word is authoritative for status and expiry (protocol §2.3)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.licensing import changes, store
from licsrv.licensing.changes import Purchase
from licsrv.licensing.tables import License
from licsrv.marketplace import store as marketplace
from licsrv.marketplace.licenses import ends
from licsrv.marketplace.licenses.ends import Unstated
from licsrv.marketplace.open_api.code_answers import Activation, CodeState, ReportedStatus
from licsrv.marketplace.origins import AUTHORIZATION_CODE
from licsrv.marketplace.tables import MarketplaceView

# GAP (protocol §11.1): whether a query's answer names the expiry is not documented. Where it says ALIVE without one
# and the expiry that we know has passed, the license lives on until the next days' queries say more.
ALIVE_WITHOUT_EXPIRY = timedelta(days=2)


def take_over(
    session: Session, code: str, found: Activation | CodeState, *, cause: Cause, now: datetime
) -> License | Unstated:
    """Make a license of what the marketplace says of an activated code; the second time changes nothing.

    An answer that does not say when the license ends makes none: see :mod:`licsrv.marketplace.licenses.ends`.
    """
    unstated = _unstated_end(session, code, found)
    unread = {*found.unread, unstated.member} if unstated is not None else found.unread
    marketplace.note_reading(session, code, unread, now=now)
    if unstated is not None:
        return unstated
    purchase = Purchase(
        code=code,
        source=AUTHORIZATION_CODE.source,
        product_id=found.product_id or "",
        order_id=found.order_id or "",
        amount=found.amount,
        expires_at=_expiry(found, None, now),
    )
    license = changes.confirm(session, purchase, cause=cause, now=now)
    if found.status is ReportedStatus.RELEASED:
        changes.release(session, license, cause=cause, now=now)
    if found.order_id:
        marketplace.add_order(session, license.id, order_id=found.order_id, scene="NEW", now=now)
    return license


def _unstated_end(session: Session, code: str, found: Activation | CodeState) -> Unstated | None:
    """Return why the end of a license that is not confirmed yet is not known; None where it is."""
    if found.expires_at is not None or found.status in {ReportedStatus.RELEASED, ReportedStatus.EXPIRED}:
        return None
    known = store.license_by_code(session, code)
    if known is not None and known.activated_at is not None:
        return None
    product = store.product(session, found.product_id or "")
    return ends.without_end(product, member="expire_time", is_given="expire_time" in found.unread)


def apply_state(
    session: Session, license_id: str, state: CodeState, *, asked_at: datetime, alive_unfreezes: bool, now: datetime
) -> None:
    """Take over what a query answered; an answer older than the last change here settles nothing any more.

    After such a change another query has been enqueued, and that one's answer counts.
    """
    license = store.license_by_id_for_update(session, license_id)
    if license is None:
        return
    _keep(session, license, state, asked_at=asked_at)
    marketplace.note_reading(session, license.code, state.unread, now=now)
    if asked_at < license.facts_changed_at:
        return
    cause = Cause("marketplace")
    if state.status is ReportedStatus.RELEASED:
        changes.release(session, license, cause=cause, now=now)
        return
    expires_at = _expiry(state, license, now)
    if expires_at != license.expires_at:
        stated_at = _newest(asked_at, license.expiry_stated_at)
        changes.change_expiry(session, license, expires_at, stated_at=stated_at, may_shorten=True, cause=cause, now=now)
    if state.status is ReportedStatus.ALIVE and alive_unfreezes and license.frozen_at is not None:
        stated_at = _newest(asked_at, license.freeze_stated_at)
        changes.set_frozen(session, license, False, stated_at=stated_at, cause=cause, now=now)
    if state.product_id:
        changes.change_product(session, license, state.product_id, cause=cause, now=now)


def _newest(asked_at: datetime, stated_at: datetime | None) -> datetime:
    """Return when an answer counts as stated: not before any statement that was here when the question was asked.

    Callbacks carry the time of the marketplace's clock, which may go before ours.
    """
    return asked_at if stated_at is None else max(asked_at, stated_at)


def _expiry(found: Activation | CodeState, license: License | None, now: datetime) -> datetime | None:
    """Return a license's last moment in the light of what the marketplace says; None means that it never ends.

    ``status`` decides where it and the expiry disagree: EXPIRED is over now at the latest (a frozen license keeps its
    date, because a code past its grace is what freezing means), ALIVE is not over.
    """
    known = license.expires_at if license is not None else None
    stated = found.expires_at or known
    if found.status is ReportedStatus.EXPIRED:
        is_frozen = license is not None and license.frozen_at is not None
        return stated if is_frozen or (stated is not None and stated <= now) else now
    if found.status is ReportedStatus.ALIVE and stated is not None and stated <= now:
        return now + ALIVE_WITHOUT_EXPIRY
    return stated


def _keep(session: Session, license: License, state: CodeState, asked_at: datetime) -> None:
    answer = json.dumps(state.raw, ensure_ascii=True)[:4000]
    marketplace.save_view(
        session,
        MarketplaceView(
            license_id=license.id,
            status=str(state.status),
            expires_at=state.expires_at,
            asked_at=asked_at,
            answer=answer,
        ),
    )
