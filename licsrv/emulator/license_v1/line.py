"""License 1.0 at work: licenses bought, renewed, ended and released, each by a signed GET.

Known gaps and what is taken: the optional fields of ``getLicense`` after ``amount`` are not sent; ``expireLicense`` has
the fields of ``releaseLicense``; ``getLicense`` is called at once and then hourly for 3 h, the others once.

Source: protocol/online-license-and-sdk.md §7.1 and §7.2.
"""

from __future__ import annotations

import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from licsrv.emulator.clock import MovableClock, require_in_calendar
from licsrv.emulator.deliveries import Delivery, DeliveryState, Message
from licsrv.emulator.errors import ControlError
from licsrv.emulator.moments import compact, rfc3339
from licsrv.emulator.periods import PeriodType, after
from licsrv.emulator.sending import SendMessage
from licsrv.emulator.settings import EmulatorSettings

ALPHABET = string.ascii_uppercase + string.digits
GET_LICENSE_TRIES = 4
GET_LICENSE_INTERVAL = timedelta(hours=1)
LONGEST_LICENSE = 60_000


@dataclass(frozen=True)
class Terms:
    """What is bought or renewed.

    Args:
        product_id: Differs by period type.
        sku_code: Stays when the period type changes.
        customer_id: Who buys.
        customer_name: The same, for people.
        amount: How much of it; None leaves the field out.
        period_type: By year or by month; None for a product that is paid once.
        period_number: How many periods.
        expires_at: The end, instead of counting periods.

    Raises:
        ControlError: A value makes no sense.
    """

    product_id: str = "00301-666688-0-0"
    sku_code: str = "SKU-STANDARD"
    customer_id: str = "688055f1aa90f1858"
    customer_name: str = "demo-customer"
    amount: int | None = None
    period_type: PeriodType | None = PeriodType.YEAR
    period_number: int = 1
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.product_id) <= 64 or not 1 <= len(self.customer_id) <= 100:
            raise ControlError("product_id must have 1 to 64 characters, customer_id 1 to 100")
        if self.period_type is PeriodType.DAY:
            raise ControlError("period_type must be year or month")
        if self.expires_at is not None:
            require_in_calendar(self.expires_at)

    def end_from(self, start: datetime) -> datetime | None:
        """Return the end of what begins at ``start``; None when it never ends."""
        if self.expires_at is not None or self.period_type is None:
            return self.expires_at
        return after(start, self.period_type, self.period_number)


@dataclass
class LicenseV1:
    """A purchase and the license the merchant gave for it."""

    order_id: str
    terms: Terms
    bought_at: datetime
    expires_at: datetime | None
    instance_id: str | None = None
    license: str | None = None
    expired_at: datetime | None = None
    released_at: datetime | None = None
    problems: list[str] = field(default_factory=list)
    order_ids: list[str] = field(default_factory=list)

    def view(self) -> dict[str, object]:
        """Describe it for the control API."""
        return {
            "order_id": self.order_id,
            "order_ids": [self.order_id, *self.order_ids],
            "instance_id": self.instance_id,
            "license": self.license,
            "product_id": self.terms.product_id,
            "bought_at": rfc3339(self.bought_at),
            "expires_at": _moment(self.expires_at),
            "expired_at": _moment(self.expired_at),
            "released_at": _moment(self.released_at),
            "problems": list(self.problems),
        }


class LicensesV1:
    """Every License 1.0 of the emulated marketplace.

    Args:
        settings: Gives the settings of the moment.
        clock: The marketplace's clock.
        send: Carries messages to the merchant.
    """

    def __init__(self, settings: Callable[[], EmulatorSettings], clock: MovableClock, send: SendMessage) -> None:
        self._settings = settings
        self._clock = clock
        self._send = send
        self._licenses: dict[str, LicenseV1] = {}

    def all(self) -> list[LicenseV1]:
        """Return every license, the oldest first."""
        return list(self._licenses.values())

    def get(self, order_id: str) -> LicenseV1:
        """Return the license of a purchase.

        Raises:
            ControlError: There is none.
        """
        if order_id not in self._licenses:
            raise ControlError(f"there is no order {order_id}", status=404)
        return self._licenses[order_id]

    def forget(self) -> None:
        """Forget every license."""
        self._licenses.clear()

    def buy(self, terms: Terms, *, order_id: str | None = None) -> tuple[LicenseV1, Delivery]:
        """Place an order and ask the merchant for its license.

        Raises:
            ControlError: The order exists (409), or its id makes no sense (400).
        """
        now = self._clock.now()
        bought = LicenseV1(self._new_order_id(order_id), terms=terms, bought_at=now, expires_at=terms.end_from(now))
        self._licenses[bought.order_id] = bought
        return bought, self._ask(bought)

    async def ask(self, order_id: str) -> Delivery:
        """Send ``getLicense`` once more; the merchant must answer the same license."""
        return self._ask(self.get(order_id))

    async def renew(self, order_id: str, terms: Terms, *, renewal_id: str | None = None) -> Delivery:
        """Renew under a new order.

        Raises:
            ControlError: No such order (404); released, without an instance, or without an end (409).
        """
        found = self._usable(order_id)
        end = terms.end_from(max(found.expires_at or self._clock.now(), self._clock.now()))
        if end is None:
            raise ControlError("a renewal needs a period_type or an expire_time", status=409)
        renewal = self._new_order_id(renewal_id)
        found.expires_at = end
        found.order_ids.append(renewal)
        period = {} if terms.period_type is None else {"periodType": terms.period_type.value}
        number = {"periodNumber": str(terms.period_number)} if period else {}
        changed = {"productId": terms.product_id, "expireTime": compact(end)}
        names = {"activity": "refreshLicense", "orderId": renewal, "instanceId": found.instance_id or ""}
        return self._send(self._message(names | changed | period | number))

    async def expire(self, order_id: str) -> Delivery:
        """Report that the license has ended.

        Raises:
            ControlError: No such order (404); released, or without an instance (409).
        """
        found = self._usable(order_id)
        found.expired_at = self._clock.now()
        return self._send(self._message(self._end("expireLicense", found)))

    async def release(self, order_id: str) -> Delivery:
        """Report that the license is released.

        Raises:
            ControlError: No such order (404); released, or without an instance (409).
        """
        found = self._usable(order_id)
        found.released_at = self._clock.now()
        return self._send(self._message(self._end("releaseLicense", found)))

    def _ask(self, license: LicenseV1) -> Delivery:
        def message() -> Message:
            return self._message(self._get_license(license), tries=GET_LICENSE_TRIES, required_member="license")

        return self._send(message(), watch=lambda delivery: _follow(license, delivery), remake=message)

    def _get_license(self, license: LicenseV1) -> dict[str, str]:
        """Return the parameters; the business id differs each time."""
        terms = license.terms
        optional = {
            "customerName": terms.customer_name or None,
            "skuCode": terms.sku_code or None,
            "expireTime": compact(license.expires_at) if license.expires_at else None,
            "periodType": terms.period_type.value if terms.period_type else None,
            "amount": None if terms.amount is None else str(terms.amount),
        }
        return {
            "activity": "getLicense",
            "businessId": str(uuid.uuid4()),
            "customerId": terms.customer_id,
            "orderId": license.order_id,
            "productId": terms.product_id,
        } | {name: value for name, value in optional.items() if value is not None}

    @staticmethod
    def _end(activity: str, license: LicenseV1) -> dict[str, str]:
        return {"activity": activity, "orderId": license.order_id, "instanceId": license.instance_id or ""}

    def _message(self, parameters: Mapping[str, str], *, tries: int = 1, required_member: str | None = None) -> Message:
        return Message(
            content=b"",
            signed_content=b"",
            activity=parameters["activity"],
            url=self._settings().callback_url,
            tries=tries,
            interval=GET_LICENSE_INTERVAL,
            parameters=parameters,
            required_member=required_member,
            required_longest=LONGEST_LICENSE,
        )

    def _usable(self, order_id: str) -> LicenseV1:
        found = self.get(order_id)
        if found.released_at or not found.instance_id:
            raise ControlError(f"{order_id} is released or has no instance", status=409)
        return found

    def _new_order_id(self, wanted: str | None) -> str:
        if wanted is None:
            return f"CS{self._clock.now():%y%m%d%H%M}{''.join(secrets.choice(ALPHABET) for _ in range(5))}"
        if not 1 <= len(wanted) <= 64 or not wanted.isprintable() or "/" in wanted or not wanted.strip("."):
            raise ControlError("order_id must be a text of 1 to 64 printable characters without a slash")
        if any(wanted in (each.order_id, *each.order_ids) for each in self._licenses.values()):
            raise ControlError(f"there is an order {wanted} already", status=409)
        return wanted


def _follow(license: LicenseV1, delivery: Delivery) -> None:
    """Take license and instance from the answer; another one on a repeat is a mistake that is written down."""
    if delivery.state is not DeliveryState.DELIVERED:
        return
    answer = next(each.result for each in reversed(delivery.attempts) if each.succeeded)
    text, instance_id = str(answer["license"]), answer.get("instanceId")
    named = instance_id if isinstance(instance_id, str) and len(instance_id) <= 64 else None
    if license.license not in {None, text} or license.instance_id not in {None, named}:
        license.problems.append("a repeat of getLicense was answered with another license or instanceId")
        return
    license.license, license.instance_id = text, named or None


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
