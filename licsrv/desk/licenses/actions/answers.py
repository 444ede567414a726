"""What a staff action is asked and what it answers, for the API, the console and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from licsrv.desk.fields import Moment, Reason
from licsrv.desk.licenses.answers import LicenseFactsShown
from licsrv.licensing import entitlements
from licsrv.licensing.origins import SoldFact
from licsrv.licensing.own_sales import NewTerms
from licsrv.platform.fields import PRINTABLE, Body
from licsrv.platform.text_limits import LONGEST_FEATURE, LONGEST_NOTE
from licsrv.words.sentences import Sentence

_OF_MEMBER = {
    "expires_at": SoldFact.END,
    "places": SoldFact.PLACES,
    "features": SoldFact.FEATURES,
    "customer": SoldFact.CUSTOMER,
    "product_id": SoldFact.PRODUCT,
}
_Feature = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_FEATURE, pattern=PRINTABLE),
    AfterValidator(entitlements.canonical),
]


class TermsRequest(Body):
    """New terms of a license; members that are left out stay as they are."""

    expires_at: Moment | None = Field(None, description="null: without an end")
    places: int | None = Field(None, ge=1, le=1_000_000, description="null: what was bought, or the product's")
    features: list[_Feature] | None = Field(
        None,
        max_length=100,
        description="some of its product's, each with a value or an end of its own where wanted: `draw`, `export=3`, "
        "`solver until 2027-03-31T16:00:00Z`; null: all of them, as the product says",
    )
    customer: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=PRINTABLE)] = ""
    product_id: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=PRINTABLE)] = Field(
        "-", description="a product that was described"
    )

    def terms(self) -> NewTerms:
        """Return them as the licensing room reads them."""
        return NewTerms(
            frozenset(_OF_MEMBER[name] for name in self.model_fields_set),
            expires_at=self.expires_at,
            device_limit=self.places,
            features=self.features,
            customer=self.customer,
            product_id=self.product_id,
        )


def members_of(terms: NewTerms) -> Mapping[str, Any]:
    """Return terms as a request names them."""
    values = {
        "expires_at": terms.expires_at,
        "places": terms.device_limit,
        "features": terms.features,
        "customer": terms.customer,
        "product_id": terms.product_id,
    }
    request = TermsRequest.model_validate(
        {name: values[name] for name, fact in _OF_MEMBER.items() if fact in terms.named}
    )
    return request.model_dump(mode="json", exclude_unset=True)


class PreviewRequest(Body):
    """What would be done; each action reads what it takes."""

    device_id: str | None = Field(
        None, max_length=23, description="release_place, clock_reset, bless; reissue: left out for all devices"
    )
    seat_id: str | None = Field(None, max_length=23, description="free_seat")
    branch: str | None = Field(None, max_length=8, description="bless, unbless: the copy, as the license page names it")
    until: Moment | None = Field(None, description="extend; extend_grace, set_maintenance: null takes it away")
    text: str | None = Field(None, max_length=LONGEST_NOTE, description="add_note")
    terms: TermsRequest | None = Field(None, description="set_terms")


class ActionRequest(PreviewRequest):
    """What is to be done, and why."""

    reason: Reason = Field(description="why; of a revocation the customer reads it")
    state: str | None = Field(None, max_length=64, description="of the preview; refused when the license has changed")


class UndoShown(Body):
    """The action that takes another one back."""

    action: str
    device_id: str | None = None
    branch: str | None = None
    until: datetime | None = None
    reason: str | None = Field(None, description="what the reason was before, where the customer reads it")
    terms: Mapping[str, Any] | None = None


class PreviewAnswer(Body):
    """What an action would change."""

    action: str
    is_possible: bool
    changes: bool = Field(description="false where it is not possible, or the license is already as it should be")
    says: Sentence
    can_be_undone: bool
    state: str
    reasons: list[Sentence] = Field(description="templates for the reason")


class ActionAnswer(Body):
    """What an action changed. ``changed`` is false where the license was already as it should be."""

    action: str
    changed: bool
    says: Sentence
    license: LicenseFactsShown
    undo: UndoShown | None
