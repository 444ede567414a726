"""What a product line brings along: open API operations and control routes; the shared parts know nothing else of it.

Adding a product line is one package with a class of this shape, and its name in ``Emulator.product_lines``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from licsrv.emulator.errors import OpenApiRefusedError
from licsrv.emulator.json_text import parse_object
from licsrv.emulator.open_api_codes import WORDINGS, OpenApiCode, Wording

if TYPE_CHECKING:
    from starlette.routing import Route

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
class Dialect:
    """How an operation words its answers: the codes it knows, and the members that carry them.

    Args:
        wordings: Text and HTTP status of every code it knows.
        success: The code of success.
        wrong_method: The code for another HTTP method.
        code_member: The member with the code.
        message_member: The member with the text.
        failed_code_member: The same in a refusal, when it is called otherwise there.
        failed_message_member: The same in a refusal, when it is called otherwise there.
        nests: What an operation returns is in ``data``; otherwise its members are next to the code.
    """

    wordings: Mapping[StrEnum, Wording]
    success: StrEnum
    wrong_method: StrEnum
    code_member: str = "error_code"
    message_member: str = "error_msg"
    failed_code_member: str = "error_code"
    failed_message_member: str = "error_msg"
    nests: bool = True

    def envelope(self, code: StrEnum, message: str, data: Mapping[str, object] | None) -> dict[str, object]:
        """Return the members of an answer."""
        names = (self.code_member, self.message_member)
        if code is not self.success:
            names = (self.failed_code_member, self.failed_message_member)
        members: dict[str, object] = {names[0]: code.value, names[1]: message}
        if data is None:
            return members
        return members | ({"data": data} if self.nests else dict(data))


_LICENSE_DIALECT = Dialect(WORDINGS, OpenApiCode.SUCCESS, OpenApiCode.METHOD_NOT_SUPPORTED)


def license_dialect() -> Dialect:
    """Return how protocol/authorization-code.md §2.1 words answers."""
    return _LICENSE_DIALECT


@dataclass(frozen=True)
class Operation:
    """One operation of the open API.

    Args:
        name: The word by which faults pick it; several versions of an operation share it.
        method: Its HTTP method.
        path: Its path below ``BASE_PATH``, in Starlette's notation.
        perform: Does the work and returns ``data`` of the answer, None for no such member.
        dialect: Gives how answers are worded at the moment.
        body_may_be_unsigned: The signature may leave the body out (``UNSIGNED-PAYLOAD``).
    """

    name: str
    method: str
    path: str
    perform: Callable[[Call], Mapping[str, object] | None]
    dialect: Callable[[], Dialect] = license_dialect
    body_may_be_unsigned: bool = False


class ProductLine(Protocol):
    """The shape of a product line."""

    def operations(self) -> Sequence[Operation]:
        """Return its operations of the open API."""

    def control_routes(self) -> Sequence[ControlRoute]:
        """Return its routes of the control API."""

    def web_routes(self) -> Sequence[Route]:
        """Return its routes that belong neither to the open API nor to the control API."""

    def activities(self) -> Sequence[str]:
        """Return the activities of its callbacks, by which faults pick them."""

    def debug_cases(self) -> Mapping[str, Mapping[str, object]]:
        """Return a body with ``testFlag`` 1 for every scene, by the name of the scene."""

    def forget(self) -> None:
        """Forget everything that was bought and reported."""
