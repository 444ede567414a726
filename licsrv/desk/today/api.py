"""``/admin/api/desk``: what needs attention now."""

from __future__ import annotations

from collections.abc import Sequence

from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.today import answers
from licsrv.desk.today.answers import BoardAnswer
from licsrv.people.roles import Permission


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    return (
        AdminOperation(
            "GET", "/admin/api/desk", "Show what needs attention", permission=Permission.READ_LICENSES,
            handler=show_board, result=BoardAnswer,
        ),
    )  # fmt: skip


async def show_board(call: Call) -> BoardAnswer:
    """Answer ``GET /admin/api/desk``."""
    tools, zone = call.desk.support, call.desk.settings.day_zone
    keyring = tools.keyring()
    return await call.read(
        lambda session: answers.board(
            session,
            keyring=keyring,
            key_pair=tools.key_pair,
            clock_difference=tools.clock_difference(),
            view=tools.view(call.now),
            zone=zone,
        )
    )
