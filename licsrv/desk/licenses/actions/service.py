"""Use cases of staff actions: offer them, say what one will change, do it for a reason.

An action refuses to act on a license that has changed since its preview.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk import names
from licsrv.desk.licenses import showing
from licsrv.desk.licenses.actions import ACTIONS
from licsrv.desk.licenses.actions.answers import (
    ActionAnswer,
    ActionRequest,
    PreviewAnswer,
    PreviewRequest,
    UndoShown,
    members_of,
)
from licsrv.desk.licenses.actions.staff_action import (
    Change,
    Decision,
    Given,
    PlacesNow,
    Refused,
    StaffAction,
    Takes,
    Undo,
)
from licsrv.desk.licenses.answers import ActionOffered
from licsrv.desk.view import View
from licsrv.errors import ConflictError, NotFoundError, RefusalError, SellerDecidesError
from licsrv.heartbeats import store as heartbeats
from licsrv.licensing import clones, moving
from licsrv.licensing import store as licensing
from licsrv.licensing.clones import Branch
from licsrv.licensing.own_sales import AS_BEFORE, Catalogue
from licsrv.licensing.places import HeldPlaces, limit
from licsrv.licensing.tables import Device, License
from licsrv.words import actions as words
from licsrv.words.sentences import Sentence
from licsrv.words.texts import in_both

REFUSALS: tuple[type[RefusalError], ...] = (ConflictError, NotFoundError, SellerDecidesError)


def offered(license: License, now: datetime) -> list[ActionOffered]:
    """Return the actions that a page can offer for a license, with what it has to ask for."""
    return [
        ActionOffered(
            action=action.name,
            takes=sorted(action.takes),
            needs=sorted(action.needs),
            permission=action.permission,
            is_dangerous=action.is_dangerous,
        )
        for action in ACTIONS.values()
        if action.is_offered(license)
    ]


def preview(session: Session, name: str, action: StaffAction, request: PreviewRequest, *, view: View) -> PreviewAnswer:
    """Say what an action would change; nothing is changed.

    Raises:
        LicenseNotFoundError: There is no such license.
        NotFoundError: The license has no such device or seat.
    """
    license = names.license_of(session, name)
    given = _given(session, license, action, request=request, view=view)
    decision = action.decide(license, given, now=view.now)
    return PreviewAnswer(
        action=action.name,
        is_possible=not isinstance(decision, Refused),
        changes=isinstance(decision, Change),
        says=_says(action, license, given, decision=decision, now=view.now),
        can_be_undone=action.can_be_undone,
        state=state_of(license),
        reasons=list(action.words.reasons),
    )


def do(
    session: Session, name: str, action: StaffAction, request: ActionRequest, *, cause: Cause, view: View
) -> ActionAnswer:
    """Carry an action out.

    Args:
        cause: Who, and why: ``cause.reason`` is the request's.

    Raises:
        LicenseNotFoundError: There is no such license.
        ConflictError: It cannot be done, or the license is not what the preview showed.
        SellerDecidesError: It is the word of the license's seller.
        InvalidRequestError: The arguments do not fit.
    """
    license = names.locked_license(session, name)
    if request.state is not None and request.state != state_of(license):
        raise ConflictError("The license has changed meanwhile; nothing was done.", action="Read it again.")
    given = _given(session, license, action, request=request, view=view)

    decision = action.decide(license, given, now=view.now)
    if isinstance(decision, Refused):
        raise decision.refusal
    says = _says(action, license, given, decision=decision, now=view.now)
    undo = action.undo(license, given, now=view.now)

    changed = isinstance(decision, Change) and _apply(session, action, license, given=given, cause=cause, now=view.now)
    return ActionAnswer(
        action=action.name,
        changed=changed,
        says=says if changed or not isinstance(decision, Change) else words.NOTHING_DONE,
        license=showing.facts(session, license, view),
        undo=_undo(undo) if changed and undo is not None else None,
    )


def state_of(license: License) -> str:
    """Return something that changes whenever what a preview was made of changes."""
    return f"{license.facts_changed_at.isoformat()}/{license.places_taken}"


def _apply(
    session: Session, action: StaffAction, license: License, given: Given, *, cause: Cause, now: datetime
) -> bool:
    changed = action.apply(session, [license], given, cause=cause, now=now) > 0
    session.flush()
    session.refresh(license)
    return changed


def _says(action: StaffAction, license: License, given: Given, decision: Decision, *, now: datetime) -> Sentence:
    """Return what a person reads of a decision."""
    if isinstance(decision, Refused):
        return words.IMPOSSIBLE.filled(why=_why(decision.refusal))
    if isinstance(decision, Change):
        says = action.says(license, given, now=now)
        return says + decision.note if decision.note is not None else says
    return words.NO_CHANGE.filled(code=license.code, why=decision.why)


def _why(refusal: RefusalError) -> Sentence:
    said = refusal.extra.get("says")
    return Sentence.model_validate(said) if said is not None else in_both(refusal.detail)


def _undo(undo: Undo) -> UndoShown:
    return UndoShown(
        action=undo.action,
        device_id=undo.device_id,
        branch=undo.branch,
        until=undo.until,
        reason=undo.reason,
        terms=members_of(undo.terms) if undo.terms is not None else None,
    )


def catalogue_for(session: Session, action: StaffAction) -> Catalogue:
    """Return what an action has to know of the products; nothing where it takes no terms."""
    return licensing.features_by_product(session) if Takes.TERMS in action.takes else {}


def floating_for(session: Session, action: StaffAction) -> frozenset[str]:
    """Return the products whose places float; nothing where an action takes no terms."""
    return licensing.floating_products(session) if Takes.TERMS in action.takes else frozenset()


def _given(session: Session, license: License, action: StaffAction, *, request: PreviewRequest, view: View) -> Given:
    device = names.device_of(session, license, request.device_id) if request.device_id is not None else None
    terms = request.terms.terms() if request.terms is not None else AS_BEFORE
    seat = names.seat_of(session, license, request.seat_id) if request.seat_id is not None else None
    return Given(
        device, request.until, request.text or "", terms=terms, catalogue=catalogue_for(session, action),
        floating=floating_for(session, action), seat=seat, branch=request.branch or "",
        copies=_copies(session, device) if Takes.BRANCH in action.takes else {},
        places=_places(session, license, view) if action.reads_places else None,
    )  # fmt: skip


def _places(session: Session, license: License, view: View) -> PlacesNow:
    policy = view.policies.shown(licensing.policy_text(session, license.product_id))
    held = HeldPlaces(limit(license, policy.places), license.places_taken, policy.places)
    last_contacts = heartbeats.last_moments
    unseen = moving.movable(session, license.id, policy.moves, last_contacts=last_contacts, now=view.now)
    return PlacesNow(held.is_full, policy.moves, unseen)


def _copies(session: Session, device: Device | None) -> Mapping[str, Branch]:
    found = heartbeats.branches_of(session, [device.id]) if device is not None else {}
    return clones.copies(found[device.id]) if device is not None and device.id in found else {}
