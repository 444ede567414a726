"""What a staff action is asked and what it answers, for the API, the console and the command line."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from licsrv.desk.fields import Moment, Reason
from licsrv.desk.licenses.answers import LicenseFactsShown
from licsrv.platform.fields import Body
from licsrv.platform.text_limits import LONGEST_NOTE
from licsrv.words.sentences import Sentence


class PreviewRequest(Body):
    """What would be done; each action reads what it takes."""

    device_id: str | None = Field(
        None, max_length=23, description="release_place, clock_reset; reissue: left out for all devices"
    )
    until: Moment | None = Field(None, description="extend_grace, set_maintenance; null takes it away")
    text: str | None = Field(None, max_length=LONGEST_NOTE, description="add_note")


class ActionRequest(PreviewRequest):
    """What is to be done, and why."""

    reason: Reason = Field(description="why; of a revocation the customer reads it")
    state: str | None = Field(None, max_length=64, description="of the preview; refused when the license has changed")


class UndoShown(Body):
    """The action that takes another one back."""

    action: str
    device_id: str | None = None
    until: datetime | None = None
    reason: str | None = Field(None, description="what the reason was before, where the customer reads it")


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
