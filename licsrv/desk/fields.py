"""Types of what people type, and what the desk's answers have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from licsrv.people import passwords
from licsrv.people.accounts import NAME_PATTERN
from licsrv.platform.fields import PRINTABLE, Body

# Two characters are a whole word in Chinese: 退款.
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=500, pattern=PRINTABLE)]
AccountName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=60)]
DisplayName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100, pattern=PRINTABLE)]
TokenName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=PRINTABLE)]
# Typed passwords are compared, never stored: anything goes, up to a length that costs nothing to hash.
Typed = Annotated[str, StringConstraints(max_length=passwords.LONGEST)]
# Near the ends of the calendar a moment cannot be told in another zone, and some databases cannot keep it.
Moment = Annotated[
    AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC))
]  # fmt: skip


class Reasoned(Body):
    """Something that a person does for a reason."""

    reason: Reason = Field(description="why; the audit keeps it", examples=["Left the company."])
