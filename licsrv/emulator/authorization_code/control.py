"""This product line's routes of the control API: the life of a code, from buying to release."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from licsrv.emulator.authorization_code.codes import AuthorizationCode
from licsrv.emulator.authorization_code.line import SAMPLE_CODE, AuthorizationCodes
from licsrv.emulator.authorization_code.messages import RENEWAL
from licsrv.emulator.clock import MovableClock
from licsrv.emulator.control_routes import Ask, ControlRoute, Handler, get, post
from licsrv.emulator.deliveries import Delivery


class AuthorizationCodeControl:
    """Reads control calls, asks the product line, shows what became of it."""

    def __init__(self, line: AuthorizationCodes, clock: MovableClock) -> None:
        self._line = line
        self._clock = clock

    def routes(self) -> list[ControlRoute]:
        """Return the routes, in the order of a license's life."""
        orders = "order_id, order_line_id"
        return [
            post(
                "/codes",
                f"buy a code: product_id, amount, days | expire_time, received, test, code, {orders}",
                self._buy,
                status=201,
            ),
            get("/codes", "list the codes", self._list),
            get("/codes/{code}", "show a code, its queries and its use by day", self._show),
            post("/codes/{code}/receive", "the buyer receives the code", self._receive),
            post(
                "/codes/{code}/renew",
                f"renew: days | expire_time, product_id, scene, {orders}",
                self._renew,
                status=202,
            ),
            post("/codes/{code}/unsubscribe", f"undo the latest renewal: {orders}", self._unsubscribe, status=202),
            post(
                "/codes/{code}/refund-first",
                "renew and undo; the renewal waits for a flush: days | expire_time",
                self._refund_first,
                status=202,
            ),
            post("/codes/{code}/freeze", "freeze", self._plain(self._line.freeze), status=202),
            post("/codes/{code}/unfreeze", "unfreeze", self._plain(self._line.unfreeze), status=202),
            post("/codes/{code}/release", f"release: unsubscribe, {orders}", self._release, status=202),
            post("/probe", "send all three activities with testFlag 1: code", self._probe, status=202),
        ]

    async def _buy(self, ask: Ask) -> object:
        product_id, amount, code = ask.text("product_id"), ask.integer("amount"), ask.text("code")
        days, expires_at, order = ask.integer("days"), ask.moment("expire_time"), _order(ask)
        received, test = ask.boolean("received"), ask.boolean("test")
        ask.finish()
        bought = self._line.buy(
            product_id="OFFI000000000000000001" if product_id is None else product_id,
            amount=1 if amount is None else amount,
            days=days,
            expires_at=expires_at,
            received=received is not False,
            code=code,
            order_id=order[0],
            order_line_id=order[1],
            test=test is True,
        )
        return self._view(bought)

    async def _list(self, ask: Ask) -> object:
        ask.finish()
        return {"codes": [self._view(code) for code in self._line.all()]}

    async def _show(self, ask: Ask) -> object:
        ask.finish()
        return self._view(self._line.get(ask.path_values["code"]))

    async def _receive(self, ask: Ask) -> object:
        ask.finish()
        return self._view(self._line.receive(ask.path_values["code"]))

    async def _renew(self, ask: Ask) -> object:
        days, expires_at, order = ask.integer("days"), ask.moment("expire_time"), _order(ask)
        product_id, scene = ask.text("product_id"), ask.text("scene")
        ask.finish()
        return self._sent(
            ask,
            await self._line.renew(
                ask.path_values["code"],
                days=days,
                expires_at=expires_at,
                product_id=product_id,
                scene=RENEWAL if scene is None else scene,
                order_id=order[0],
                order_line_id=order[1],
            ),
        )

    async def _unsubscribe(self, ask: Ask) -> object:
        order = _order(ask)
        ask.finish()
        code = ask.path_values["code"]
        return self._sent(ask, await self._line.unsubscribe_renewal(code, order_id=order[0], order_line_id=order[1]))

    async def _refund_first(self, ask: Ask) -> object:
        days, expires_at = ask.integer("days"), ask.moment("expire_time")
        ask.finish()
        sent = await self._line.refund_first(ask.path_values["code"], days=days, expires_at=expires_at)
        return {"code": self._view(self._line.get(ask.path_values["code"]))} | sent.view()

    def _plain(self, verb: Callable[[str], Awaitable[Delivery]]) -> Handler:
        async def handle(ask: Ask) -> object:
            ask.finish()
            return self._sent(ask, await verb(ask.path_values["code"]))

        return handle

    async def _release(self, ask: Ask) -> object:
        unsubscribe, order = ask.boolean("unsubscribe") is True, _order(ask)
        ask.finish()
        code = ask.path_values["code"]
        sent = await self._line.release(code, unsubscribe=unsubscribe, order_id=order[0], order_line_id=order[1])
        return self._sent(ask, sent)

    async def _probe(self, ask: Ask) -> object:
        code = ask.text("code")
        ask.finish()
        sent = await self._line.probe(SAMPLE_CODE if code is None else code)
        return {"callbacks": [delivery.view() for delivery in sent]}

    def _view(self, code: AuthorizationCode) -> dict[str, object]:
        return code.view(self._clock.now())

    def _sent(self, ask: Ask, delivery: Delivery) -> dict[str, object]:
        return {"code": self._view(self._line.get(ask.path_values["code"])), "callback": delivery.view()}


def _order(ask: Ask) -> tuple[str | None, str | None]:
    return ask.text("order_id"), ask.text("order_line_id")
