"""Use cases of policies: plan a change, carry it out as a new version, go back to the version before.

A plan changes nothing, so a preview and the change itself cannot differ. Every version is kept, with who, when and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import ConflictError, NotFoundError
from licsrv.licensing import policies, store
from licsrv.licensing.places import Bought, Surplus, is_overfull, limit
from licsrv.licensing.policies import Number, Policies, Policy
from licsrv.licensing.tables import PolicyVersion


@dataclass(frozen=True)
class Wanted:
    """A change of a product's policy.

    Args:
        values: What it shall state by name; None takes a statement back.
        undo: Go back to the version before; then ``values`` is not looked at.
        seen: The version that the caller has read; another one refuses the change. None: whatever it is.
    """

    values: Mapping[str, object]
    undo: bool = False
    seen: int | None = None


@dataclass(frozen=True)
class Plan:
    """What a change does: what the product states before and after it, and what holds for it then.

    Args:
        version: The version that it replaces; 0 where nothing was stated yet.
        restores: The version that it goes back to, where it is an undo.
        mends: Whether the version that it replaces is damaged.
    """

    product_id: str
    version: int
    before: Mapping[str, Number]
    after: Mapping[str, Number]
    holds_before: Policy
    holds_after: Policy
    restores: int | None = None
    mends: bool = False

    @property
    def changes(self) -> bool:
        """Whether it states anything else than before."""
        return self.mends or self.before != self.after


def plan(session: Session, product_id: str, wanted: Wanted, *, known: Policies) -> Plan:
    """Return what a change would do; nothing is written or locked.

    Args:
        known: The policies of the installation, for what holds where the product states nothing.

    Raises:
        NotFoundError: The product is not described.
        ConflictError: The policy is not at the version that was seen, it is damaged, or there is nothing to undo.
        InvalidPolicyError: And PolicyContradictionError: it cannot be so.
    """
    if "\x00" in product_id or store.product(session, product_id) is None:
        raise not_described()  # a mistyped id gets no policy
    current = store.current_policy(session, product_id)
    version = current.version if current is not None else 0
    if wanted.seen is not None and wanted.seen != version:
        raise ConflictError("The policy has changed meanwhile; nothing was done.", action="Read it again.")
    mends = current is not None and policies.read_if_whole(current.stated) is None
    if mends and not wanted.undo:
        raise ConflictError("The stored policy is damaged.", action="Go back to the version before: undo it.")
    before = {} if mends else _stated(current)
    restores = None
    if wanted.undo:
        restores = _version_before(current)
        after = _stated(store.policy_version(session, product_id, restores))
        policies.changed(after, {}, known.base)  # what contradicts the settings of today does not come back
    else:
        after = policies.changed(before, wanted.values, known.base)
    return Plan(
        product_id, version, before, after=after, restores=restores, mends=mends,
        holds_before=policies.over(known.base, before), holds_after=policies.over(known.base, after),
    )  # fmt: skip


def not_described() -> NotFoundError:
    """Return the refusal of a product of which nothing was said."""
    return NotFoundError("No product is described under this id.", action="Describe it: `licsrv products set`.")


def _stated(row: PolicyVersion | None) -> Mapping[str, Number]:
    return policies.read(row.stated) if row is not None else {}


def can_be_undone(current: PolicyVersion | None) -> bool:
    """Whether there is a version before the current one."""
    return _stands_for(current) > 0


def _stands_for(current: PolicyVersion | None) -> int:
    """Return the version that a product is at; after an undo the one that was brought back."""
    if current is None:
        return 0
    return current.version if current.restores is None else current.restores


def _version_before(current: PolicyVersion | None) -> int:
    """Return the version before the current one; an undo of an undo goes back one more."""
    version = _stands_for(current)
    if version == 0:
        raise ConflictError("There is no earlier version of this policy.", action="Set the values that it shall have.")
    return version - 1


def change(session: Session, product_id: str, wanted: Wanted, *, known: Policies, cause: Cause, now: datetime) -> Plan:
    """Change a product's policy by a new version; a change that changes nothing writes nothing.

    Clients get it at their next check-in.

    Raises:
        RefusalError: As :func:`plan`.
    """
    if "\x00" not in product_id:
        store.product_for_update(session, product_id)  # of two changes at once the second plans on the first
    planned = plan(session, product_id, wanted, known=known)
    if planned.changes:
        _write(session, planned, cause=cause, now=now)
    return planned


def overfull(session: Session, planned: Plan) -> Iterator[tuple[Any, int]]:
    """Yield groups of licenses that get more devices in use than places, each with the places of one of them.

    Where such devices go from now on, also those that have more already.
    """
    before, after = planned.holds_before.places, planned.holds_after.places
    if before == after:
        return
    go = after.surplus == Surplus.NEWEST_OUT != before.surplus
    for group in store.uses_of_places(session, planned.product_id):
        bought, taken = Bought(group.device_limit, group.amount), group.places_taken
        if is_overfull(bought, after, taken) and (go or not is_overfull(bought, before, taken)):
            yield group, limit(bought, after)


def _write(session: Session, planned: Plan, *, cause: Cause, now: datetime) -> None:
    version = PolicyVersion(
        product_id=planned.product_id,
        version=planned.version + 1,
        stated=policies.text_of(planned.after),
        at=now,
        actor=cause.actor,
        reason=cause.reason,
        restores=planned.restores,
    )
    store.add_policy_version(session, version)
    for group, _ in overfull(session, planned):  # for the desk, and for surplus
        store.note_lowered(session, planned.product_id, group, now=now)
    # The audit's subject is shorter than a product's id may be, so the detail has the whole id.
    detail = {"product_id": planned.product_id, "version": version.version, **changes_of(planned)}
    if planned.restores is not None:
        detail["restores"] = planned.restores
    subject = planned.product_id[:64]
    audit.record(session, Action.POLICY_CHANGED, subject=subject, cause=cause, detail=detail, now=now)


def changes_of(planned: Plan) -> dict[str, object]:
    """Return what a plan changes by name: ``before`` and ``after`` as stated, None for what the settings say."""
    names = [
        name for name in {**planned.before, **planned.after} if planned.before.get(name) != planned.after.get(name)
    ]
    return {name: {"before": planned.before.get(name), "after": planned.after.get(name)} for name in sorted(names)}
