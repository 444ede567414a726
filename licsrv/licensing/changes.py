"""Use cases that change what a license is: it is added, confirmed, extended, frozen, revoked, released.

The caller passes in ``stated_at`` when the authority stated the fact, so that late messages change nothing.
Each use case that finds the license as it should be already changes nothing, notes nothing and returns False.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import ConflictError, InvalidRequestError, RefusalError
from licsrv.licensing import entitlements, lifecycle, own_sales, spellings, store
from licsrv.licensing.issuing import issuing
from licsrv.licensing.lifecycle import LicenseFacts, Status
from licsrv.licensing.origins import SoldFact
from licsrv.licensing.own_sales import NewTerms
from licsrv.licensing.revocation import store as revocation_lists
from licsrv.licensing.tables import License
from licsrv.platform.ids import new_id

LONGEST_GRACE = timedelta(days=90)
_NAMED = 50


@dataclass(frozen=True)
class Purchase:
    """What is known of a bought license."""

    code: str
    source: str
    product_id: str = ""
    order_id: str = ""
    order_line_id: str = ""
    customer: str = ""
    amount: int | None = None
    device_limit: int | None = None
    expires_at: datetime | None = None
    is_test: bool = False


def confirm(session: Session, purchase: Purchase, *, cause: Cause, now: datetime) -> License:
    """Make a license of a purchase, or confirm a provisional one; one that is confirmed already stays as it is."""
    license = store.license_for_update(session, purchase.code)
    if license is None:
        license = _new(purchase, now)
        session.add(license)
    elif license.activated_at is not None:
        return license

    license.activated_at = now
    license.provisional_until = None
    license.refused_reason = None
    license.product_id = purchase.product_id or license.product_id
    license.order_id = purchase.order_id or license.order_id
    license.customer = purchase.customer or license.customer
    license.amount = purchase.amount if purchase.amount is not None else license.amount
    license.expires_at = purchase.expires_at
    license.facts_changed_at = now

    session.flush()
    audit.record(session, Action.LICENSE_ACTIVATED, subject=license.id, cause=cause, detail=_facts(license), now=now)
    return license


def add(session: Session, purchase: Purchase, *, cause: Cause, now: datetime) -> License:
    """Add a license that was sold elsewhere; it is active at once. Its code is kept in plain characters.

    Raises:
        ConflictError: The code exists already, or differs in case, dashes or blanks alone from one that the authority
            did not refuse.
        InvalidRequestError: The code has no visible character, or too many in plain characters.
    """
    code = spellings.clean(purchase.code)
    if not code:
        raise InvalidRequestError("The code has no visible character.", field="code")
    if len(code) > spellings.LONGEST:
        raise InvalidRequestError("The code has too many characters.", field="code")
    known = store.license_typed(session, code)
    if known is not None and (known.code == code or not lifecycle.is_refused(known)):
        raise ConflictError("A license with this code exists already.")
    license = _new(replace(purchase, code=code), now)
    license.activated_at = now
    license.expires_at = purchase.expires_at

    session.add(license)
    session.flush()
    audit.record(session, Action.LICENSE_ADDED, subject=license.id, cause=cause, detail=_facts(license), now=now)
    return license


def reserve(session: Session, purchase: Purchase, *, cause: Cause, now: datetime) -> License:
    """Make a license of a purchase of which only the name is known; no device may use it until it is confirmed.

    Raises:
        ConflictError: The code exists already.
    """
    if store.license_by_code(session, purchase.code) is not None:
        raise ConflictError("A license with this code exists already.")
    license = _new(purchase, now)
    session.add(license)
    session.flush()
    audit.record(session, Action.LICENSE_RESERVED, subject=license.id, cause=cause, detail=_facts(license), now=now)
    return license


def reopen(session: Session, license: License, *, cause: Cause, now: datetime) -> bool:
    """Let a license that the authority refused wait for its word again, because it is asked once more."""
    if license.refused_reason is None:
        return False
    detail = {"refused_before": license.refused_reason}
    license.refused_reason = None
    return _note(session, license, Action.LICENSE_RESERVED, detail=detail, cause=cause, now=now)


def add_provisional(session: Session, purchase: Purchase, *, until: datetime, cause: Cause, now: datetime) -> License:
    """Let a code run for a short time although the authority could not be asked.

    A code that had its provisional time gets no second one, so this cannot go on for ever.
    """
    license = store.license_for_update(session, purchase.code)
    if license is not None:
        return license
    license = _new(purchase, now)
    license.provisional_until = until

    session.add(license)
    session.flush()
    detail = {"code": purchase.code, "until": until.isoformat()}
    audit.record(session, Action.LICENSE_PROVISIONAL, subject=license.id, cause=cause, detail=detail, now=now)
    return license


def refuse(session: Session, license: License, reason: str, *, cause: Cause, now: datetime) -> bool:
    """End a provisional license that the authority did not confirm."""
    if license.activated_at is not None or (license.refused_reason == reason and license.provisional_until is None):
        return False
    license.provisional_until = None
    license.refused_reason = reason
    return _note(session, license, Action.LICENSE_REFUSED, detail={"why": reason}, cause=cause, now=now)


def change_expiry(
    session: Session,
    license: License,
    expires_at: datetime | None,
    *,
    stated_at: datetime,
    may_shorten: bool,
    cause: Cause,
    now: datetime,
) -> bool:
    """Set the license's last moment, unless a newer statement is known already."""
    if license.released_at is not None or not lifecycle.accepts_expiry(
        license.expires_at, license.expiry_stated_at, expires_at, stated_at=stated_at, may_shorten=may_shorten
    ):
        return False
    license.expiry_stated_at = stated_at
    session.add(license)
    if license.expires_at == expires_at:
        return False
    takes_away = own_sales.is_earlier(expires_at, license.expires_at)
    return _set(session, license, "expires_at", value=expires_at, takes_away=takes_away, cause=cause, now=now)


def change_terms(session: Session, license: License, terms: NewTerms, *, cause: Cause, now: datetime) -> bool:
    """Give a license new terms, as when the vendor renews what it sold; the caller holds its lock.

    Devices get them with the license for which they ask next. What they hold is called back where it says more than
    the license does now. Places below those in use stop no device; the desk shows the license.

    Raises:
        SellerDecidesError: They are the word of another seller.
        ConflictError: It is released.
        InvalidRequestError: It would end before it began; there is no such product, or no such feature of it.
    """
    catalogue = store.features_by_product(session)
    changed = own_sales.difference(license, terms)
    problem = own_sales.problem_of(license, terms, catalogue)
    if problem is not None:
        raise problem
    if not changed:
        return False
    takes_away = own_sales.takes_away(license, terms, catalogue)
    for column, value in changed.after.items():
        setattr(license, column, value)
    if changed.changes(SoldFact.END):
        license.expiry_stated_at = now
    if license.places_taken and (changed.changes(SoldFact.PLACES) or changed.changes(SoldFact.PRODUCT)):
        license.lowered_at = now
    detail: dict[str, object] = {
        column: {"before": _plain(changed.before[column]), "after": _plain(value)}
        for column, value in changed.after.items()
    }
    if takes_away:
        detail |= _call_back(session, license, now=now, every=changed.changes(SoldFact.PRODUCT))
    return _note(session, license, Action.LICENSE_CHANGED, detail=detail, cause=cause, now=now)


def _call_back(session: Session, license: License, *, now: datetime, every: bool = False) -> dict[str, object]:
    """Call back what devices hold and says more than the license gives now; return how many, for the audit.

    Otherwise an offline device would go by the older text, and a copy of it would be the better one.
    """
    session.flush()
    product = store.product(session, license.product_id)
    ends_at = lifecycle.end_of_use(license)
    features = entitlements.of_license(license.features, product.features if product is not None else ())
    held = store.held_texts(session, license.id)
    texts = {
        row.id: row.claims for row in held if every or issuing.says_more(row.claims, ends_at=ends_at, features=features)
    }
    revocation_lists.list_called_back(session, texts, now=now)
    return {"called_back": len(texts)} if texts else {}


def change_product(session: Session, license: License, product_id: str, *, cause: Cause, now: datetime) -> bool:
    """Set the license's product, as when its period type changes."""
    if license.released_at is not None or license.product_id == product_id:
        return False
    return _set(session, license, "product_id", value=product_id, cause=cause, now=now)


def change_amount(session: Session, license: License, amount: int, *, cause: Cause, now: datetime) -> bool:
    """Set how much was bought, as when an upgrade adds places."""
    if license.released_at is not None or license.amount == amount:
        return False
    if license.amount is not None and amount < license.amount and license.places_taken:
        license.lowered_at = now
    return _set(session, license, "amount", value=amount, cause=cause, now=now)


def change_grace(session: Session, license: License, until: datetime | None, *, cause: Cause, now: datetime) -> bool:
    """Let a license be used after its end until a moment, or no longer (None).

    It never overrides a freeze, a revocation or a release, and a renewal beyond it makes it meaningless.

    Raises:
        ConflictError: The license is released, never ends, or was never confirmed.
        InvalidRequestError: The moment has passed, lies before the license's own end, or more than 90 days ahead.
    """
    if license.grace_until == until:
        return False
    problem = problem_of_grace(license, until, now=now) if until is not None else None
    if problem is not None:
        raise problem
    return _set(
        session, license, "grace_until", value=until,
        action=Action.GRACE_CHANGED, takes_away=until is None or own_sales.is_earlier(until, license.grace_until),
        cause=cause, now=now,
    )  # fmt: skip


def problem_of_grace(license: LicenseFacts, until: datetime, *, now: datetime) -> RefusalError | None:
    """Return why the grace of a license cannot end at a moment; None where it can."""
    if license.released_at is not None:
        return ConflictError("The license is released; nothing brings it back.")
    if license.expires_at is None or license.activated_at is None:
        return ConflictError("Only a confirmed license that ends can have a grace.")
    if until <= license.expires_at:
        return InvalidRequestError("A grace ends later than the license itself.")
    return problem_of_grace_end(until, now=now)


def problem_of_grace_end(until: datetime, *, now: datetime) -> RefusalError | None:
    """Return why no grace can end at a moment, whatever the license; None where one can."""
    if now < until <= now + LONGEST_GRACE:
        return None
    latest = (now + LONGEST_GRACE).isoformat()
    return InvalidRequestError(f"A grace ends in the future, within {LONGEST_GRACE.days} days.", latest=latest)


def change_maintenance(
    session: Session, license: License, until: datetime | None, *, cause: Cause, now: datetime
) -> bool:
    """Set the last release date that a license covers; None leaves it to its product.

    Raises:
        ConflictError: The license is released.
    """
    if license.maintenance_until == until:
        return False
    if license.released_at is not None:
        raise ConflictError("The license is released; there is nothing left to maintain.")
    return _set(
        session, license, "maintenance_until", value=until, action=Action.MAINTENANCE_CHANGED, cause=cause, now=now
    )


def reissue(session: Session, license: License, device_ids: Sequence[str], *, cause: Cause, now: datetime) -> int:
    """Put what devices were handed out on the revocation list; the next time they ask they get a new license.

    They keep their places, and a lease goes on until they ask. Returns how many strings and files are called back.

    Raises:
        ConflictError: The license is released.
    """
    if license.released_at is not None:
        raise ConflictError("The license is released; nothing is issued any more.")
    called_back = revocation_lists.list_given_back(session, device_ids, now=now)
    if called_back:
        detail = {"devices": list(device_ids)[:_NAMED], "called_back": called_back}
        audit.record(session, Action.LICENSE_REISSUED, subject=license.id, cause=cause, detail=detail, now=now)
    return called_back


def set_frozen(
    session: Session, license: License, frozen: bool, *, stated_at: datetime, cause: Cause, now: datetime
) -> bool:
    """Freeze or unfreeze, unless a newer statement is known already."""
    if license.released_at is not None or not lifecycle.accepts_freeze(license.freeze_stated_at, stated_at=stated_at):
        return False
    license.freeze_stated_at = stated_at
    session.add(license)
    if (license.frozen_at is not None) == frozen:
        return False
    license.frozen_at = now if frozen else None
    license.facts_changed_at = now
    action = Action.LICENSE_FROZEN if frozen else Action.LICENSE_UNFROZEN
    audit.record(session, action, subject=license.id, cause=cause, now=now)
    return True


def release(session: Session, license: License, *, cause: Cause, now: datetime) -> bool:
    """End the license for good; nothing brings it back."""
    if license.released_at is not None:
        return False
    license.released_at = now
    license.facts_changed_at = now
    session.add(license)
    revocation_lists.list_license(session, license, now=now)
    audit.record(session, Action.LICENSE_RELEASED, subject=license.id, cause=cause, detail=_facts(license), now=now)
    return True


def revoke(session: Session, license: License, *, cause: Cause, now: datetime) -> bool:
    """Take the license back; ``cause.reason`` is shown to the customer and kept as its tombstone.

    Raises:
        ConflictError: It is released: there is nothing left to revoke.
    """
    return bool(revoke_many(session, [license], cause=cause, now=now))


def revoke_many(session: Session, licenses: Sequence[License], *, cause: Cause, now: datetime) -> list[License]:
    """Take licenses back as :func:`revoke` does, with a few statements for all; return those that it changed.

    Raises:
        ConflictError: One of them is released.
    """
    revoked = [license for license in licenses if _mark_revoked(session, license, cause, now=now)]
    if revoked:
        revocation_lists.list_licenses(session, revoked, now=now)
    return revoked


def _mark_revoked(session: Session, license: License, cause: Cause, now: datetime) -> bool:
    if lifecycle.status(license, now) is Status.RELEASED:
        raise ConflictError("The license is released; there is nothing left to revoke.")
    if license.revoked_at is not None:
        return False
    license.revoked_at = now
    license.revoked_by = cause.actor
    license.revoked_reason = cause.reason
    return _note(session, license, Action.LICENSE_REVOKED, detail=_facts(license), cause=cause, now=now)


def reinstate(session: Session, license: License, *, cause: Cause, now: datetime) -> bool:
    """Undo a revocation; the audit keeps both."""
    return bool(reinstate_many(session, [license], cause=cause, now=now))


def reinstate_many(session: Session, licenses: Sequence[License], *, cause: Cause, now: datetime) -> list[License]:
    """Undo revocations as :func:`reinstate` does, with a few statements for all; return the licenses it changed."""
    reinstated = [license for license in licenses if _mark_reinstated(session, license, cause, now=now)]
    listed = [license for license in reinstated if license.released_at is None]  # what is gone for good stays listed
    if listed:
        revocation_lists.unlist_licenses(session, listed, now=now)
    return reinstated


def _mark_reinstated(session: Session, license: License, cause: Cause, now: datetime) -> bool:
    if license.revoked_at is None:
        return False
    detail = {"revoked_by": license.revoked_by, "revoked_reason": license.revoked_reason}
    license.revoked_at = license.revoked_by = license.revoked_reason = None
    return _note(session, license, Action.LICENSE_REINSTATED, detail=detail, cause=cause, now=now)


def _set(
    session: Session,
    license: License,
    name: str,
    *,
    value: datetime | str | int | None,
    action: Action = Action.LICENSE_CHANGED,
    takes_away: bool = False,
    cause: Cause,
    now: datetime,
) -> bool:
    """Set one fact of a license, and note what it was before.

    Args:
        takes_away: Whether the license gives less than before, so that what says more is called back.
    """
    before = getattr(license, name)
    setattr(license, name, value)
    detail: dict[str, object] = {name: {"before": _plain(before), "after": _plain(value)}}
    if takes_away:
        detail |= _call_back(session, license, now=now)
    return _note(session, license, action, detail=detail, cause=cause, now=now)


def _note(
    session: Session, license: License, action: Action, *, detail: Mapping[str, object], cause: Cause, now: datetime
) -> bool:
    """Write a license of which a fact has changed, with its entry in the audit; always True: something changed."""
    license.facts_changed_at = now
    session.add(license)
    audit.record(session, action, subject=license.id, cause=cause, detail=detail, now=now)
    return True


def _new(purchase: Purchase, now: datetime) -> License:
    return License(
        id=new_id(now),
        code=purchase.code,
        source=purchase.source,
        product_id=purchase.product_id,
        order_id=purchase.order_id,
        order_line_id=purchase.order_line_id,
        customer=purchase.customer,
        amount=purchase.amount,
        device_limit=purchase.device_limit,
        is_test=purchase.is_test,
        created_at=now,
        facts_changed_at=now,
    )


def _facts(license: License) -> dict[str, object]:
    return {
        "code": license.code,
        "product_id": license.product_id,
        "order_id": license.order_id,
        "amount": license.amount,
        "expires_at": _plain(license.expires_at),
    }


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
