"""Extend a license that the vendor sold itself, or renew one that has ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.licenses.actions.staff_action import (
    Change,
    Decision,
    Facts,
    Given,
    Refused,
    StaffAction,
    Takes,
    Unchanged,
    Undo,
)
from licsrv.errors import InvalidRequestError, RefusalError
from licsrv.licensing import changes, own_sales
from licsrv.licensing.origins import SoldFact
from licsrv.licensing.own_sales import NewTerms
from licsrv.licensing.tables import License
from licsrv.platform import moments
from licsrv.words.sentences import Sentence, moment

_END = frozenset({SoldFact.END})


class Extend(StaffAction):
    """Move the end to a later moment that is named, so that the same request twice extends once."""

    name = "extend"
    takes = needs = frozenset({Takes.UNTIL})
    is_for_lists = True

    def is_offered(self, license: License) -> bool:
        return license.expires_at is not None and own_sales.problem_of(license, NewTerms(_END), {}) is None

    def problem(self, given: Given, *, now: datetime) -> RefusalError | None:
        if given.until is None:
            return InvalidRequestError("until names the new end.", field="until")
        if given.until <= now:
            return InvalidRequestError("A license is extended to a moment in the future.", field="until")
        return None

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        before, also = license.expires_at, self.words.also
        problem = own_sales.problem_of(license, _terms(given), given.catalogue)
        if problem is not None:
            return Refused(problem)
        if before is None or before == given.until:
            return Unchanged(also["endless" if before is None else "already"])
        if own_sales.is_earlier(given.until, before):
            refusal = InvalidRequestError(
                f"It ends later already, on {moments.full(before)}.",
                action="An earlier end is one of its terms: change these.",
                field="until",
            )
            return Refused(refusal)
        return Change(also["ended" if before <= now else "before"].filled(before=moments.full(before)))

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        terms = _terms(given)
        return sum(changes.change_terms(session, one, terms, cause=cause, now=now) for one in licenses)

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        until = moment(given.until, now) if given.until is not None else ""
        return self.words.does.filled(code=license.code, until=until)

    def undo(self, license: License, given: Given, *, now: datetime) -> Undo:
        return Undo("set_terms", terms=NewTerms(_END, expires_at=license.expires_at))


def _terms(given: Given) -> NewTerms:
    return NewTerms(_END, expires_at=given.until)


ACTION = Extend()
