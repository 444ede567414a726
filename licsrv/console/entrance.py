"""Pages for coming in and going out: the set-up link, signing in, the language, signing out."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from licsrv.console import languages, targets
from licsrv.console.visits import ConsolePage, Visit
from licsrv.errors import RefusalError
from licsrv.people.accounts import Language

_SESSION, _SETUP = "/admin/api/session", "/admin/api/setup"


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module."""
    return (
        ConsolePage("GET", "/admin/setup", show_setup, is_open=True),
        ConsolePage("POST", "/admin/setup", set_up, is_open=True),
        ConsolePage("GET", targets.SIGN_IN, show_sign_in, is_open=True),
        ConsolePage("POST", targets.SIGN_IN, sign_in, is_open=True),
        ConsolePage("POST", "/admin/sign-out", sign_out, is_open=True),
        ConsolePage("POST", "/admin/language", choose_language, is_open=True),
    )


async def show_setup(visit: Visit) -> Response:
    """Show the form for the first account; the link is checked when the form is sent."""
    return visit.show("setup.html", token=visit.query.get("token", ""), name="", display_name="")


async def set_up(visit: Visit) -> Response:
    """Make the first account, sign in, and go on to the second factor."""
    token, name, display_name = visit.typed("token"), visit.typed("name"), visit.typed("display_name")
    if visit.exactly("password") != visit.exactly("again"):
        mistake = "The two passwords differ."
        return visit.show("setup.html", status=422, token=token, name=name, display_name=display_name, mistake=mistake)
    body = {
        "token": token, "name": name.lower(), "password": visit.exactly("password"), "display_name": display_name,
        "language": str(visit.language),
    }  # fmt: skip
    try:
        await visit.act("POST", _SETUP, body)
    except RefusalError as refusal:
        return visit.show("setup.html", refusal=refusal, token=token, name=name, display_name=display_name)
    return visit.go("/admin/account/finish")


async def show_sign_in(visit: Visit) -> Response:
    """Show the form for signing in; a signed-in visitor is sent on at once."""
    target = targets.own_page(visit.query.get("next", ""))
    if visit.who is not None:
        return visit.go(target)
    return visit.show("sign_in.html", target=target, name="")


async def sign_in(visit: Visit) -> Response:
    """Open a session and go on to the page that was asked for."""
    target = targets.own_page(visit.typed("next"))
    name = visit.typed("name")
    body = {"name": name, "password": visit.exactly("password"), "code": visit.typed("code")}
    try:
        await visit.act("POST", _SESSION, body)
    except RefusalError as refusal:
        response = visit.show("sign_in.html", refusal=refusal, target=target, name=name)
        if refusal.retry_after is not None:
            response.headers["Retry-After"] = str(refusal.retry_after)
        return response
    return visit.go(target)


async def sign_out(visit: Visit) -> Response:
    """End this session."""
    if visit.who is not None:
        await visit.act("DELETE", _SESSION)
    return visit.go(targets.SIGN_IN, said="signed-out")


async def choose_language(visit: Visit) -> Response:
    """Change the language: of this browser, and of the account of a signed-in visitor."""
    chosen = languages.language_named(visit.typed("language")) or Language.ENGLISH
    if visit.who is not None:
        await visit.act("PUT", f"{_SESSION}/profile", {"language": str(chosen)})
    visit.remember_language(chosen)
    return visit.go(targets.own_address(visit.typed("next")))
