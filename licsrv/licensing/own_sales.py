"""What the vendor may change of a license, and what is wrong with a change. Pure.

Of a license that the vendor sold itself everything can be changed; of another one what its seller does not decide
(``Origin.decides``). A license has features that its product has, and may say a value and an end of its own for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import add
from typing import Protocol

from licsrv.errors import ConflictError, InvalidRequestError, RefusalError, SellerDecidesError
from licsrv.licensing import entitlements, origins
from licsrv.licensing.lifecycle import SoldLicense
from licsrv.licensing.origins import SoldFact

Catalogue = Mapping[str, Sequence[str]]
"""The features of each product that was described, by its id."""

_COLUMNS = {
    SoldFact.END: "expires_at",
    SoldFact.PLACES: "device_limit",
    SoldFact.FEATURES: "features",
    SoldFact.CUSTOMER: "customer",
    SoldFact.PRODUCT: "product_id",
}


class ChangeableLicense(SoldLicense, Protocol):
    """The facts of a license that a sale states; a table row and a plain row both have them."""

    @property
    def created_at(self) -> datetime:
        """When it became known here."""

    @property
    def product_id(self) -> str:
        """Its product."""

    @property
    def customer(self) -> str:
        """Who bought it."""

    @property
    def device_limit(self) -> int | None:
        """Places, where they were set for this license."""

    @property
    def places_taken(self) -> int:
        """How many devices hold a place."""

    @property
    def features(self) -> Sequence[str] | None:
        """Its own features; None where it has those of its product."""


@dataclass(frozen=True)
class NewTerms:
    """What a license shall say from now on; of the members only those in ``named`` count.

    Args:
        expires_at: None for no end.
        device_limit: None leaves the places to the amount and the product.
        features: None gives those of the product.
    """

    named: frozenset[SoldFact] = frozenset()
    expires_at: datetime | None = None
    device_limit: int | None = None
    features: Sequence[str] | None = None
    customer: str = ""
    product_id: str = ""


AS_BEFORE = NewTerms()


@dataclass(frozen=True)
class Difference:
    """What new terms would change: the values before and after, by column."""

    before: Mapping[str, object] = field(default_factory=dict)
    after: Mapping[str, object] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything changes."""
        return bool(self.after)

    def changes(self, fact: SoldFact) -> bool:
        """Whether one fact changes."""
        return _COLUMNS[fact] in self.after


def difference(license: ChangeableLicense, terms: NewTerms) -> Difference:
    """Return what new terms would change."""
    wanted = {_COLUMNS[fact]: _plain(getattr(terms, _COLUMNS[fact])) for fact in SoldFact if fact in terms.named}
    before = {column: _plain(getattr(license, column)) for column in wanted}
    changed = [column for column, value in wanted.items() if before[column] != value]
    return Difference({name: before[name] for name in changed}, {name: wanted[name] for name in changed})


def _plain(value: object) -> object:
    return sorted(set(value)) if isinstance(value, list | tuple) else value


def takes_away(license: ChangeableLicense, terms: NewTerms, catalogue: Catalogue) -> bool:
    """Whether what devices hold would say more than the license after these terms."""
    changed = difference(license, terms)
    if changed.changes(SoldFact.END) and is_earlier(terms.expires_at, license.expires_at):
        return True
    if changed.changes(SoldFact.PRODUCT):
        return True
    if not changed.changes(SoldFact.FEATURES):
        return False
    had = entitlements.of_license(license.features, catalogue.get(license.product_id, ()))
    return entitlements.exceeds(map(entitlements.read, had), _features_after(license, terms, catalogue))


def is_earlier(end: datetime | None, other: datetime | None) -> bool:
    """Whether an end comes before another one; None never comes."""
    return end is not None and (other is None or end < other)


def problem_of(license: ChangeableLicense, terms: NewTerms, catalogue: Catalogue) -> RefusalError | None:
    """Return why a license cannot have new terms; None where it can."""
    return next(_problems(license, terms, catalogue), None)


def _problems(license: ChangeableLicense, terms: NewTerms, catalogue: Catalogue) -> Iterator[RefusalError]:
    if license.released_at is not None:
        yield ConflictError("The license is released; nothing brings it back.")
    yield from _decided_elsewhere(license, terms)
    began = license.activated_at or license.created_at
    if SoldFact.END in terms.named and terms.expires_at is not None and terms.expires_at <= began:
        yield InvalidRequestError("A license ends after it began.", field="expires_at", began=began.isoformat())
    if SoldFact.PRODUCT in terms.named and terms.product_id not in catalogue:
        yield InvalidRequestError(
            f"There is no product {terms.product_id!r}.",
            action="See `licsrv products list`, or describe it: `licsrv products set`.",
            field="product_id",
        )
    yield from _unknown_features(license, terms, catalogue)


def _decided_elsewhere(license: ChangeableLicense, terms: NewTerms) -> Iterator[RefusalError]:
    origin = origins.of(license.source)
    facts = [fact for fact in SoldFact if fact in terms.named and fact in origin.decides]
    if facts:
        says = reduce(add, (origin.decides[fact] for fact in facts))
        yield SellerDecidesError(says.en, facts=[str(fact) for fact in facts], says=says.model_dump())


def _unknown_features(license: ChangeableLicense, terms: NewTerms, catalogue: Catalogue) -> Iterator[RefusalError]:
    if not terms.named & {SoldFact.FEATURES, SoldFact.PRODUCT}:
        return
    product = _product_after(license, terms)
    own = terms.features if SoldFact.FEATURES in terms.named else license.features
    known = catalogue.get(product, ())
    unknown = entitlements.unknown(own or (), known)
    if (name := entitlements.twice(own or ())) is not None:
        yield InvalidRequestError(f"The feature {name} is named twice.", field="features")
    if unknown:
        yield InvalidRequestError(
            f"{product or 'No product'} has no feature {', '.join(unknown)}.",
            action=f"It has {', '.join(known) or 'none'}.",
            field="features",
        )


def _product_after(license: ChangeableLicense, terms: NewTerms) -> str:
    return terms.product_id if SoldFact.PRODUCT in terms.named else license.product_id


def _features_after(license: ChangeableLicense, terms: NewTerms, catalogue: Catalogue) -> list[str]:
    own = terms.features if SoldFact.FEATURES in terms.named else license.features
    return entitlements.of_license(own, catalogue.get(_product_after(license, terms), ()))
