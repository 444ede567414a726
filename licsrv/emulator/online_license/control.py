"""This product line's routes of the control API: the life of an instance, its orders, and applications for licenses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import fields

from licsrv.emulator.clock import MovableClock
from licsrv.emulator.control_routes import Ask, ControlRoute, Handler, get, post
from licsrv.emulator.deliveries import Delivery
from licsrv.emulator.errors import ControlError
from licsrv.emulator.online_license.applications import LicenseApplication, LicenseKind, Wish
from licsrv.emulator.online_license.instances import Instance
from licsrv.emulator.online_license.line import OnlineLicenses
from licsrv.emulator.online_license.orders import Buyer, ChargingMode, OrderType
from licsrv.emulator.online_license.purchases import Change, Purchase, item_of
from licsrv.emulator.periods import PeriodType
from licsrv.emulator.settings import UnsubscribeNames

LONGEST_DEVICE_INFO = 10_000
"""Longer than allowed, so that the rule itself answers."""

_ORDER = "order_id, order_line_id"
_CHANGE = f"period_number, period_type | expire_time, product_id, sku_code, linear_value, {_ORDER}"
_BUY = (
    f"buy: product_id, sku_code, product_name, linear_value, charging_mode, period_type, period_number | expire_time, "
    f"trial, buyer, license_quota, foreign, announce, {_ORDER}"
)
_ONE = "/online/instances/{instance}"


class OnlineLicenseControl:
    """Reads control calls, asks the product line, shows what became of it."""

    def __init__(self, line: OnlineLicenses, clock: MovableClock) -> None:
        self._line = line
        self._clock = clock

    def routes(self) -> list[ControlRoute]:
        """Return the routes; an instance is named by its id or by one of its orders."""
        return [*self._order_routes(), *self._life_routes(), *self._application_routes()]

    def _order_routes(self) -> list[ControlRoute]:
        return [
            post("/online/orders", _BUY, self._buy, status=202),
            get("/online/orders", "list the orders", self._orders),
            get("/online/orders/{order}", "show an order", self._order),
            post("/online/orders/{order}/notify", "send orderNotify: test", self._notify, status=202),
            get("/online/instances", "list the instances", self._instances),
            get(_ONE, "show an instance", self._instance),
        ]

    def _life_routes(self) -> list[ControlRoute]:
        line = self._line
        return [
            post(f"{_ONE}/open", "send newInstance (again)", self._plain(line.open), status=202),
            post(f"{_ONE}/query", "send queryInstance once", self._plain(line.query), status=202),
            post(f"{_ONE}/renew", f"renew: {_CHANGE}", self._changed(line.renew), status=202),
            post(f"{_ONE}/formalize", f"trial to formal: {_CHANGE}", self._changed(line.formalize), status=202),
            post(f"{_ONE}/change", f"renew changed: {_CHANGE}", self._changed(line.renew_changed), status=202),
            post(f"{_ONE}/upgrade", f"upgradeInstance: {_CHANGE}", self._changed(line.upgrade), status=202),
            post(f"{_ONE}/unsubscribe", f"undo the latest renewal: names, {_ORDER}", self._unsubscribe, status=202),
            post(
                f"{_ONE}/refund-first",
                f"renew and undo; the refund names its own order, the renewal waits for a flush: {_CHANGE}",
                self._refund_first,
                status=202,
            ),
            post(f"{_ONE}/freeze", "freeze", self._plain(line.freeze), status=202),
            post(f"{_ONE}/unfreeze", "unfreeze", self._plain(line.unfreeze), status=202),
            post(f"{_ONE}/release", f"release: unsubscribe, {_ORDER}", self._release, status=202),
            post(f"{_ONE}/quota", "change the quota of licenses: license_quota", self._quota),
        ]

    def _application_routes(self) -> list[ControlRoute]:
        one = "/online/applications/{event}"
        return [
            post(
                f"{_ONE}/applications",
                "apply for a license: device_info, kind, file_name, event_id",
                self._apply,
                status=202,
            ),
            get("/online/applications", "list the applications and uploads", self._applications),
            get(one, "show an application and its upload", self._application),
            post(f"{one}/expire", "end the wait for an upload", self._expire),
        ]

    async def _buy(self, ask: Ask) -> object:
        item = item_of(
            ask.choice("charging_mode", ChargingMode),
            ask.given(
                product_id=ask.text("product_id"),
                sku_code=ask.text("sku_code"),
                product_name=ask.text("product_name"),
                linear_value=ask.integer("linear_value"),
                period_type=ask.choice("period_type", PeriodType),
                period_number=ask.integer("period_number"),
            ),
        )
        purchase = Purchase(
            item=item,
            buyer=_buyer(ask),
            order_type=OrderType.TRIAL if ask.boolean("trial") else OrderType.NEW,
            expires_at=ask.moment("expire_time"),
            order_id=ask.text("order_id"),
            order_line_id=ask.text("order_line_id"),
            license_quota=ask.integer("license_quota"),
            foreign=ask.boolean("foreign") is True,
            announce=ask.boolean("announce") is not False,
        )
        ask.finish()
        instance, sent = self._line.buy(purchase)
        return {"instance": self._view(instance), "callback": sent.view() if sent else None}

    async def _orders(self, ask: Ask) -> object:
        ask.finish()
        return {"orders": [order.view() for order in self._line.book.orders()]}

    async def _order(self, ask: Ask) -> object:
        ask.finish()
        return self._line.book.order(ask.path_values["order"], self._clock.now()).view()

    async def _notify(self, ask: Ask) -> object:
        test = ask.boolean("test") is True
        ask.finish()
        order_id = ask.path_values["order"]
        sent = await self._line.notify(order_id, test=test)
        return {"order": self._line.book.order(order_id, self._clock.now()).view(), "callback": sent.view()}

    async def _instances(self, ask: Ask) -> object:
        ask.finish()
        return {"instances": [self._view(instance) for instance in self._line.book.all()]}

    async def _instance(self, ask: Ask) -> object:
        ask.finish()
        return self._view(self._named(ask))

    async def _unsubscribe(self, ask: Ask) -> object:
        names, change = ask.choice("names", UnsubscribeNames), _order_ids(ask)
        ask.finish()
        return self._sent(ask, await self._line.unsubscribe_renewal(ask.path_values["instance"], change, names=names))

    async def _refund_first(self, ask: Ask) -> object:
        change = _change(ask)
        sent = await self._line.refund_first(ask.path_values["instance"], change)
        return {"instance": self._view(self._named(ask))} | sent.view()

    async def _release(self, ask: Ask) -> object:
        unsubscribe, change = ask.boolean("unsubscribe") is True, _order_ids(ask)
        ask.finish()
        return self._sent(ask, await self._line.release(ask.path_values["instance"], change, unsubscribe=unsubscribe))

    async def _quota(self, ask: Ask) -> object:
        quota = ask.integer("license_quota")
        ask.finish()
        if quota is not None and quota < 0:
            raise ControlError("license_quota must not be negative")
        instance = self._named(ask)
        instance.license_quota = quota
        return self._view(instance)

    async def _apply(self, ask: Ask) -> object:
        kind, event_id = ask.choice("kind", LicenseKind), ask.text("event_id", 64)
        device_info = ask.text("device_info", LONGEST_DEVICE_INFO)
        wish = Wish(kind or LicenseKind.STRING, device_info or "", ask.text("file_name", 1024) or "")
        ask.finish()
        return (await self._line.apply(ask.path_values["instance"], wish, event_id=event_id or None)).view()

    async def _applications(self, ask: Ask) -> object:
        ask.finish()
        return {"applications": [each.view() for each in self._line.applications.all()]}

    async def _application(self, ask: Ask) -> object:
        ask.finish()
        return self._event(ask).view()

    async def _expire(self, ask: Ask) -> object:
        ask.finish()
        return self._line.applications.expire(ask.path_values["event"]).view()

    def _plain(self, verb: Callable[[str], Awaitable[Delivery]]) -> Handler:
        async def handle(ask: Ask) -> object:
            ask.finish()
            return self._sent(ask, await verb(ask.path_values["instance"]))

        return handle

    def _changed(self, verb: Callable[[str, Change], Awaitable[Delivery]]) -> Handler:
        async def handle(ask: Ask) -> object:
            change = _change(ask)
            return self._sent(ask, await verb(ask.path_values["instance"], change))

        return handle

    def _named(self, ask: Ask) -> Instance:
        return self._line.book.get(ask.path_values["instance"])

    def _event(self, ask: Ask) -> LicenseApplication:
        return self._line.applications.get(ask.path_values["event"])

    def _view(self, instance: Instance) -> dict[str, object]:
        return instance.view(self._clock.now())

    def _sent(self, ask: Ask, delivery: Delivery) -> dict[str, object]:
        return {"instance": self._view(self._named(ask)), "callback": delivery.view()}


def _change(ask: Ask) -> Change:
    change = Change(
        product_id=ask.text("product_id"),
        sku_code=ask.text("sku_code"),
        linear_value=ask.integer("linear_value"),
        period_type=ask.choice("period_type", PeriodType),
        period_number=ask.integer("period_number"),
        expires_at=ask.moment("expire_time"),
        order_id=ask.text("order_id"),
        order_line_id=ask.text("order_line_id"),
    )
    ask.finish()
    return change


def _order_ids(ask: Ask) -> Change:
    return Change(order_id=ask.text("order_id"), order_line_id=ask.text("order_line_id"))


def _buyer(ask: Ask) -> Buyer:
    given = ask.raw("buyer")
    if given is None:
        return Buyer()
    if not isinstance(given, dict):
        raise ControlError("buyer must be an object")
    inner = Ask({}, given)
    values = {each.name: inner.text(each.name, 100) for each in fields(Buyer)}
    inner.finish()
    return Buyer(**{name: value or "" for name, value in values.items()})
