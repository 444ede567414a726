"""This API, described: the OpenAPI document and the page for people, made at the first request for them.

Making them takes longer than everything else at the start of a process, and most processes are never asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from licsrv.platform import docs_page, openapi
from licsrv.platform.openapi import Operation, SecurityScheme


class Documentation:
    """``GET /openapi.json`` and ``GET /docs`` of these operations; they do not describe themselves."""

    def __init__(
        self,
        operations: Sequence[Operation],
        *,
        title: str,
        version: str,
        security_schemes: Mapping[str, SecurityScheme],
    ) -> None:
        self._operations = tuple(operations)
        self._title = title
        self._version = version
        self._security_schemes = security_schemes

    def operations(self) -> Sequence[Operation]:
        """Return the operations of this module."""
        return (
            Operation("GET", "/openapi.json", "This API, OpenAPI 3.1", tag="operations", handler=self.openapi_json),
            Operation(
                "GET", "/docs", "This API, for people", tag="operations", handler=self.docs, media_type="text/html"
            ),
        )

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document; made once."""
        return openapi.document(
            self._operations, title=self._title, version=self._version, security_schemes=self._security_schemes
        )

    @cached_property
    def page(self) -> str:
        """The page made of it; made once."""
        return docs_page.render(self.document)

    async def openapi_json(self, _: Request) -> Response:
        """Answer ``GET /openapi.json``."""
        return JSONResponse(await asyncio.to_thread(lambda: self.document))

    async def docs(self, _: Request) -> Response:
        """Answer ``GET /docs``."""
        page = await asyncio.to_thread(lambda: self.page)
        return HTMLResponse(page, headers={"Content-Security-Policy": docs_page.CONTENT_SECURITY_POLICY})
