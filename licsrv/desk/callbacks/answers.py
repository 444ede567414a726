"""The callback log as API, console and command line show it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from licsrv.desk.callbacks import store
from licsrv.desk.fields import Listing
from licsrv.errors import NotFoundError
from licsrv.licensing import spellings
from licsrv.licensing import store as licensing
from licsrv.marketplace.tables import CallbackRecord
from licsrv.platform import paging
from licsrv.platform.fields import Body
from licsrv.platform.paging import Window


class Callback(Body):
    """A callback as it came and as it was answered."""

    id: str
    received_at: datetime
    activity: str
    code: str
    result_code: str
    message: str
    is_signed: bool
    is_probe: bool
    key_digest: str
    body: str
    body_bytes: int
    request_id: str


class Callbacks(Listing[Callback]):
    """A page of callbacks, the newest first."""


def callbacks(session: Session, window: Window, *, code: str | None, only_failed: bool) -> Callbacks:
    """Return the callback log: all, of one code, or those that were refused."""
    if code is not None:  # typed by a person, unlike the codes in the callbacks; one of them may have no license here
        code = licensing.code_meant(session, code).code or spellings.clean(code)
    rows = store.callbacks(session, window, code=code, only_failed=only_failed)
    return Callbacks.of(paging.page_of(rows, window, keys=lambda row: (row.id,), item=shown))


def callback(session: Session, callback_id: str) -> Callback:
    """Return one callback.

    Raises:
        NotFoundError: There is no such callback.
    """
    row = store.callback(session, callback_id)
    if row is None:
        raise NotFoundError(f"There is no callback {callback_id!r}.", action="See `licsrv callbacks list`.")
    return shown(row)


def shown(row: CallbackRecord) -> Callback:
    """Return a callback."""
    return Callback.model_validate(row.model_dump())
