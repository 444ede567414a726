"""The desk: what every operation of people and programs works with. It decides nothing about them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta, tzinfo
from functools import partial
from typing import TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from sqlmodel import Session

from licsrv.admin import credentials, passwords
from licsrv.admin.support.tools import SupportTools
from licsrv.errors import TooManyRequestsError
from licsrv.licensing.keyring import Keyring
from licsrv.platform.clock import Clock
from licsrv.platform.db import Database, reading
from licsrv.platform.writer import Writer

Result = TypeVar("Result")
_HASHES_AT_ONCE = 2  # each takes a core and 19 MiB
_WINDOW_SECONDS = 60


@dataclass(frozen=True)
class DeskSettings:
    """The settings of the desk.

    Args:
        idle: How long a session may go unused.
        longest: How long a session lasts at most.
        calls_per_minute: How many calls one person or token may make.
        totp_required: Whether everybody needs a second factor.
        issuer: How the authenticator app calls us.
        public_url: The address under which browsers reach us; empty where it is the one they name.
        bulk_approval_above: Bulk work on more licenses than this waits for a second person.
        day_zone: Whose days the reports count in.
    """

    idle: timedelta
    longest: timedelta
    calls_per_minute: int
    totp_required: bool
    issuer: str
    public_url: str = ""
    bulk_approval_above: int = 100
    day_zone: tzinfo = UTC


class Desk:
    """Database, writer, keys, clock and settings of the desk, and its limits of what runs at once."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        keyring: Callable[[], Keyring],
        settings: DeskSettings,
        clock: Clock,
        support: SupportTools,
    ) -> None:
        self.support = support
        self.database = database
        self.writer = writer
        self.settings = settings
        self.clock = clock
        self._keyring = keyring
        self._hashing = CapacityLimiter(_HASHES_AT_ONCE)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rate = RateLimitItemPerMinute(settings.calls_per_minute)

    def key_for(self, use: str) -> bytes:
        """Return the key for one use; see :func:`licsrv.admin.credentials.key_for`."""
        return credentials.key_for(use, server_secret=self._keyring().device_key)

    async def read(self, use_case: Callable[[Session], Result]) -> Result:
        """Run a look-up in a thread of its own."""
        return await asyncio.to_thread(self._read, use_case)

    def _read(self, use_case: Callable[[Session], Result]) -> Result:
        with reading(self.database) as session:
            return use_case(session)

    async def hash_password(self, password: str) -> str:
        """Hash a password without holding up the event loop."""
        return await anyio.to_thread.run_sync(passwords.hash_password, password, limiter=self._hashing)

    async def is_password(self, password: str, phc: str | None) -> bool:
        """Compare a password with a hash, or with none, in the same time."""
        return await anyio.to_thread.run_sync(partial(passwords.is_password, password, phc), limiter=self._hashing)

    async def count_call(self, caller: str) -> None:
        """Count a call of somebody.

        Raises:
            TooManyRequestsError: They called too often within the last minute; ``Retry-After`` says when to come back.
        """
        if await self._limiter.hit(self._rate, "admin", caller):
            return
        raise TooManyRequestsError(
            f"More than {self.settings.calls_per_minute} calls within a minute.",
            action="Wait as long as Retry-After says.",
            retry_after=await self._wait(caller),
        )

    async def _wait(self, caller: str) -> int:
        """Return the seconds until the oldest call of the last minute no longer counts; a whole minute at most."""
        stats = await self._limiter.get_window_stats(self._rate, "admin", caller)
        wait = stats.reset_time - self._seconds()
        return min(max(int(wait) + 1, 1), _WINDOW_SECONDS)

    def _seconds(self) -> float:
        return Clock().now().timestamp()  # the limiter has the machine's clock, whatever a test does with ours
