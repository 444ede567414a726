"""``/admin/api/session``, ``/admin/api/sessions`` and ``/admin/api/setup``: coming in, one's own account, going out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field
from sqlmodel import Session
from starlette.responses import Response

from licsrv.desk.desk import Desk
from licsrv.desk.fields import AccountName, DisplayName, Typed
from licsrv.desk.operations import AdminOperation, Call, json_response
from licsrv.desk.people import answers
from licsrv.desk.people.answers import Ended, SessionList
from licsrv.errors import ConflictError, InvalidRequestError, NotFoundError, StepUpRequiredError
from licsrv.people import (
    accounts,
    authentication,
    credentials,
    lockout,
    own_account,
    passwords,
    second_factor,
    sessions,
    setup,
    sign_in,
)
from licsrv.people.accounts import Language, NewAccount, Password
from licsrv.people.actors import Step, Via
from licsrv.people.roles import Permission, Role
from licsrv.people.sessions import Opened
from licsrv.people.sign_in import Attempt, Proof
from licsrv.platform.fields import Body
from licsrv.platform.ids import is_id

OWN, ANY, OPEN = Permission.OWN_ACCOUNT, Permission.WHO_AM_I, Permission.SIGN_IN
_SESSION = "/admin/api/session"


class SignInRequest(Body):
    """Who wants to sign in."""

    name: Typed = Field(description="the account's name", examples=["ann"])
    password: Typed
    code: Typed = Field("", description="of the authenticator app, or a recovery code", examples=["123456"])


class SetupRequest(Body):
    """The first account, an operator's."""

    token: Typed = Field(description="of the set-up link")
    name: AccountName
    password: Typed
    display_name: DisplayName = ""
    language: Language = Language.CHINESE


class PasswordRequest(Body):
    """A new password for oneself."""

    old: Typed
    new: Typed = Field(description=f"{passwords.SHORTEST} to {passwords.LONGEST} characters")


class ProvedRequest(Body):
    """Something that asks for one's password once more."""

    password: Typed


class ProofRequest(Body):
    """A fresh proof of identity: a code where the account has a second factor, else its password."""

    code: Typed = Field("", description="of the authenticator app, or a recovery code", examples=["123456"])
    password: Typed = ""


class CodeRequest(Body):
    """A code of the authenticator app."""

    code: Typed


class ProfileRequest(Body):
    """How one is called and spoken to; what is left out stays as it is."""

    display_name: DisplayName | None = None
    language: Language | None = None


class WhoAmI(Body):
    """Who is signed in, and what they may do at this moment."""

    name: str = Field(description="as the audit names them")
    via: Via
    account: str
    display_name: str
    role: Role | None
    language: Language | None
    permissions: list[Permission]
    steps_due: list[Step] = Field(description="what has to be done before anything else")
    csrf_token: str | None = Field(description="to be sent as X-CSRF-Token with unsafe calls of this session")
    expires_at: datetime | None
    idle_seconds: int | None = Field(description="how long the session may go unused")
    has_second_factor: bool = False
    proved_until: datetime | None = Field(None, description="until when the session counts as proved")


class Secret(Body):
    """A second factor that waits for its first code."""

    secret: str = Field(description="to be typed into the authenticator app")
    address: str = Field(description="the same as otpauth:// address, for a link or a picture")


class RecoveryCodes(Body):
    """Codes that replace the second factor, each once; they are shown this one time."""

    recovery_codes: list[str]


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    return (
        AdminOperation("POST", _SESSION, "Sign in", permission=OPEN, handler=enter, body=SignInRequest, result=WhoAmI),
        AdminOperation("GET", _SESSION, "Who am I", permission=ANY, handler=who_am_i, result=WhoAmI),
        AdminOperation("DELETE", _SESSION, "Sign out", permission=OWN, handler=leave, result=Ended),
        AdminOperation(
            "POST", "/admin/api/setup", "Make the first account by the set-up link", permission=OPEN, handler=set_up,
            body=SetupRequest, result=WhoAmI, refusals=(ConflictError,),
        ),
        AdminOperation(
            "POST", f"{_SESSION}/proof", "Prove again that it is me", permission=OWN, handler=prove, body=ProofRequest,
            result=WhoAmI,
        ),
        AdminOperation(
            "PUT", f"{_SESSION}/profile", "Change my name and language", permission=OWN, handler=profile,
            body=ProfileRequest, result=WhoAmI,
        ),
        AdminOperation(
            "PUT", f"{_SESSION}/password", "Change my password; my other sessions end", permission=OWN,
            handler=password, body=PasswordRequest, result=WhoAmI,
        ),
        AdminOperation(
            "POST", f"{_SESSION}/second-factor", "Ask for a secret for my authenticator app", permission=OWN,
            handler=propose_factor, body=ProvedRequest, result=Secret, refusals=(StepUpRequiredError,),
        ),
        AdminOperation(
            "PUT", f"{_SESSION}/second-factor", "Take it into use by its first code", permission=OWN,
            handler=confirm_factor, body=CodeRequest, result=RecoveryCodes, refusals=(ConflictError,),
        ),
        AdminOperation(
            "POST", f"{_SESSION}/recovery-codes", "Make new recovery codes", permission=OWN, handler=recovery_codes,
            body=ProvedRequest, result=RecoveryCodes, refusals=(ConflictError,), needs_proof=True,
        ),
        AdminOperation(
            "GET", "/admin/api/sessions", "List my sessions", permission=OWN, handler=own_sessions, result=SessionList,
        ),
        AdminOperation(
            "DELETE", "/admin/api/sessions/{id}", "End one of my sessions", permission=OWN, handler=end_session,
            result=Ended, refusals=(NotFoundError,),
        ),
    )  # fmt: skip


async def enter(call: Call, body: SignInRequest) -> Response:
    """Answer ``POST /admin/api/session``; the session that the browser had before ends."""
    replaced = authentication.session_token_of(call.request)
    attempt = Attempt(
        body.name,
        body.password,
        body.code,
        browser=call.browser,
        request_id=call.request_id,
        replaced=replaced,
        known=authentication.known_browser_of(call.request),
    )
    opened = await sign_in.sign_in(call.desk, attempt)
    response = await _with_cookie(call, opened)
    known = sign_in.known_browser(call.desk, opened.account)
    authentication.set_known_browser_cookie(response, call.request, known)
    return response


async def set_up(call: Call, body: SetupRequest) -> Response:
    """Answer ``POST /admin/api/setup`` by the first account, signed in, its second factor still to be set up."""
    passwords.require_good(body.password, name=body.name)
    with call.desk.proving():
        phc = await call.desk.hash_password(body.password)
    new = NewAccount(body.name, Role.OPERATOR, body.display_name, language=body.language)

    def use_case(session: Session) -> Opened:
        row = setup.redeem(session, body.token, new, password=Password(phc), request_id=call.request_id, now=call.now)
        return sessions.open_session(session, row, call.browser, settings=call.desk.settings, now=call.now)

    return await _with_cookie(call, await call.change(use_case))


async def who_am_i(call: Call) -> WhoAmI:
    """Answer ``GET /admin/api/session``."""
    if call.actor.via is Via.SESSION:
        return await _who(call.desk, authentication.session_token_of(call.request), call.now)
    actor = call.actor
    return WhoAmI(
        name=actor.name, via=actor.via, account=actor.account, display_name="", role=None, language=None,
        permissions=sorted(actor.permissions), steps_due=[], csrf_token=None, expires_at=None, idle_seconds=None,
    )  # fmt: skip


async def leave(call: Call) -> Response:
    """Answer ``DELETE /admin/api/session``."""
    answer = await end(call, call.actor.credential)
    response = json_response(answer)
    authentication.clear_session_cookie(response, call.request)
    return response


async def profile(call: Call, body: ProfileRequest) -> WhoAmI:
    """Answer ``PUT /admin/api/session/profile``."""
    wanted = accounts.Change(display_name=body.display_name, language=body.language)

    def use_case(session: Session) -> None:
        accounts.change(session, call.actor.account, wanted, actor=call.actor, cause=call.cause(), now=call.now)

    await call.change(use_case)
    return await who_am_i(call)


async def password(call: Call, body: PasswordRequest) -> Response:
    """Answer ``PUT /admin/api/session/password``; this session goes on under a new token."""
    passwords.require_good(body.new, name=call.actor.account)
    await _prove(call, body.old)
    phc = await call.desk.hash_password(body.new)
    is_same = body.new == body.old

    def use_case(session: Session) -> Opened:
        return own_account.change_password(
            session, call.actor, phc, is_same=is_same, browser=call.browser, settings=call.desk.settings,
            cause=call.cause(), now=call.now,
        )  # fmt: skip

    return await _with_cookie(call, await call.change(use_case))


async def prove(call: Call, body: ProofRequest) -> WhoAmI:
    """Answer ``POST /admin/api/session/proof``."""
    if not (body.code or body.password):
        raise InvalidRequestError("A proof is a code, or the password where there is no second factor.")
    proof = Proof(body.code, body.password)
    await sign_in.step_up(call.desk, call.actor, proof, browser=call.browser, cause=call.cause())
    return await who_am_i(call)


async def propose_factor(call: Call, body: ProvedRequest) -> Secret:
    """Answer ``POST /admin/api/session/second-factor``; a factor in use is replaced by who has it."""
    if call.actor.has_factor:
        call.actor.require_proof(call.desk.settings.step_up, now=call.now)
    await _prove(call, body.password)
    secret = second_factor.new_secret()
    keys, issuer = sign_in.factor_keys(call.desk), call.desk.settings.issuer

    def use_case(session: Session) -> second_factor.Proposal:
        account = accounts.locked(session, call.actor.account)
        return second_factor.propose(session, account, secret, issuer=issuer, keys=keys)

    return Secret.model_validate(await call.change(use_case), from_attributes=True)


async def confirm_factor(call: Call, body: CodeRequest) -> Response:
    """Answer ``PUT /admin/api/session/second-factor``; the session's powers grow, so it gets a new token."""
    keys = sign_in.factor_keys(call.desk)
    tried = await sign_in.count_try(call.desk, call.actor.account, call.browser)

    def use_case(session: Session) -> tuple[list[str], Opened]:
        lockout.forgive(session, tried, now=call.now)
        return own_account.confirm_factor(
            session, call.actor, body.code, keys=keys, browser=call.browser, settings=call.desk.settings,
            cause=call.cause(), now=call.now,
        )  # fmt: skip

    codes, opened = await call.change(use_case)
    response = json_response(RecoveryCodes(recovery_codes=codes))
    authentication.set_session_cookie(response, call.request, opened)
    return response


async def recovery_codes(call: Call, body: ProvedRequest) -> RecoveryCodes:
    """Answer ``POST /admin/api/session/recovery-codes``."""
    await _prove(call, body.password)
    keys = sign_in.factor_keys(call.desk)

    def use_case(session: Session) -> list[str]:
        account = accounts.locked(session, call.actor.account)
        return second_factor.make_recovery_codes(session, account, keys=keys, cause=call.cause(), now=call.now)

    return RecoveryCodes(recovery_codes=await call.change(use_case))


async def own_sessions(call: Call) -> SessionList:
    """Answer ``GET /admin/api/sessions``."""
    account, idle = call.actor.account, call.desk.settings.idle
    return await call.read(
        lambda session: answers.sessions(session, account, idle=idle, own=call.actor.credential, now=call.now)
    )


async def end_session(call: Call) -> Response:
    """Answer ``DELETE /admin/api/sessions/{id}``."""
    session_id = call.at["id"]
    response = json_response(await end(call, session_id))
    if session_id == call.actor.credential:
        authentication.clear_session_cookie(response, call.request)
    return response


async def end(call: Call, session_id: str) -> Ended:
    """End one session of the actor.

    Raises:
        NotFoundError: They have no such session.
    """
    if not is_id(session_id):
        raise NotFoundError("There is no such session.")

    def use_case(session: Session) -> None:
        sessions.end(session, call.actor.account, session_id, cause=call.cause(), now=call.now)

    await call.change(use_case)
    return Ended(ended=1)


async def _prove(call: Call, typed: str) -> None:
    await sign_in.prove_password(call.desk, call.actor.account, typed, browser=call.browser, cause=call.cause())


async def _with_cookie(call: Call, opened: Opened) -> Response:
    response = json_response(await _who(call.desk, opened.token, call.desk.clock.now()))
    authentication.set_session_cookie(response, call.request, opened)
    return response


async def _who(desk: Desk, token: str, now: datetime) -> WhoAmI:
    known = await authentication.known_session(token, desk, now=now)
    if known is None:  # ended by another call at the same moment
        raise authentication.not_signed_in()
    actor = known.actor()
    return WhoAmI(
        name=actor.name, via=actor.via, account=known.account, display_name=known.display_name, role=known.role,
        language=Language(known.language), permissions=sorted(actor.permissions), steps_due=list(actor.steps_due),
        csrf_token=credentials.csrf_token_of(token), expires_at=known.expires_at,
        idle_seconds=int(desk.settings.idle.total_seconds()), has_second_factor=known.has_factor,
        proved_until=known.proved_at + desk.settings.step_up if known.proved_at else None,
    )  # fmt: skip
