"""``/admin/api/callbacks``: what the marketplace sent."""

from __future__ import annotations

from collections.abc import Sequence

from licsrv.desk.callbacks import answers
from licsrv.desk.callbacks.answers import Callbacks
from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.parameters import text_of
from licsrv.people.roles import Permission
from licsrv.platform import paging


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    return (
        AdminOperation(
            "GET", "/admin/api/callbacks", "List what the marketplace sent", permission=Permission.READ_OUTBOX,
            handler=list_callbacks, result=Callbacks, query=("code", "failed", *paging.PARAMETERS),
        ),
    )  # fmt: skip


async def list_callbacks(call: Call) -> Callbacks:
    """Answer ``GET /admin/api/callbacks``."""
    window, code = call.window(), text_of(call.query, "code")
    only_failed = text_of(call.query, "failed") in {"1", "true"}
    return await call.read(lambda session: answers.callbacks(session, window, code=code, only_failed=only_failed))
