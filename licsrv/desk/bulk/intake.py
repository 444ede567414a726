"""Taking in a list: its body is read up to a limit, its lines are looked up and kept a few hundred at a time.

An upload that breaks off leaves a draft; the next one starts again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

from sqlmodel import Session

from licsrv.desk.bulk import jobs, uploaded_list
from licsrv.desk.bulk.jobs import Check
from licsrv.desk.bulk.uploaded_list import Entry
from licsrv.errors import BodyTooLargeError, InvalidRequestError, UnsupportedMediaTypeError
from licsrv.people.actors import Actor
from licsrv.platform.clock import Clock

TYPES = ("text/csv", "text/plain")
_GROUP = 500
_DRAINED = 4 * uploaded_list.MOST_BYTES

Result = TypeVar("Result")


class Storage(Protocol):
    """Where look-ups and changes run: a call of the desk, or a command."""

    async def read(self, use_case: Callable[[Session], Result]) -> Result:
        """Run a look-up."""

    async def change(self, use_case: Callable[[Session], Result]) -> Result:
        """Run a use case that changes something."""


def require_list(content_type: str) -> None:
    """Refuse a body that does not say it is a list.

    Raises:
        UnsupportedMediaTypeError: It is neither text nor CSV.
    """
    if content_type.partition(";")[0].strip().lower() not in TYPES:
        raise UnsupportedMediaTypeError(
            "The body must be a list, as text or CSV.", action="Send the header Content-Type: text/csv."
        )


async def body_of(stream: AsyncIterator[bytes]) -> bytes:
    """Read a list's bytes as they come; of a longer one read on for a while, so that its sender gets the refusal.

    Raises:
        BodyTooLargeError: It is longer than 16 MiB.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size <= uploaded_list.MOST_BYTES:
            chunks.append(chunk)
        elif size > _DRAINED:
            break
    if size > uploaded_list.MOST_BYTES:
        raise BodyTooLargeError(f"A list has at most {uploaded_list.MOST_BYTES} bytes.", action="Split it.")
    return b"".join(chunks)


async def take_in(storage: Storage, job_id: str, raw: bytes, *, actor: Actor, clock: Clock) -> Check:
    """Give a job its list, in place of the one it has, with its dry run.

    Raises:
        InvalidRequestError: The list is empty, too long, or cannot be read; the job keeps the list it had.
        ConflictError: The job was started, or another list of it is being uploaded.
        ForbiddenError: It belongs to another person.
    """
    groups = await asyncio.to_thread(_groups_of, raw)
    now = clock.now()
    check = await storage.change(lambda session: jobs.begin_list(session, job_id, actor=actor, now=now))
    for group in groups:
        rows = await storage.read(partial(check.rows, entries=group))
        await storage.change(partial(jobs.keep_rows, check=check, rows=rows))
    await storage.change(partial(jobs.finish_list, check=check, now=now))
    return check


def _groups_of(raw: bytes) -> list[Sequence[Entry]]:
    entries = uploaded_list.read(raw)
    groups: list[Sequence[Entry]] = []
    while group := tuple(islice(entries, _GROUP)):
        groups.append(group)
    if not groups:
        raise InvalidRequestError("The list is empty.", action="Send one code or license id in each line.")
    return groups
