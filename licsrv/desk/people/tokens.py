"""``/admin/api/tokens``: the programs of the desk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field
from sqlmodel import Session

from licsrv.desk.fields import Moment, Reasoned, TokenName
from licsrv.desk.operations import AdminOperation, Call
from licsrv.errors import NotFoundError
from licsrv.people import store, tokens
from licsrv.people.roles import Permission
from licsrv.people.tables import ApiToken
from licsrv.people.tokens import NewToken
from licsrv.platform import paging
from licsrv.platform.fields import Body

_MANAGE = Permission.MANAGE_TOKENS
_PATH = "/admin/api/tokens"


class NewTokenRequest(Reasoned):
    """A program that shall get in."""

    name: TokenName = Field(examples=["nightly report"])
    scopes: list[Permission] = Field(min_length=1, max_length=50, examples=[["read_licenses"]])
    expires_at: Moment = Field(description=f"within {tokens.LONGEST_SPAN.days} days")


class TokenAnswer(Body):
    """A program's token, without its secret."""

    id: str
    name: str
    scopes: list[str]
    owner: str | None = Field(description="the account that it belongs to and cannot outgrow")
    created_at: datetime
    created_by: str
    expires_at: datetime
    last_used_at: datetime | None = Field(description="to five minutes")
    revoked_at: datetime | None


class TokenList(Body):
    """A page of tokens, newest first."""

    items: list[TokenAnswer]
    next: str | None


class MadeToken(Body):
    """A new token; its secret is shown this one time."""

    secret: str = Field(description="to be sent as Authorization: Bearer lsat_…")
    token: TokenAnswer


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    return (
        AdminOperation("GET", _PATH, "List API tokens", _MANAGE, listed, result=TokenList, query=paging.PARAMETERS),
        AdminOperation("POST", _PATH, "Make an API token", _MANAGE, make, NewTokenRequest, MadeToken),
        AdminOperation(
            "POST", _PATH + "/{id}/revoke", "Revoke an API token", _MANAGE, revoke, Reasoned, TokenAnswer,
            (NotFoundError,),
        ),
    )  # fmt: skip


async def listed(call: Call) -> TokenList:
    """Answer ``GET /admin/api/tokens``."""
    window = paging.window_of(call.request.query_params)

    def use_case(session: Session) -> TokenList:
        page = paging.page_of(store.tokens(session, window), window, keys=lambda row: (row.id,), item=token_answer)
        return TokenList(items=page.items, next=page.next)

    return await call.read(use_case)


async def make(call: Call, body: NewTokenRequest) -> MadeToken:
    """Answer ``POST /admin/api/tokens``."""
    new, cause = NewToken(body.name, frozenset(body.scopes), body.expires_at), call.cause(body.reason)

    def use_case(session: Session) -> MadeToken:
        made = tokens.make(session, new, actor=call.actor, cause=cause, now=call.now)
        return MadeToken(secret=made.secret, token=token_answer(made.row))

    return await call.write(use_case)


async def revoke(call: Call, body: Reasoned) -> TokenAnswer:
    """Answer ``POST /admin/api/tokens/{id}/revoke``."""
    token_id, cause = call.request.path_params["id"], call.cause(body.reason)

    def use_case(session: Session) -> TokenAnswer:
        return token_answer(tokens.revoke(session, token_id, cause=cause, now=call.now))

    return await call.write(use_case)


def token_answer(row: ApiToken) -> TokenAnswer:
    """Return a token as an answer."""
    return TokenAnswer(
        id=row.id, name=row.name, scopes=list(row.scopes), owner=row.owner, created_at=row.created_at,
        created_by=row.created_by, expires_at=row.expires_at, last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )  # fmt: skip
