"""The desk: access for staff and programs, and what their operations work with. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta, tzinfo

from licsrv.desk.tools import SupportTools
from licsrv.licensing.keyring import Keyring
from licsrv.people.access import Access, AccessSettings
from licsrv.platform.clock import Clock
from licsrv.platform.db import Database
from licsrv.platform.writer import Writer


@dataclass(frozen=True)
class DeskSettings(AccessSettings):
    """The settings of the desk.

    Args:
        bulk_approval_above: Bulk work on more licenses than this waits for a second person.
        day_zone: Whose days the reports count in.
        approver_wait: For how long a new approver, or one with new credentials, cannot approve bulk work.
    """

    bulk_approval_above: int = 100
    day_zone: tzinfo = UTC
    approver_wait: timedelta = timedelta()


class Desk(Access):
    """Access, and the tools of support."""

    settings: DeskSettings

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
        super().__init__(database, writer, keyring=keyring, settings=settings, clock=clock)
        self.support = support
