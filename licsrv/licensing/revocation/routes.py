"""The entrance for the revocation list: devices fetch it every day, and sites carry it on as a file.

It needs no authentication: an entry means nothing without the license. The texts of the present list are kept in
memory, as every device asks for one of a few.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from licsrv.errors import InvalidRequestError, ServiceUnavailableError
from licsrv.licensing.keyring import Keyring, Purpose
from licsrv.licensing.revocation import lists, store
from licsrv.licensing.revocation.lists import Edition
from licsrv.licensing.signing import SigningKey, b64
from licsrv.platform.clock import Clock
from licsrv.platform.db import Database, reading
from licsrv.platform.openapi import Operation

PATH = "/v1/revocations"
MEDIA_TYPE = "application/jose"
_CACHE_CONTROL = "public, max-age=300"
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_MOST_TEXTS = 16  # a whole list of 100,000 entries takes a megabyte, and so may a delta


@dataclass(frozen=True)
class _Text:
    """A signed list, and the entity tag by which its reader knows it again."""

    content: bytes
    etag: str


class RevocationRoutes:
    """The route of the list with all it needs."""

    def __init__(self, database: Database, keyring: Callable[[], Keyring], issuer: str, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._issuer = issuer
        self._clock = clock
        self._texts: OrderedDict[tuple[str, Edition], _Text] = OrderedDict()
        self._making = asyncio.Lock()

    def operations(self) -> Sequence[Operation]:
        """Return the operations."""
        return (
        Operation(
            "GET", PATH, "Get the signed revocation list, or what changed since a number of it", tag="licenses",
            handler=self.revocations, media_type=MEDIA_TYPE, query=("since",),
            refusals=(InvalidRequestError, ServiceUnavailableError),
            responses={"200": "JWS compact serialization; a request with its ETag gets 304 until it changes"},
        ),
        )  # fmt: skip

    async def revocations(self, request: Request) -> Response:
        """Answer ``GET /v1/revocations``."""
        since = _since(request.query_params.getlist("since"))
        key = self._keyring().signer(Purpose.LICENSE, now=self._clock.now())
        edition = await asyncio.to_thread(self._edition, since)

        text = self._known(key, edition)
        if text is None:
            async with self._making:  # of many that ask at once after a change, one makes the text
                text = self._known(key, edition) or await self._made(key, since)

        headers = {"ETag": text.etag, "Cache-Control": _CACHE_CONTROL}
        if _is_known_to(request.headers.get("if-none-match", ""), text.etag):
            return Response(status_code=304, headers=headers)
        return Response(text.content, headers=headers, media_type=MEDIA_TYPE)

    def _edition(self, since: int) -> Edition:
        with reading(self._database) as session:
            head = store.head(session)
        return store.edition(head, since=since, issuer=self._issuer, now=self._clock.now())

    def _known(self, key: SigningKey, edition: Edition) -> _Text | None:
        name = key.key_id, edition
        if name in self._texts:
            self._texts.move_to_end(name)
        return self._texts.get(name)

    async def _made(self, key: SigningKey, since: int) -> _Text:
        edition, text = await asyncio.to_thread(self._make, key, since)
        self._texts[key.key_id, edition] = text
        while len(self._texts) > _MOST_TEXTS:
            self._texts.popitem(last=False)
        return text

    def _make(self, key: SigningKey, since: int) -> tuple[Edition, _Text]:
        """Make the text of the present list, which may have more changes than the list that was asked for."""
        with reading(self._database) as session:
            head = store.head(session)
            edition = store.edition(head, since=since, issuer=self._issuer, now=self._clock.now())
            changes = store.changes_of(session, edition)
        content = lists.signed_list(edition, changes, key=key).encode("ascii")
        return edition, _Text(content, f'"{b64(hashlib.sha256(content).digest())}"')


def _since(given: Sequence[str]) -> int:
    """Read the number of the list that the reader holds; without one the whole list is meant.

    Raises:
        InvalidRequestError: It is no number, or there are several.
    """
    if not given:
        return 0
    if len(given) > 1 or not _NUMBER.fullmatch(given[0]):
        raise InvalidRequestError(
            "since must be the number of a revocation list.", action="Leave it out for the whole list."
        )
    return int(given[0])


def _is_known_to(if_none_match: str, etag: str) -> bool:
    """Whether the reader has this text already (RFC 9110 §13.1.2: tags compare weakly here)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags
