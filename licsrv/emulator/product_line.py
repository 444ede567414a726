"""What a product line brings along: open API operations and control routes; the shared parts know nothing else of it.

Adding a product line is one package with a class of this shape, and its name in ``Emulator.product_lines``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from licsrv.emulator.errors import OpenApiRefusedError
from licsrv.emulator.json_text import parse_object
from licsrv.emulator.open_api_codes import OpenApiCode

if TYPE_CHECKING:
    from licsrv.emulator.control_routes import ControlRoute

BASE_PATH = "/api/mkp-openapi-public/global"
"""Before every path of the open API (protocol/authorization-code.md §2.1)."""


@dataclass(frozen=True)
class Call:
    """A call of the open API that the gateway has let through.

    Args:
        path_values: Values of the placeholders in the operation's path.
        query: The query, raw.
        content_type: The header, as sent.
        content: The body.
        received_at: The marketplace's time.
    """

    path_values: Mapping[str, str]
    query: str
    content_type: str
    content: bytes
    received_at: datetime

    def json_object(self) -> dict[str, object]:
        """Return the JSON body.

        Raises:
            OpenApiRefusedError: The content type is not JSON (95000003), or the body is no JSON object (95000004).
        """
        if self.content_type.partition(";")[0].strip().lower() != "application/json":
            raise OpenApiRefusedError(OpenApiCode.CONTENT_TYPE_NOT_SUPPORTED)
        try:
            return parse_object(self.content)
        except ValueError as error:
            raise OpenApiRefusedError(OpenApiCode.NOT_READABLE, str(error)) from error


@dataclass(frozen=True)
class Operation:
    """One operation of the open API.

    Args:
        name: The word by which faults pick it; several versions of an operation share it.
        method: Its HTTP method.
        path: Its path below ``BASE_PATH``, in Starlette's notation.
        perform: Does the work and returns ``data`` of the answer, None for no such member.
    """

    name: str
    method: str
    path: str
    perform: Callable[[Call], Mapping[str, object] | None]


class ProductLine(Protocol):
    """The shape of a product line."""

    def operations(self) -> Sequence[Operation]:
        """Return its operations of the open API."""

    def control_routes(self) -> Sequence[ControlRoute]:
        """Return its routes of the control API."""

    def forget(self) -> None:
        """Forget everything that was bought and reported."""
