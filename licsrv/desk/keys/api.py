"""``/admin/api/keys``: the signing keys, without their private halves."""

from __future__ import annotations

from collections.abc import Sequence

from licsrv.desk.keys import answers
from licsrv.desk.keys.answers import Keys
from licsrv.desk.operations import AdminOperation, Call
from licsrv.people.roles import Permission


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    return (
        AdminOperation(
            "GET", "/admin/api/keys", "List signing keys, without their private halves",
            permission=Permission.READ_KEYS, handler=list_keys, result=Keys,
        ),
    )  # fmt: skip


async def list_keys(call: Call) -> Keys:
    """Answer ``GET /admin/api/keys``."""
    return answers.keys(call.desk.support.keyring(), now=call.now)
