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

    DOCUMENTED_ORDER = "documented_order"
    """Compact, the members in the order of the documents; the signature covers the compact sorted form."""


class UnsubscribeNames(StrEnum):
    """Which order ``UNSUBSCRIBE_RENEWAL_PERIOD`` of an online license names (the documents disagree)."""

    RENEWAL = "renewal"
    """The renewal that is undone, as the License page says."""

    UNSUBSCRIBE = "unsubscribe"
    """The unsubscribe order itself, as the SaaS 2.0 page says."""


ORDER_SUCCESS_CODES = ("MKT.0000", "CBC.0000")


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
        upload_time_limit: How long the upload of a license is awaited, in real time.
        unsubscribe_names: Which order the undoing of an online license's renewal names.
        order_success_code: What an order query answers success with, ``MKT.0000`` or ``CBC.0000``.
        available_as_boolean: ISCDesk's ``UpgradeNotice`` says ``true`` instead of ``"true"``.
        ends_with_milliseconds: ``expireTime`` of ``refreshInstance`` has seventeen digits, as in the example.
        probes_by_itself: Replay the saved debug cases twice a day.
        order_errors_as_error_code: Refused order queries carry ``error_code`` instead of ``resultCode``.

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
    upload_time_limit: timedelta = timedelta(minutes=10)
    unsubscribe_names: UnsubscribeNames = UnsubscribeNames.RENEWAL
    order_success_code: str = "MKT.0000"
    order_errors_as_error_code: bool = False
    available_as_boolean: bool = False
    probes_by_itself: bool = False
    ends_with_milliseconds: bool = False

    def __post_init__(self) -> None:
        require_http_url(self.callback_url)
        if not (math.isfinite(self.speed) and self.speed > 0):
            raise ValueError(f"speed must be a number above 0, not {self.speed}")
        if self.callback_tries < 1:
            raise ValueError(f"callback_tries must be at least 1, not {self.callback_tries}")
        if not timedelta(0) < self.upload_time_limit <= timedelta(days=1):
            raise ValueError(f"upload_time_limit must be above 0 and at most a day, not {self.upload_time_limit}")
        if self.order_success_code not in ORDER_SUCCESS_CODES:
            raise ValueError(f"order_success_code must be one of {', '.join(ORDER_SUCCESS_CODES)}")
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
