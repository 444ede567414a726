"""What the outbox carries: one frozen class for each kind of message. Pure.

The classes are here, at the bottom, because rooms of several ranks enqueue (heartbeats, marketplace). They say what is
wanted, in our own words; how a kind is delivered, and in whose language, is the business of the room that registers a
deliverer for it.

``KIND`` and the names of the members are stored. Rows written by the version before are read, so a member may be added
with a default and none may be renamed; members that a newer version wrote are ignored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, ClassVar, Self

from pydantic import TypeAdapter, ValidationError

from licsrv.errors import UnreadableMessageError


@dataclass(frozen=True)
class Message:
    """A message about a license. Messages with one ``ordering_key`` are delivered in the order of their rows."""

    KIND: ClassVar[str]

    license_id: str

    @property
    def ordering_key(self) -> str:
        """What keeps messages in their order: the license they are about."""
        return self.license_id

    def payload(self) -> dict[str, object]:
        """Return what is stored, as JSON values; the ordering key has a column of its own."""
        members: dict[str, object] = _adapter(type(self)).dump_python(self, mode="json")
        del members["license_id"]
        return members

    @classmethod
    def read(cls, ordering_key: str, payload: str) -> Self:
        """Read a stored message.

        Args:
            ordering_key: As stored.
            payload: The JSON text as stored.

        Raises:
            UnreadableMessageError: It is no message of this kind; says why in one line, without the values.
        """
        try:
            members = json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise UnreadableMessageError("the stored message is not JSON") from error
        if not isinstance(members, dict):
            raise UnreadableMessageError("the stored message is not a JSON object")
        try:
            message: Self = _adapter(cls).validate_python({**members, "license_id": ordering_key})
        except ValidationError as error:
            raise UnreadableMessageError(_why(error)) from error
        return message


_adapters: dict[type[Message], TypeAdapter[Any]] = {}


def _adapter(kind: type[Message]) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _why(error: ValidationError) -> str:
    wrong = error.errors(include_url=False, include_input=False, include_context=False)
    members = ", ".join(sorted({str(one["loc"][0]) for one in wrong if one["loc"]}))
    return f"the stored message cannot be read: {members} missing or wrong"


@dataclass(frozen=True)
class ActivateLicense(Message):
    """Activate a code that runs provisionally, or that only its seller does not call activated."""

    KIND = "activate_license"

    code: str = field(kw_only=True)


@dataclass(frozen=True)
class QueryLicense(Message):
    """Ask the authority for its word on a code."""

    KIND = "query_license"

    code: str = field(kw_only=True)


@dataclass(frozen=True)
class QueryOrder(Message):
    """Ask what was bought with an order line.

    ``license_id`` is empty where the order alone is known; then its messages are ordered by the order. ``code`` names
    the license that the answer changes, and is empty where there is none. ``is_optional``: a refusal settles it,
    because another question settles the license.
    """

    KIND = "query_order"

    code: str = field(kw_only=True)
    order_id: str = field(kw_only=True)
    order_line_id: str = field(kw_only=True)
    is_optional: bool = field(default=False, kw_only=True)

    @property
    def ordering_key(self) -> str:
        """The license, or the order where no license is known."""
        return self.license_id or self.order_id

    def payload(self) -> dict[str, object]:
        """Return what is stored; ``is_optional`` only where it is true, which the version before does not know."""
        return {name: value for name, value in super().payload().items() if name != "is_optional" or value}

    @classmethod
    def read(cls, ordering_key: str, payload: str) -> Self:
        """Read a stored message; see :meth:`Message.read`."""
        message = super().read(ordering_key, payload)
        return replace(message, license_id="") if message.order_id == ordering_key else message


@dataclass(frozen=True)
class ReportUsage(Message):
    """Report that a client used a code on a day."""

    KIND = "report_usage"

    code: str = field(kw_only=True)
    client_id: str = field(kw_only=True)
    day: date = field(kw_only=True)


@dataclass(frozen=True)
class UploadLicense(Message):
    """Send the license that an event asked for: as a file where ``file_name`` is set, else as text.

    ``sealed`` is the license, encrypted.
    """

    KIND = "upload_license"

    event_id: str = field(kw_only=True)
    file_name: str | None = field(kw_only=True)
    sealed: str = field(kw_only=True, repr=False)
