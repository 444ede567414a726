"""Turning a request into its caller: a browser's cookie or a program's token becomes an :class:`Actor`.

The browser sends a cookie for any page that makes it, so an unsafe call with one must also come from our own
origin and carry the session's CSRF token. A bearer token is sent only by its program and needs neither.
"""

from __future__ import annotations

from datetime import datetime
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from licsrv.errors import ForbiddenError, UnauthenticatedError
from licsrv.people import credentials, sessions, store, tokens
from licsrv.people.access import Access
from licsrv.people.actors import Actor
from licsrv.people.lockout import KNOWN_FOR
from licsrv.people.sessions import Browser, Known, Opened
from licsrv.platform.config import LOOPBACK

COOKIE, PLAIN_COOKIE = "__Host-licsrv", "licsrv"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = "bearer "
_LONGEST_COOKIE = 100


async def authenticate(request: Request, access: Access, *, now: datetime) -> Actor:
    """Return who sends a request, and what they may do at this moment.

    Raises:
        UnauthenticatedError: No credential, or a session or token that is not valid.
        ForbiddenError: A foreign page made a browser send it.
    """
    authorization = request.headers.get("authorization")
    if authorization is not None:  # a program's, even where a cookie came along
        return await _bearer(authorization, access, now)
    token = session_token_of(request)
    known = await _session(token, access, now) if token else None
    if known is None:
        raise not_signed_in()
    if request.method not in SAFE_METHODS:
        require_own_page(request, access, token)
    return known.actor()


def not_signed_in() -> UnauthenticatedError:
    """Return the refusal of a caller without a valid session."""
    return UnauthenticatedError(
        "You are not signed in, or your session has ended.",
        action="Sign in, or send an API token as Authorization: Bearer lsat_….",
    )


async def _bearer(authorization: str, access: Access, now: datetime) -> Actor:
    is_bearer = authorization[: len(_BEARER)].lower() == _BEARER
    secret = authorization[len(_BEARER) :].strip() if is_bearer else ""
    found = await access.read(lambda session: tokens.recognise(session, secret, now=now)) if secret else None
    if found is None:
        raise UnauthenticatedError(
            "This API token is not valid.", action="Ask an operator for a new one: `licsrv tokens new`."
        )
    if found.last_used_at is None or now - found.last_used_at >= tokens.TOUCH_EVERY:
        await access.writer.run(lambda session: store.touch_token(session, found.id, now=now))
    return found.actor


async def _session(token: str, access: Access, now: datetime) -> Known | None:
    known = await known_session(token, access, now=now)
    if known is not None and now - known.seen_at >= sessions.TOUCH_EVERY:
        await access.writer.run(lambda session: store.touch_session(session, known.id, now=now))
    return known


async def known_session(token: str, access: Access, *, now: datetime) -> Known | None:
    """Return the session of a cookie's token; None when it is not good."""
    return await access.read(lambda session: sessions.recognise(session, token, settings=access.settings, now=now))


def require_own_page(request: Request, access: Access, token: str) -> None:
    """Refuse an unsafe call with a cookie that our own pages did not make.

    Raises:
        ForbiddenError: The origin is missing or another, or the CSRF token is not this session's.
    """
    if not _is_own_origin(request, access) or not credentials.is_same(
        request.headers.get(CSRF_HEADER, ""), credentials.csrf_token_of(token)
    ):
        raise ForbiddenError(
            "This call did not come from our own pages.",
            action=f"Send Origin and {CSRF_HEADER} (from GET /admin/api/session), or use an API token.",
        )


def require_no_foreign_page(request: Request, access: Access) -> None:
    """Refuse a call before signing in that another site's page made; programs, which name no origin, may pass.

    Raises:
        ForbiddenError: A browser sends it for a foreign page.
    """
    is_browser = "origin" in request.headers or "sec-fetch-site" in request.headers
    if is_browser and not _is_own_origin(request, access):
        raise ForbiddenError("This call did not come from our own pages.")


def _is_own_origin(request: Request, access: Access) -> bool:
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("origin", "")
    if access.settings.public_url and origin == access.settings.public_url.rstrip("/"):
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    is_web = parts.scheme == "https" or (parts.scheme == "http" and _is_plain_loopback(request))
    return is_web and bool(parts.netloc) and parts.netloc == request.headers.get("host", "")


def session_token_of(request: Request) -> str:
    """Return the token in the session's cookie; empty where there is none."""
    token = request.cookies.get(_cookie_name(request), "")
    return token if len(token) <= _LONGEST_COOKIE else ""


def set_session_cookie(response: Response, request: Request, opened: Opened) -> None:
    """Give the browser a session; the cookie ends with the browser or with the session, whichever is first."""
    response.headers.append("set-cookie", _cookie(request, opened.token))


def known_browser_of(request: Request) -> str:
    """Return the cookie of a known browser; empty where there is none."""
    return request.cookies.get(_known_cookie_name(request), "")[:_LONGEST_COOKIE]


def set_known_browser_cookie(response: Response, request: Request, value: str) -> None:
    """Make a browser known for the next sign-ins; it proves nothing but that the account signed in there before."""
    cookie = _cookie(request, value, name=_known_cookie_name(request), max_age=int(KNOWN_FOR.total_seconds()))
    response.headers.append("set-cookie", cookie)


def _known_cookie_name(request: Request) -> str:
    return f"{_cookie_name(request)}-known"


def clear_session_cookie(response: Response, request: Request) -> None:
    """Take the session's cookie from the browser."""
    response.headers.append("set-cookie", _cookie(request, "", max_age=0))


def _cookie(request: Request, value: str, *, name: str = "", max_age: int | None = None) -> str:
    name = name or _cookie_name(request)
    cookie: SimpleCookie = SimpleCookie({name: value})
    morsel = cookie[name]
    morsel["path"], morsel["httponly"], morsel["samesite"] = "/", True, "Strict"
    morsel["secure"] = name.startswith(COOKIE)
    if max_age is not None:
        morsel["max-age"] = max_age
    return morsel.OutputString()


def _cookie_name(request: Request) -> str:
    """Return the cookie's name: browsers keep ``__Host-`` ones over TLS only, which a loopback has none of."""
    return PLAIN_COOKIE if _is_plain_loopback(request) else COOKIE


def _is_plain_loopback(request: Request) -> bool:
    return request.url.scheme == "http" and (request.url.hostname or "") in LOOPBACK


def browser_of(request: Request) -> Browser:
    """Return where a request comes from."""
    address = request.client.host if request.client else ""
    client = request.headers.get("user-agent", "")
    return Browser(address, "".join(character for character in client if character.isprintable()))
