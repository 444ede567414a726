"""What one process has: the runtime that the parts share, and the keyring as it is on disk."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import httpx2

from licsrv.desk.bulk.runner import BulkRunner
from licsrv.errors import KeyringError
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Keyring
from licsrv.marketplace.open_api.guarded import GuardedOpenApi
from licsrv.marketplace.reconciliation.runner import Reconciler
from licsrv.outbox.worker import Worker
from licsrv.platform import logs
from licsrv.platform.clock import Clock
from licsrv.platform.config import Settings
from licsrv.platform.db import Database
from licsrv.platform.metrics import Metrics
from licsrv.platform.writer import Writer
from licsrv.seats.presence import Replica

_STOP_SECONDS = 10.0
_log = logs.logger(__name__)


class KeyringReader:
    """The keyring as it is on disk: read again when the folder changes, so a new key signs without a restart."""

    def __init__(self, folder: KeyFolder) -> None:
        self._folder = folder
        self._stamp: object = folder.stamp()
        self._keyring = folder.read()

    def __call__(self) -> Keyring:
        """Return the keyring as last read."""
        return self._keyring

    def read_again(self) -> None:
        """Let the next :meth:`refresh` read the folder, whether it changed or not."""
        self._stamp = None

    async def refresh(self) -> None:
        """Read the folder again if it changed; a damaged folder leaves the keys as they were, and is logged."""
        stamp = self._folder.stamp()
        if stamp == self._stamp:
            return
        try:
            self._keyring = await asyncio.to_thread(self._folder.read)
        except KeyringError:
            _log.exception("keys cannot be read again; the known ones stay in use")
            return
        self._stamp = stamp
        _log.info("keys read again")


@dataclass
class Runtime:
    """Everything one process needs."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    database: Database
    writer: Writer
    keyring: KeyringReader
    http: httpx2.AsyncClient
    api: GuardedOpenApi
    worker: Worker
    reconciler: Reconciler
    bulk: BulkRunner
    replica: Replica = field(default_factory=Replica)
    background: list[asyncio.Task[None]] = field(default_factory=list)

    async def close(self) -> None:
        """Finish what was accepted, then let go of everything."""
        for task in self.background:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.reconciler.close()
        await self.bulk.close()
        await self.worker.finish(_STOP_SECONDS)
        await asyncio.to_thread(self.writer.close)
        await self.http.aclose()
        self.database.dispose()
