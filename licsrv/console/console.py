"""The console's routes: what comes before every page, and how refusals are shown.

1. The language; 2. who it is (pages that are not open send others to the sign-in page, and people who have to finish
their account to where they do that); 3. the form, where one was sent, and the proof of identity in it; 4. the page;
5. refusals as pages that explain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, compile_path

from licsrv.console import languages, rendering, targets
from licsrv.console.api import Api, Ask
from licsrv.console.forms import read_form
from licsrv.console.visits import LANGUAGE_COOKIE, PAGE_HEADERS, ConsolePage, Visit
from licsrv.errors import NotFoundError, RefusalError, UnauthenticatedError
from licsrv.people.accounts import Language
from licsrv.platform.openapi import Operation
from licsrv.platform.web import as_refusal, read_body, request_id_of
from licsrv.words.names import headline

_WHO_AM_I = Ask("GET", "/admin/api/session")
FINISH = "/admin/account/finish"
_KEEP = {"Cache-Control": "public, max-age=31536000, immutable"}


class Console:
    """Every page of the console.

    Args:
        operations: What the service serves; a page whose operations are not among them is not in the menu.
        day_zone: Where a typed day begins and ends.
    """

    def __init__(self, operations: Iterable[Operation], pages: Iterable[ConsolePage], *, day_zone: tzinfo) -> None:
        self._api = Api(operations)
        self._pages = list(pages)
        self._lookable = [compile_path(page.path)[0] for page in self._pages if page.method == "GET"]
        self._day_zone = day_zone
        self._render = partial(rendering.render, rendering.environment_of_pages())

    def routes(self) -> list[Route]:
        """Return one route for each address; any other address under ``/admin`` gets a page that explains."""
        by_path: dict[str, dict[str, ConsolePage]] = {}
        for page in self._pages:
            by_path.setdefault(page.path, {})[page.method] = page
        routes = [Route(path, self._endpoint(path, methods), methods=[*methods]) for path, methods in by_path.items()]
        lost = ConsolePage("GET", "/admin/{rest:path}", _lost, is_open=True)
        return [
            Route("/admin/static/{name}", _static, methods=["GET"]),
            *routes,
            Route("/admin/", _home, methods=["GET"]),
            Route(lost.path, self._endpoint(lost.path, {"GET": lost}), methods=["GET"]),
        ]

    def _endpoint(self, path: str, methods: Mapping[str, ConsolePage]) -> Any:
        async def endpoint(request: Request) -> Response:
            request.scope["matched_path"] = path
            if request.url.path.startswith("/admin/api/"):  # a program's mistake is answered as programs read it
                raise NotFoundError("There is nothing at this address.")
            return await self._serve(methods.get(request.method) or methods["GET"], request)

        return endpoint

    async def _serve(self, page: ConsolePage, request: Request) -> Response:
        language, here = _language_before(request), self._here(request)  # 1
        visit = Visit(request, self._api, self._render, language=language, here=here, day_zone=self._day_zone)
        try:
            visit.who = await self._who(request)  # 2
            visit.language = _language_of(visit)
            if not page.is_open and (elsewhere := _first(visit)) is not None:
                return elsewhere
            if request.method == "POST":  # 3
                body = await read_body(request.receive, limit=page.most)
                visit.form = read_form(request.headers.get("content-type", ""), body)
                if (unproved := await _prove(visit)) is not None:
                    return unproved
            return await page.handler(visit)  # 4
        except Exception as error:  # 5: what is no refusal goes on to the gateway, which logs it
            refusal = as_refusal(error)
            if refusal is None:
                raise
            return problem(visit, refusal)

    def _here(self, request: Request) -> str:
        path = request.url.path
        if request.method != "POST":
            return f"{path}?{request.url.query}" if request.url.query else path
        while path and not any(pattern.match(path) for pattern in self._lookable):
            path = path.rpartition("/")[0]
        return path or targets.HOME

    async def _who(self, request: Request) -> Mapping[str, Any] | None:
        try:
            who: Mapping[str, Any] = (await self._api.call(request, _WHO_AM_I)).content
        except UnauthenticatedError:
            return None
        return who


async def _prove(visit: Visit) -> Response | None:
    """Pass on the proof of a form; return the page that asks again where it is wrong."""
    try:
        await visit.prove()
    except RefusalError as refusal:
        return visit.ask_for_proof(refusal)
    return None


def problem(visit: Visit, refusal: RefusalError) -> Response:
    """Return a page that says what went wrong, what the person can do, and by which id support finds it."""
    response = visit.show(
        "problem.html",
        refusal=refusal,
        headline=headline(refusal.code),
        request_id=request_id_of(visit.request.scope),
    )
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def _first(visit: Visit) -> Response | None:
    """Return where a visitor has to go before this page; None where nothing is due."""
    if visit.who is None:
        if visit.request.method == "GET" and visit.request.headers.get("sec-fetch-site") == "cross-site":
            # The cookie does not come along from another site's link; it does when our own page asks again.
            return visit.show("arrive.html")
        target = visit.request.url.path
        if visit.request.url.query:
            target += f"?{visit.request.url.query}"
        return visit.go(targets.sign_in_for(target if visit.request.method == "GET" else targets.HOME))
    return visit.go(FINISH) if visit.who["steps_due"] else None


def _language_before(request: Request) -> Language:
    chosen = languages.language_named(request.cookies.get(LANGUAGE_COOKIE))
    return chosen or languages.negotiated(request.headers.get("accept-language", ""))


def _language_of(visit: Visit) -> Language:
    of_account = languages.language_named(visit.who["language"]) if visit.who else None
    return of_account or visit.language


async def _lost(visit: Visit) -> Response:
    raise NotFoundError("There is nothing at this address.")


async def _home(_: Request) -> Response:
    return RedirectResponse(targets.HOME, 308, PAGE_HEADERS)


async def _static(request: Request) -> Response:
    request.scope["matched_path"] = "/admin/static/{name}"
    name = request.path_params["name"]
    if name not in rendering.STATIC:
        raise NotFoundError("There is nothing at this address.")
    return Response(rendering.static_file(name), media_type=rendering.STATIC[name], headers=_KEEP)
