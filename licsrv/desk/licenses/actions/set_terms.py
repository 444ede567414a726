"""Set what the vendor's own sale says: its end, places, features, customer and product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import reduce
from operator import add

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
from licsrv.words.sentences import Sentence, joined, same


class SetTerms(StaffAction):
    """Set the terms that are named and leave the others; a device gets them when it next asks for its license.

    An earlier end, fewer features or another product also call back what devices hold, because an older text would
    say more than the license does.
    """

    name = "set_terms"
    takes = needs = frozenset({Takes.TERMS})
    is_for_lists = True

    def problem(self, given: Given, *, now: datetime) -> RefusalError | None:
        if not given.terms.named:
            return InvalidRequestError("terms names what is set.", field="terms")
        return None

    def judge(self, license: Facts, given: Given, *, now: datetime) -> Decision:
        problem = own_sales.problem_of(license, given.terms, given.catalogue)
        if problem is not None:
            return Refused(problem)
        if not own_sales.difference(license, given.terms):
            return Unchanged(self.words.also["already"])
        notes = list(self._notes(license, given, now))
        return Change(reduce(add, notes) if notes else None)

    def _notes(self, license: Facts, given: Given, now: datetime) -> Iterator[Sentence]:
        also, terms = self.words.also, given.terms
        changed = own_sales.difference(license, terms)
        if changed.changes(SoldFact.END) and terms.expires_at is not None and terms.expires_at <= now:
            yield also["ends_now"]
        places = terms.device_limit if license.product_id not in given.floating else None
        if changed.changes(SoldFact.PLACES) and places is not None and places < license.places_taken:
            yield also["overfull"].filled(taken=license.places_taken, places=places)
        if license.places_taken and own_sales.takes_away(license, terms, given.catalogue):
            yield also["calls_back"]

    def apply(self, session: Session, licenses: Sequence[License], given: Given, *, cause: Cause, now: datetime) -> int:
        return sum(changes.change_terms(session, one, given.terms, cause=cause, now=now) for one in licenses)

    def says(self, license: License, given: Given, *, now: datetime) -> Sentence:
        changed = own_sales.difference(license, given.terms)
        said = [self._change(fact, license, given.terms) for fact in SoldFact if changed.changes(fact)]
        return self.words.does.filled(code=license.code, changes=joined(said))

    def _change(self, fact: SoldFact, license: License, terms: NewTerms) -> Sentence:
        before, after = (self._value(fact, facts) for facts in (license, terms))
        return self.words.also[fact].filled(before=before, after=after)

    def _value(self, fact: SoldFact, facts: License | NewTerms) -> Sentence:
        also = self.words.also
        match fact:
            case SoldFact.END:
                return same(moments.full(facts.expires_at)) if facts.expires_at is not None else also["never"]
            case SoldFact.PLACES:
                return same(str(facts.device_limit)) if facts.device_limit is not None else also["as_bought"]
            case SoldFact.FEATURES if facts.features is None:
                return also["of_product"]
            case SoldFact.FEATURES:
                return same(", ".join(facts.features)) if facts.features else also["none"]
            case SoldFact.CUSTOMER:
                return same(facts.customer) if facts.customer else also["none"]
            case SoldFact.PRODUCT:
                return same(facts.product_id) if facts.product_id else also["none"]

    def undo(self, license: License, given: Given, *, now: datetime) -> Undo | None:
        named = frozenset(fact for fact in SoldFact if own_sales.difference(license, given.terms).changes(fact))
        if SoldFact.PRODUCT in named and not license.product_id:
            return None  # no product is none that a license can be given
        before = NewTerms(
            named,
            expires_at=license.expires_at,
            device_limit=license.device_limit,
            features=license.features,
            customer=license.customer,
            product_id=license.product_id,
        )
        return Undo(self.name, terms=before)


ACTION = SetTerms()
