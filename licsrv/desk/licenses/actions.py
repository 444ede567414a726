"""What support can do to a license: each action says first what it will change, then does it, for a reason.

An action is a use case of its room with words around it. It refuses to act on a license that is not any more what its
preview showed, and says what would undo it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field
from sqlmodel import Session, col, select

from licsrv.audit import Cause
from licsrv.desk.fields import Moment, Reason
from licsrv.desk.licenses import notes, page, showing
from licsrv.desk.licenses.action_words import TEMPLATES, WORDS, Words
from licsrv.desk.licenses.answers import LicenseFactsShown
from licsrv.desk.licenses.sentences import Sentence
from licsrv.desk.licenses.showing import View
from licsrv.errors import ConflictError, InvalidRequestError, NotFoundError, RefusalError
from licsrv.licensing import changes, devices
from licsrv.licensing import store as licensing
from licsrv.licensing.tables import Device, License
from licsrv.people.roles import Permission
from licsrv.platform.fields import Body

_MOST_DEVICES = 10_000


class Arguments(Body):
    """What an action is told besides the license; each takes what it needs."""

    device_id: str | None = Field(None, max_length=23, description="release_place; reissue: left out for all devices")
    until: Moment | None = Field(None, description="extend_grace, set_maintenance; null takes it away")
    text: str | None = Field(None, max_length=notes.LONGEST_NOTE, description="add_note")


class PreviewRequest(Arguments):
    """What would be done."""


class ActionRequest(Arguments):
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
    says: Sentence
    can_be_undone: bool
    state: str
    reasons: list[Sentence] = Field(description="templates for the reason")


class ActionAnswer(Body):
    """What an action changed. ``changed`` is false where the license was as it should be already."""

    action: str
    changed: bool
    says: Sentence
    license: LicenseFactsShown
    undo: UndoShown | None


@dataclass(frozen=True)
class _Done:
    changed: bool
    undo: UndoShown | None = None


Act = Callable[[Session, License, Arguments, Cause, datetime], _Done]


@dataclass(frozen=True)
class Action:
    """One action.

    Args:
        is_offered: Whether a page offers it for a license as it is.
    """

    name: str
    permission: Permission
    act: Act
    is_offered: Callable[[License], bool]
    can_be_undone: bool = True


def preview(session: Session, name: str, action: Action, arguments: Arguments, *, view: View) -> PreviewAnswer:
    """Say what an action would change; nothing is changed.

    Raises:
        LicenseNotFoundError: There is no such license.
        InvalidRequestError: The arguments do not fit.
    """
    license = page.license_of(session, name)
    device = _device(session, license, arguments)
    says = WORDS[action.name](_words(license, device, arguments, view))
    problem = _problem(license, action, arguments, view)
    return PreviewAnswer(
        action=action.name,
        is_possible=problem is None,
        says=problem or says,
        can_be_undone=action.can_be_undone,
        state=state_of(license),
        reasons=list(TEMPLATES[action.name]),
    )


def _problem(license: License, action: Action, arguments: Arguments, view: View) -> Sentence | None:
    """Return why it cannot be done. Only the rules are asked: each refuses before it changes anything."""
    try:
        _CHECKS.get(action.name, _nothing)(license, arguments, view.now)
    except (ConflictError, NotFoundError, InvalidRequestError) as refusal:
        return Sentence(zh=f"不可执行：{refusal.detail}", en=refusal.detail)
    return None


def do(
    session: Session, name: str, action: Action, request: ActionRequest, *, cause: Cause, view: View
) -> ActionAnswer:
    """Carry an action out.

    Args:
        cause: Who, and why: ``cause.reason`` is the request's.

    Raises:
        LicenseNotFoundError: There is no such license.
        ConflictError: It cannot be done, or the license is not what the preview showed.
        InvalidRequestError: The arguments do not fit.
    """
    license = page.locked_license(session, name)
    if request.state is not None and request.state != state_of(license):
        raise ConflictError("The license has changed meanwhile; nothing was done.", action="Look at it again.")
    device = _device(session, license, request)
    says = WORDS[action.name](_words(license, device, request, view))

    done = action.act(session, license, request, cause, view.now)

    session.flush()
    session.refresh(license)
    product = licensing.product(session, license.product_id)
    return ActionAnswer(
        action=action.name,
        changed=done.changed,
        says=says if done.changed else _UNCHANGED,
        license=showing.facts(license, product, view),
        undo=done.undo if done.changed else None,
    )


def state_of(license: License) -> str:
    """Return something that changes whenever what a preview was made of changes."""
    return f"{license.facts_changed_at.isoformat()}/{license.places_taken}"


def offered(license: License, now: datetime) -> list[str]:
    """Return the actions that a page can offer for a license."""
    return [action.name for action in ACTIONS.values() if action.is_offered(license)]


def _device(session: Session, license: License, arguments: Arguments) -> Device | None:
    if arguments.device_id is None:
        return None
    device = None if "\x00" in arguments.device_id else session.get(Device, arguments.device_id.strip())
    if device is None or device.license_id != license.id:
        raise NotFoundError(
            f"{license.code} has no device {arguments.device_id!r}.",
            action=f"See `licsrv devices list {license.code}`.",
        )
    return device


def _words(license: License, device: Device | None, arguments: Arguments, view: View) -> Words:
    return Words(license, device, arguments.until, view.now)


def _revoke(session: Session, license: License, _: Arguments, cause: Cause, now: datetime) -> _Done:
    changed = changes.revoke(session, license, cause=cause, now=now)
    return _Done(changed, UndoShown(action="reinstate"))


def _reinstate(session: Session, license: License, _: Arguments, cause: Cause, now: datetime) -> _Done:
    before = license.revoked_reason
    changed = changes.reinstate(session, license, cause=cause, now=now)
    return _Done(changed, UndoShown(action="revoke", reason=before))


def _release_place(session: Session, license: License, arguments: Arguments, cause: Cause, now: datetime) -> _Done:
    device = _device(session, license, arguments)
    if device is None:
        raise InvalidRequestError("device_id names the device whose place is released.", field="device_id")
    if device.released_at is not None:
        return _Done(False)
    devices.release_device(session, device, cause=cause, now=now)
    return _Done(True)


def _extend_grace(session: Session, license: License, arguments: Arguments, cause: Cause, now: datetime) -> _Done:
    before = license.grace_until
    changed = changes.change_grace(session, license, arguments.until, cause=cause, now=now)
    return _Done(changed, UndoShown(action="extend_grace", until=_still_possible(before, license, now)))


def _still_possible(before: datetime | None, license: License, now: datetime) -> datetime | None:
    """Return the grace to go back to: one that is over is none."""
    return before if before is not None and before > max(now, license.expires_at or now) else None


def _set_maintenance(session: Session, license: License, arguments: Arguments, cause: Cause, now: datetime) -> _Done:
    before = license.maintenance_until
    changed = changes.change_maintenance(session, license, arguments.until, cause=cause, now=now)
    return _Done(changed, UndoShown(action="set_maintenance", until=before))


def _reissue(session: Session, license: License, arguments: Arguments, cause: Cause, now: datetime) -> _Done:
    ids = [arguments.device_id.strip()] if arguments.device_id is not None else _holders(session, license)
    return _Done(changes.reissue(session, license, ids, cause=cause, now=now) > 0)


def _holders(session: Session, license: License) -> Sequence[str]:
    query = select(Device.id).where(col(Device.license_id) == license.id, col(Device.released_at).is_(None))
    return session.exec(query.order_by(col(Device.id)).limit(_MOST_DEVICES)).all()


def _add_note(session: Session, license: License, arguments: Arguments, cause: Cause, now: datetime) -> _Done:
    notes.add(session, license, arguments.text or "", cause=cause, now=now)
    return _Done(True)


def _nothing(_license: License, _arguments: Arguments, _now: datetime) -> None:
    """Refuse nothing."""


def _check_not_released(license: License, _arguments: Arguments, _now: datetime) -> None:
    if license.released_at is not None:
        raise ConflictError("The license is released; there is nothing left to do.")


def _check_grace(license: License, arguments: Arguments, now: datetime) -> None:
    if arguments.until is not None:
        changes.require_grace_possible(license, arguments.until, now)


def _check_note(_license: License, arguments: Arguments, _now: datetime) -> None:
    notes.require_text(arguments.text or "")


def _check_device(_license: License, arguments: Arguments, _now: datetime) -> None:
    if arguments.device_id is None:
        raise InvalidRequestError("device_id names the device whose place is released.", field="device_id")


_CHECKS: Mapping[str, Callable[[License, Arguments, datetime], None]] = {
    "revoke": _check_not_released,
    "release_place": _check_device,
    "extend_grace": _check_grace,
    "set_maintenance": _check_not_released,
    "reissue": _check_not_released,
    "add_note": _check_note,
}
_UNCHANGED = Sentence(zh="已经是这样，未作改动。", en="It was so already. Nothing was changed.")

_CHANGE = Permission.CHANGE_LICENSES
ACTIONS: Mapping[str, Action] = {
    action.name: action
    for action in (
        Action("revoke", _CHANGE, _revoke, lambda row: row.released_at is None and row.revoked_at is None),
        Action("reinstate", _CHANGE, _reinstate, lambda row: row.revoked_at is not None),
        Action("release_place", _CHANGE, _release_place, lambda row: row.places_taken > 0, can_be_undone=False),
        Action(
            "extend_grace", Permission.EXTEND_GRACE, _extend_grace,
            lambda row: None not in (row.expires_at, row.activated_at) and row.released_at is None,
        ),
        Action("set_maintenance", _CHANGE, _set_maintenance, lambda row: row.released_at is None),
        Action("reissue", _CHANGE, _reissue, lambda row: row.released_at is None, can_be_undone=False),
        Action("add_note", _CHANGE, _add_note, lambda _: True, can_be_undone=False),
    )
}  # fmt: skip
REFUSALS: tuple[type[RefusalError], ...] = (ConflictError, NotFoundError)
