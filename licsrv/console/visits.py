"""One visit of a browser to one page: who it is, in which language, what it sent, and what it gets to see."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from http.cookies import SimpleCookie
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from licsrv.console import languages
from licsrv.console.api import Answer, Api, Ask
from licsrv.console.forms import CSRF_FIELD, KEY_FIELD, PROOF_FIELD
from licsrv.errors import RefusalError, StepUpRequiredError
from licsrv.people.accounts import Language
from licsrv.platform import days
from licsrv.words.pages import on_page

LANGUAGE_COOKIE, SAID_COOKIE = "licsrv-language", "licsrv-said"
_YEAR_SECONDS, _SAID_SECONDS = 365 * 86400, 60
_SELF_ONLY = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'"
PAGE_HEADERS = {
    "Content-Security-Policy": f"{_SELF_ONLY}; base-uri 'none'; frame-ancestors 'none'",
    # Under "no-referrer" browsers send "Origin: null" with forms, as a foreign page does.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

Renderer = Callable[[str, Mapping[str, Any]], str]


@dataclass
class Visit:
    """What a page works with.

    Args:
        here: The address under which this page, or the one whose form was sent, can be looked at again.
        day_zone: Where a typed day begins and ends.
        who: The answer to "who am I"; None without a session.
        form: What the page's form sent; empty for a look.
        cookies: Further cookies that the answer sets.
    """

    request: Request
    api: Api
    render: Renderer
    language: Language
    here: str
    day_zone: tzinfo
    who: Mapping[str, Any] | None = None
    form: Mapping[str, list[str]] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)

    @property
    def at(self) -> Mapping[str, str]:
        """The parameters in the page's address."""
        return self.request.path_params

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters behind the page's address."""
        return self.request.query_params

    @property
    def after(self) -> Mapping[str, str]:
        """Which page of a list is asked for."""
        return {"after": self.query.get("after", "")}

    @property
    def permissions(self) -> frozenset[str]:
        """What the visitor may do."""
        return frozenset(self.who["permissions"] if self.who else ())

    def typed(self, name: str) -> str:
        """Return one field of the form, without the blanks around it; empty where it was not sent."""
        return self.exactly(name).strip()

    def end_of(self, name: str) -> str:
        """Return the moment at which a typed day is over; anything else as it was typed, for the operation to judge."""
        text = self.typed(name)
        try:
            return days.read(text).end(self.day_zone).isoformat()
        except ValueError:
            return text

    def begin_of(self, name: str) -> str:
        """Return the moment at which a typed day begins; anything else as it was typed, for the operation to judge."""
        text = self.typed(name)
        try:
            return days.read(text).begin(self.day_zone).isoformat()
        except ValueError:
            return text

    def exactly(self, name: str) -> str:
        """Return one field of the form as it was typed, as a password is."""
        return self.form.get(name, [""])[0]

    def may(self, permission: str, method: str = "", path: str = "") -> bool:
        """Whether the visitor holds a permission and the operation, where one is named, is there."""
        return permission in self.permissions and (not path or self.api.has(method, path))

    def permitted(self, offers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return those of the offered actions that the visitor may do."""
        return [one for one in offers if one["permission"] in self.permissions]

    async def look(
        self, path: str, *, at: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None
    ) -> Any:
        """Return what a reading operation answers.

        Raises:
            RefusalError: What it refuses.
        """
        answer = await self.api.call(self.request, Ask("GET", path, at, query=query))
        return answer.content

    async def act(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        at: Mapping[str, str] | None = None,
        text: str | None = None,
        key: str | None = None,
    ) -> Any:
        """Ask an operation to do something, with the form's CSRF token and its once-only key.

        Args:
            text: A body of plain text.
            key: Another once-only key than the form's, where one form does several things; empty for none.

        Raises:
            RefusalError: What it refuses.
        """
        key = self.exactly(KEY_FIELD) if key is None else key
        answer: Answer = await self.api.call(
            self.request,
            Ask(method, path, at, query=None, body=body, text=text, csrf=self.exactly(CSRF_FIELD), key=key),
        )
        self.cookies += answer.cookies
        return answer.content

    async def prove(self) -> None:
        """Pass on the proof of identity that a form brought with it, where it brought one.

        Raises:
            RefusalError: It is wrong, or tried too often.
        """
        proof = self.exactly(PROOF_FIELD)
        if proof and self.who is not None:
            member = "code" if self.who["has_second_factor"] else "password"
            await self.act("POST", "/admin/api/session/proof", {member: proof}, key="")

    def ask_for_proof(self, refusal: RefusalError) -> Response:
        """Show the form that asks for a proof and then sends what the person had typed, passwords excepted."""
        left_out = {CSRF_FIELD, KEY_FIELD, PROOF_FIELD}
        fields = [(name, value) for name, values in self.form.items() if name not in left_out for value in values]
        kept = [(name, value) for name, value in fields if name != "password"]
        return self._page("proof.html", refusal=refusal, kept=kept, has_password=len(kept) < len(fields))

    async def fetch(self, method: str, path: str, body: Mapping[str, Any], *, at: Mapping[str, str]) -> Response:
        """Return the file that an operation answers, to be passed on as it is.

        Raises:
            RefusalError: What it refuses.
        """
        ask = Ask(method, path, at, query=None, body=body, csrf=self.exactly(CSRF_FIELD))
        return (await self.api.call(self.request, ask)).response

    def say(self, sentence: str, **values: object) -> str:
        """Return a sentence of the pages in the visitor's language, with its gaps filled; a template escapes it."""
        return languages.said(on_page(sentence).filled(**values) if values else on_page(sentence), self.language)

    def show(
        self, template: str, *, status: int = 200, refusal: RefusalError | None = None, **values: object
    ) -> Response:
        """Return a page, or in its place the one that asks for a proof of identity."""
        if isinstance(refusal, StepUpRequiredError):
            return self.ask_for_proof(refusal)
        return self._page(template, status=status, refusal=refusal, **values)

    def _page(
        self, template: str, *, status: int = 200, refusal: RefusalError | None = None, **values: object
    ) -> Response:
        said = self.request.cookies.get(SAID_COOKIE, "")
        if said:
            self.set_cookie(SAID_COOKIE, "", max_age=0)
        context = {"visit": self, "refusal": refusal, "said": said, "key": secrets.token_urlsafe(18), **values}
        text = self.render(template, context)
        return self._finish(HTMLResponse(text, refusal.status if refusal else status, PAGE_HEADERS))

    def go(self, target: str, *, said: str = "") -> Response:
        """Send the browser on to another of our pages, which says what was done."""
        if said:
            self.set_cookie(SAID_COOKIE, said, max_age=_SAID_SECONDS)
        return self._finish(RedirectResponse(target, 303, PAGE_HEADERS))

    def remember_language(self, language: Language) -> None:
        """Let the browser keep a language for pages before signing in."""
        self.language = language
        self.set_cookie(LANGUAGE_COOKIE, str(language), max_age=_YEAR_SECONDS)

    def set_cookie(self, name: str, value: str, *, max_age: int) -> None:
        """Set a cookie that neither a script nor another site can read."""
        cookie: SimpleCookie = SimpleCookie({name: value})
        morsel = cookie[name]
        morsel["path"], morsel["httponly"], morsel["samesite"], morsel["max-age"] = "/admin", True, "Strict", max_age
        morsel["secure"] = self.request.url.scheme == "https"
        self.cookies.append(morsel.OutputString())

    def _finish(self, response: Response) -> Response:
        for cookie in self.cookies:
            response.headers.append("set-cookie", cookie)
        return response


PageHandler = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True)
class ConsolePage:
    """One method of one address of the console.

    Args:
        is_open: Whether it is for people who are not signed in, or have not finished their account.
    """

    method: str
    path: str
    handler: PageHandler
    is_open: bool = False
    most: int = 64 * 1024
