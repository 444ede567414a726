"""Types of text that come from outside: bounded, printable, safe to store on every database."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

# PostgreSQL cannot store U+0000, and other control characters only serve to confuse logs and terminals.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"

Name = Annotated[str, StringConstraints(max_length=100, pattern=PRINTABLE)]
Version = Annotated[str, StringConstraints(max_length=64, pattern=PRINTABLE)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=PRINTABLE)]
DeviceId = Annotated[str, StringConstraints(min_length=1, max_length=23, pattern=r"^[0-9A-Za-z_-]+$")]
Nonce = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[!-~]+$")]


class Body(BaseModel):
    """Base of every request body: unknown members are ignored, so that newer clients can talk to older servers."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
