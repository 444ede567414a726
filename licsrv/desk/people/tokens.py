"""``/admin/api/tokens``: the programs of the desk."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from sqlmodel import Session

from licsrv.desk.fields import Moment, Reasoned, TokenName
from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.people import answers
from licsrv.desk.people.answers import MadeToken, TokenAnswer, TokenList
from licsrv.errors import NotFoundError
from licsrv.people import tokens
from licsrv.people.roles import Permission
from licsrv.people.tokens import NewToken
from licsrv.platform import paging

_MANAGE = Permission.MANAGE_TOKENS
_PATH = "/admin/api/tokens"


class NewTokenRequest(Reasoned):
    """A program that shall get in."""

    name: TokenName = Field(examples=["nightly report"])
    scopes: list[Permission] = Field(min_length=1, max_length=50, examples=[["read_licenses"]])
    expires_at: Moment = Field(description=f"within {tokens.LONGEST_SPAN.days} days")


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    return (
        AdminOperation(
            "GET", _PATH, "List API tokens", permission=_MANAGE, handler=listed, result=TokenList,
            query=paging.PARAMETERS,
        ),
        AdminOperation(
            "POST", _PATH, "Make an API token", permission=_MANAGE, handler=make, body=NewTokenRequest,
            result=MadeToken, needs_proof=True,
        ),
        AdminOperation(
            "POST", _PATH + "/{id}/revoke", "Revoke an API token", permission=_MANAGE, handler=revoke, body=Reasoned,
            result=TokenAnswer, refusals=(NotFoundError,),
        ),
    )  # fmt: skip


async def listed(call: Call) -> TokenList:
    """Answer ``GET /admin/api/tokens``."""
    window = call.window()
    return await call.read(lambda session: answers.tokens(session, window, now=call.now))


async def make(call: Call, body: NewTokenRequest) -> MadeToken:
    """Answer ``POST /admin/api/tokens``."""
    new, cause = NewToken(body.name, frozenset(body.scopes), body.expires_at), call.cause(body.reason)

    def use_case(session: Session) -> MadeToken:
        made = tokens.make(session, new, actor=call.actor, cause=cause, now=call.now)
        return MadeToken(secret=made.secret, token=answers.token_shown(made.row, call.now))

    return await call.write(use_case)


async def revoke(call: Call, body: Reasoned) -> TokenAnswer:
    """Answer ``POST /admin/api/tokens/{id}/revoke``."""
    token_id, cause = call.at["id"], call.cause(body.reason)

    def use_case(session: Session) -> TokenAnswer:
        return answers.token_shown(tokens.revoke(session, token_id, cause=cause, now=call.now), call.now)

    return await call.write(use_case)
