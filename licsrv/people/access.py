"""What sign-in, sessions and tokens work with: database, writer, keys, clock, password hashing, call limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from sqlmodel import Session

from licsrv.errors import ServiceUnavailableError, TooManyRequestsError
from licsrv.licensing.keyring import Keyring
from licsrv.people import credentials, passwords
from licsrv.platform.clock import Clock
from licsrv.platform.db import Database, reading
from licsrv.platform.writer import Writer

Result = TypeVar("Result")
_HASHES_AT_ONCE = max(1, (os.cpu_count() or 2) // 2)  # each takes a core and 19 MiB; the others are for other routes
_PROOFS_AT_ONCE = 16
_BUSY_SECONDS = 2
_WINDOW_SECONDS = 60


@dataclass(frozen=True)
class AccessSettings:
    """How people sign in and how often they and programs may call.

    Args:
        idle: How long a session may go unused.
        longest: How long a session lasts at most.
        calls_per_minute: How many calls one person or token may make.
        totp_required: Whether every account needs a second factor.
        issuer: How the authenticator app calls this server.
        public_url: The address under which browsers reach this server; empty where it is the one they name.
        step_up: For how long a proof of identity counts for what gives away access.
    """

    idle: timedelta
    longest: timedelta
    calls_per_minute: int
    totp_required: bool
    issuer: str
    public_url: str = ""
    step_up: timedelta = timedelta(minutes=5)


class Access:
    """Database, writer, keys, clock and settings, with limits on hashing and on calls."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        keyring: Callable[[], Keyring],
        settings: AccessSettings,
        clock: Clock,
    ) -> None:
        self.database = database
        self.writer = writer
        self.settings = settings
        self.clock = clock
        self._keyring = keyring
        self._hashing = CapacityLimiter(_HASHES_AT_ONCE)
        self._proofs = 0
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rate = RateLimitItemPerMinute(settings.calls_per_minute)

    def key_for(self, use: str) -> bytes:
        """Return the key for one use; see :func:`licsrv.people.credentials.key_for`."""
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

    @contextmanager
    def proving(self) -> Iterator[None]:
        """Take one of the few turns for proving a password, before anything is counted or hashed.

        A password is slow to hash on purpose. Without a bound, a few hundred sign-ins at once keep everyone waiting.

        Raises:
            ServiceUnavailableError: Every turn is taken.
        """
        if self._proofs >= _PROOFS_AT_ONCE:
            raise ServiceUnavailableError(
                "Too many people sign in at once; nothing was changed.",
                action="Try again in a moment.",
                retry_after=_BUSY_SECONDS,
            )
        self._proofs += 1
        try:
            yield
        finally:
            self._proofs -= 1

    async def count_call(self, caller: str) -> None:
        """Count a call of a caller.

        Raises:
            TooManyRequestsError: More calls than allowed within the last minute; ``Retry-After`` says when to retry.
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
