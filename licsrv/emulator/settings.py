"""What can be chosen about the emulated marketplace; it reads no environment and no file.

Where the documents leave a gap, the reading taken is the default here and the other readings can be selected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from urllib.parse import urlsplit


class FrozenReading(StrEnum):
    """What a query says about a frozen code (GAP in protocol/authorization-code.md §1.4)."""

    EXPIRED = "EXPIRED"
    ALIVE = "ALIVE"


class BodyForm(StrEnum):
    """How the body of a callback is written, and which bytes its signature covers (protocol §6.3)."""

    CANONICAL = "canonical"
    """Compact and sorted, as every published example; signed as sent."""

    LOOSE = "loose"
    """Unsorted and with blanks; signed as sent."""

    LOOSE_SIGNED_CANONICALLY = "loose_signed_canonically"
    """Unsorted and with blanks; the signature covers the compact sorted form, as in the marketplace's sample."""


@dataclass(frozen=True)
class EmulatorSettings:
    """The emulated marketplace's side of the contract.

    Args:
        callback_url: The merchant's production URL; receives every callback.
        access_key: The callback access key (protocol §6.1), shared with the merchant's server.
        ak: Access key id of the merchant's open API key pair.
        sk: Its secret key.
        speed: Retry intervals and late deliveries are divided by this.
        frozen_reads_as: What a query says about a frozen code.
        legacy_http_status: Answer business errors with the HTTP statuses of the older error table (protocol §3.1).
        heartbeat_info_required: Demand ``heartbeatInfo``, as the older text does (protocol §2.3).
        body_form: How callbacks are written.
        callback_time_limit: How long one callback may take.
        callback_retry_interval: The pause between two tries of a callback, before ``speed``.
        callback_tries: How often a callback is tried in all.

    Raises:
        ValueError: The URL is not http(s), or a number makes no sense.
    """

    callback_url: str = "http://127.0.0.1:8000/marketplace/callback"
    access_key: str = field(default="demo-callback-access-key", repr=False)
    ak: str = "DEMOAK"
    sk: str = field(default="demo-secret-key", repr=False)
    speed: float = 1.0
    frozen_reads_as: FrozenReading = FrozenReading.EXPIRED
    legacy_http_status: bool = False
    heartbeat_info_required: bool = False
    body_form: BodyForm = BodyForm.CANONICAL
    callback_time_limit: timedelta = timedelta(seconds=5)
    callback_retry_interval: timedelta = timedelta(minutes=2)
    callback_tries: int = 60

    def __post_init__(self) -> None:
        require_http_url(self.callback_url)
        if not (math.isfinite(self.speed) and self.speed > 0):
            raise ValueError(f"speed must be a number above 0, not {self.speed}")
        if self.callback_tries < 1:
            raise ValueError(f"callback_tries must be at least 1, not {self.callback_tries}")
        if not (self.ak and self.sk and self.access_key):
            raise ValueError("ak, sk and access_key must not be empty")

    def sped_up(self, span: timedelta) -> float:
        """Return how many real seconds ``span`` lasts at this speed."""
        return span.total_seconds() / self.speed


def require_http_url(url: str) -> None:
    """Accept an http(s) URL with a host and without a fragment.

    Raises:
        ValueError: It is something else.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isprintable() or parts.fragment:
        raise ValueError(f"not an http(s) URL: {url!r}")
    _ = parts.port  # urlsplit checks the port only when it is read, and raises ValueError itself
