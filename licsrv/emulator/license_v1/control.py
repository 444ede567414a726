"""License 1.0's routes of the control API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from licsrv.emulator.control_routes import Ask, ControlRoute, Handler, get, post
from licsrv.emulator.deliveries import Delivery
from licsrv.emulator.license_v1.line import LicensesV1, Terms
from licsrv.emulator.periods import PeriodType

_ONE = "/license-v1/orders/{order}"
_TERMS = "product_id, period_type, period_number | expire_time, one_time, order_id"


class LicenseV1Control:
    """Reads control calls, asks the product line, shows what became of it."""

    def __init__(self, line: LicensesV1) -> None:
        self._line = line

    def routes(self) -> list[ControlRoute]:
        """Return the routes."""
        bought = f"buy: sku_code, customer_id, customer_name, amount, {_TERMS}"
        return [
            post("/license-v1/orders", bought, self._buy, status=202),
            get("/license-v1/orders", "list the licenses of License 1.0", self._list),
            get(_ONE, "show a license", self._show),
            post(f"{_ONE}/ask", "send getLicense once more", self._plain(self._line.ask), status=202),
            post(f"{_ONE}/renew", f"send refreshLicense: {_TERMS}", self._renew, status=202),
            post(f"{_ONE}/expire", "send expireLicense", self._plain(self._line.expire), status=202),
            post(f"{_ONE}/release", "send releaseLicense", self._plain(self._line.release), status=202),
        ]

    async def _buy(self, ask: Ask) -> object:
        terms, order_id = _terms(ask), ask.text("order_id")
        ask.finish()
        bought, sent = self._line.buy(terms, order_id=order_id)
        return {"license": bought.view(), "callback": sent.view()}

    async def _list(self, ask: Ask) -> object:
        ask.finish()
        return {"licenses": [license.view() for license in self._line.all()]}

    async def _show(self, ask: Ask) -> object:
        ask.finish()
        return self._line.get(ask.path_values["order"]).view()

    async def _renew(self, ask: Ask) -> object:
        terms, order_id = _terms(ask), ask.text("order_id")
        ask.finish()
        return self._sent(ask, await self._line.renew(ask.path_values["order"], terms, renewal_id=order_id))

    def _plain(self, verb: Callable[[str], Awaitable[Delivery]]) -> Handler:
        async def handle(ask: Ask) -> object:
            ask.finish()
            return self._sent(ask, await verb(ask.path_values["order"]))

        return handle

    def _sent(self, ask: Ask, delivery: Delivery) -> dict[str, object]:
        return {"license": self._line.get(ask.path_values["order"]).view(), "callback": delivery.view()}


def _terms(ask: Ask) -> Terms:
    period_type = ask.choice("period_type", PeriodType) or PeriodType.YEAR
    number = ask.integer("period_number")
    defaults = Terms()
    return Terms(
        product_id=_or(ask.text("product_id"), defaults.product_id),
        sku_code=_or(ask.text("sku_code", 64), defaults.sku_code),
        customer_id=_or(ask.text("customer_id"), defaults.customer_id),
        customer_name=_or(ask.text("customer_name", 64), defaults.customer_name),
        amount=ask.integer("amount"),
        period_type=None if ask.boolean("one_time") else period_type,
        period_number=1 if number is None else number,
        expires_at=ask.moment("expire_time"),
    )


def _or(given: str | None, default: str) -> str:
    return default if given is None else given
