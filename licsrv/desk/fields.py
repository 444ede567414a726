"""Types of what people type, and what the desk's answers have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from licsrv.people import passwords
from licsrv.people.accounts import NAME_PATTERN
from licsrv.platform import days
from licsrv.platform.fields import PRINTABLE, Body

# Two characters are a whole word in Chinese: 退款.
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=500, pattern=PRINTABLE)]
AccountName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=60)]
DisplayName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100, pattern=PRINTABLE)]
TokenName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=PRINTABLE)]
# Typed passwords are compared, never stored: anything goes, up to a length that costs nothing to hash.
Typed = Annotated[str, StringConstraints(max_length=passwords.LONGEST)]
Moment = Annotated[AwareDatetime, Field(ge=days.EARLIEST, lt=days.LATEST)]


class Reasoned(Body):
    """Something that a person does for a reason."""

    reason: Reason = Field(description="why; the audit keeps it", examples=["Left the company."])
