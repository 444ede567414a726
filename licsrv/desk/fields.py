"""Types of what people type, and what the desk's answers have in common."""

from __future__ import annotations

from typing import Annotated, Generic, Self, TypeVar

from pydantic import AwareDatetime, Field, StringConstraints

from licsrv.people import passwords
from licsrv.people.accounts import NAME_PATTERN
from licsrv.platform import days
from licsrv.platform.fields import PRINTABLE, Body
from licsrv.platform.paging import Page
from licsrv.platform.text_limits import LONGEST_DISPLAY_NAME, LONGEST_NAME, LONGEST_REASON, SHORTEST_REASON

Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=SHORTEST_REASON, max_length=LONGEST_REASON, pattern=PRINTABLE),
]
AccountName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=LONGEST_NAME)]
DisplayName = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=LONGEST_DISPLAY_NAME, pattern=PRINTABLE)
]
TokenName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NAME, pattern=PRINTABLE)
]
# Typed passwords are compared, never stored: anything goes, up to a length that costs nothing to hash.
Typed = Annotated[str, StringConstraints(max_length=passwords.LONGEST)]
Moment = Annotated[AwareDatetime, Field(ge=days.EARLIEST, lt=days.LATEST)]

Item = TypeVar("Item")


class Listing(Body, Generic[Item]):
    """A page of a list, and the cursor of the next one; null at the end."""

    items: list[Item]
    next: str | None

    @classmethod
    def of(cls, page: Page[Item]) -> Self:
        """Return the answer that holds a page."""
        return cls(items=page.items, next=page.next)


class Reasoned(Body):
    """Something that a person does for a reason."""

    reason: Reason = Field(description="why; the audit keeps it", examples=["Left the company."])
