"""Pages for oneself: finishing one's account, name and language, password, second factor, sessions."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from licsrv.console import targets
from licsrv.console.pictures import qr_code
from licsrv.console.visits import ConsolePage, Visit
from licsrv.errors import RefusalError

_SESSION, _SESSIONS = "/admin/api/session", "/admin/api/sessions"
_OWN = "/admin/account"


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module; those that finish an account are open before it is finished."""
    return (
        ConsolePage("GET", f"{_OWN}/finish", finish, is_open=True),
        ConsolePage("POST", f"{_OWN}/password", change_password, is_open=True),
        ConsolePage("POST", f"{_OWN}/second-factor", propose_factor, is_open=True),
        ConsolePage("POST", f"{_OWN}/second-factor/confirm", confirm_factor, is_open=True),
        ConsolePage("GET", _OWN, show_own),
        ConsolePage("POST", f"{_OWN}/profile", change_profile),
        ConsolePage("POST", f"{_OWN}/recovery-codes", make_recovery_codes),
        ConsolePage("POST", f"{_OWN}/sessions/{{id}}/end", end_session),
    )


async def finish(visit: Visit) -> Response:
    """Show the next step to a finished account: a password of one's own, then the second factor."""
    if visit.who is None:
        return visit.go(targets.SIGN_IN)
    if not visit.who["steps_due"]:
        return visit.go(targets.HOME)
    return visit.show("finish.html", step=visit.who["steps_due"][0])


async def change_password(visit: Visit) -> Response:
    """Change the password, from either page that has the form."""
    if visit.who is None:
        return visit.go(targets.SIGN_IN)
    if visit.exactly("new") != visit.exactly("again"):
        return await _again(visit, mistake="The two passwords differ.")
    body = {"old": visit.exactly("old"), "new": visit.exactly("new")}
    try:
        await visit.act("PUT", f"{_SESSION}/password", body)
    except RefusalError as refusal:
        return await _again(visit, refusal)
    return visit.go(f"{_OWN}/finish" if visit.who["steps_due"] else _OWN, said="password-changed")


async def propose_factor(visit: Visit) -> Response:
    """Show a new secret, as a picture and as text; the password was typed again."""
    if visit.who is None:
        return visit.go(targets.SIGN_IN)
    try:
        proposed = await visit.act("POST", f"{_SESSION}/second-factor", {"password": visit.exactly("password")})
    except RefusalError as refusal:
        return await _again(visit, refusal)
    return _show_secret(visit, proposed["secret"], proposed["address"])


async def confirm_factor(visit: Visit) -> Response:
    """Turn the second factor on and show the recovery codes, once."""
    if visit.who is None:
        return visit.go(targets.SIGN_IN)
    try:
        answer = await visit.act("PUT", f"{_SESSION}/second-factor", {"code": visit.typed("code")})
    except RefusalError as refusal:
        return _show_secret(visit, visit.typed("secret"), visit.typed("address"), refusal=refusal)
    return visit.show("recovery_codes.html", codes=answer["recovery_codes"], is_new=bool(visit.who["steps_due"]))


async def change_profile(visit: Visit) -> Response:
    """Change one's name and language."""
    body = {"display_name": visit.typed("display_name"), "language": visit.typed("language")}
    await visit.act("PUT", f"{_SESSION}/profile", body)
    return visit.go(_OWN, said="profile-saved")


async def make_recovery_codes(visit: Visit) -> Response:
    """Create new recovery codes and show them, once."""
    try:
        answer = await visit.act("POST", f"{_SESSION}/recovery-codes", {"password": visit.exactly("password")})
    except RefusalError as refusal:
        return await show_own(visit, refusal)
    return visit.show("recovery_codes.html", codes=answer["recovery_codes"], is_new=False)


async def end_session(visit: Visit) -> Response:
    """End one of one's sessions."""
    await visit.act("DELETE", f"{_SESSIONS}/{{id}}", at={"id": visit.at["id"]})
    return visit.go(_OWN, said="session-ended")


def _show_secret(visit: Visit, secret: str, address: str, refusal: RefusalError | None = None) -> Response:
    is_ours = address.startswith("otpauth://totp/")  # it comes back with the form when the code was wrong
    picture = qr_code(address) if is_ours else None
    return visit.show("second_factor.html", refusal=refusal, secret=secret, address=address, picture=picture)


async def _again(visit: Visit, refusal: RefusalError | None = None, *, mistake: str = "") -> Response:
    """Show the form once more with what was wrong, on the page that has it."""
    steps = visit.who["steps_due"] if visit.who else []
    if steps:
        return visit.show("finish.html", status=422, refusal=refusal, mistake=mistake, step=steps[0])
    return await show_own(visit, refusal, mistake=mistake)


async def show_own(visit: Visit, refusal: RefusalError | None = None, *, mistake: str = "") -> Response:
    """Show one's own account."""
    sessions = (await visit.look(_SESSIONS))["items"]
    status = 422 if mistake else 200
    return visit.show("own_account.html", status=status, refusal=refusal, mistake=mistake, sessions=sessions)
