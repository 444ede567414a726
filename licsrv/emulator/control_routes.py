"""The control API's frame: reading input strictly, answering JSON, and one sentence for every refusal.

Which routes there are is decided by ``control.py`` and by the product lines.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from licsrv.emulator.errors import ControlError
from licsrv.emulator.json_text import MAX_BYTES, parse_object
from licsrv.emulator.moments import parse_any

PREFIX = "/control"

Choice = TypeVar("Choice", bound=StrEnum)


class Ask:
    """One control call: values of the path, and the members of the JSON body (or of a GET's query)."""

    def __init__(self, path_values: Mapping[str, str], members: Mapping[str, object]) -> None:
        self.path_values = path_values
        self._members = members
        self._known: set[str] = set()

    def has(self, name: str) -> bool:
        """Say whether the member is there and not null."""
        return self.raw(name) is not None

    def raw(self, name: str) -> object:
        """Return a member as it came, None when absent."""
        self._known.add(name)
        return self._members.get(name)

    def text(self, name: str, longest: int = 1000) -> str | None:
        """Return an optional text."""
        value = self.raw(name)
        if value is not None and (not isinstance(value, str) or len(value) > longest):
            raise ControlError(f"{name} must be a text of at most {longest} characters")
        return value

    def boolean(self, name: str) -> bool | None:
        """Return an optional true or false."""
        value = self.raw(name)
        if value is not None and not isinstance(value, bool):
            raise ControlError(f"{name} must be true or false")
        return value

    def integer(self, name: str) -> int | None:
        """Return an optional whole number."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise ControlError(f"{name} must be a whole number")
        return value

    def number(self, name: str, limit: float) -> float | None:
        """Return an optional number between ``-limit`` and ``limit``."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not -limit <= value <= limit:
            raise ControlError(f"{name} must be a number between {-limit:g} and {limit:g}")
        return float(value)

    def moment(self, name: str) -> datetime | None:
        """Return an optional moment: RFC 3339, or ``yyyyMMddHHmmss`` in UTC."""
        text = self.text(name, 40)
        if text is None:
            return None
        try:
            return parse_any(text)
        except ValueError as error:
            raise ControlError(f"{name} must be a moment such as 2026-01-02T15:35:55Z") from error

    def choice(self, name: str, words: type[Choice]) -> Choice | None:
        """Return an optional member of an enumeration."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return words(text)
        except ValueError as error:
            raise ControlError(f"{name} must be one of {', '.join(words)}") from error

    def given(self, **values: object) -> dict[str, object]:
        """Return the values that are not None: members the caller left to their defaults are left out."""
        return {name: value for name, value in values.items() if value is not None}

    def finish(self) -> None:
        """Refuse unknown members: a typing mistake must not become a silent default."""
        unknown = sorted(set(self._members) - self._known)
        if unknown:
            known = ", ".join(sorted(self._known)) or "none"
            raise ControlError(f"unknown member {unknown[0][:60]!r}; known here: {known}")


Handler = Callable[[Ask], Awaitable[object]]


@dataclass(frozen=True)
class ControlRoute:
    """One route of the control API.

    Args:
        method: HTTP method.
        path: Below ``PREFIX``, in Starlette's notation.
        summary: What it does and which members it takes, for the help.
        handler: Does it and returns what is answered as JSON.
        status: HTTP status of success.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    status: int = 200

    def mounted(self) -> Route:
        """Return the route for the application."""
        return Route(PREFIX + self.path, self._answer, methods=[self.method])

    async def _answer(self, request: Request) -> JSONResponse:
        # A GET has its members in the query; every other method has a JSON body.
        members = (
            dict(request.query_params) if request.method in {"GET", "HEAD"} else parse_members(await read_body(request))
        )
        ask = Ask(dict(request.path_params), members)
        return JSONResponse(await self.handler(ask), status_code=self.status)


def get(path: str, summary: str, handler: Handler) -> ControlRoute:
    """Return a route that shows something."""
    return ControlRoute("GET", path, summary, handler=handler)


def post(path: str, summary: str, handler: Handler, *, status: int = 200) -> ControlRoute:
    """Return a route that does something."""
    return ControlRoute("POST", path, summary, handler=handler, status=status)


def delete(path: str, summary: str, handler: Handler) -> ControlRoute:
    """Return a route that takes something away."""
    return ControlRoute("DELETE", path, summary, handler=handler)


def shown_path(route: ControlRoute) -> str:
    """Return a route's path as people write it, without converters."""
    return PREFIX + re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)


def parse_members(content: bytes) -> dict[str, object]:
    """Return the members of a JSON body; none for an empty one.

    Raises:
        ControlError: It is no JSON object.
    """
    if not content.strip():
        return {}
    try:
        return parse_object(content)
    except ValueError as error:
        raise ControlError(f"the body must be one JSON object: {error}"[:300]) from error


async def read_body(request: Request) -> bytes:
    """Return a body.

    Raises:
        ControlError: It is too long.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BYTES:
            raise ControlError(f"the body is longer than {MAX_BYTES} bytes", status=413)
    return bytes(content)
