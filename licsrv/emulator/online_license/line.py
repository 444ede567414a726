"""The product line at work: instances bought, renewed, changed, frozen, released; orders notified; applications.

Keeps them in memory and puts callbacks on their way. How a body looks is in ``messages``, how an instance comes to be
in ``opening``, what becomes of an application in ``applications``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from licsrv.emulator.clock import MovableClock
from licsrv.emulator.deliveries import BEFORE_REFUND, SUCCESS_CODE, Delivery, DeliveryState, RefundFirst
from licsrv.emulator.errors import ControlError
from licsrv.emulator.online_license import messages
from licsrv.emulator.online_license.applications import LicenseApplication, LicenseApplications, Wish
from licsrv.emulator.online_license.correspondence import Correspondence
from licsrv.emulator.online_license.instance_book import InstanceBook
from licsrv.emulator.online_license.instances import Instance, Renewal
from licsrv.emulator.online_license.messages import Scene
from licsrv.emulator.online_license.opening import Opening
from licsrv.emulator.online_license.orders import ChargingMode, Item, Order, OrderType
from licsrv.emulator.online_license.purchases import Change, Purchase
from licsrv.emulator.settings import EmulatorSettings, UnsubscribeNames

NO_CHANGE = Change()


class OnlineLicenses:
    """Every instance of the emulated marketplace.

    Args:
        settings: Gives the settings of the moment.
        clock: The marketplace's clock.
        correspondence: Sends callbacks.
    """

    def __init__(
        self, settings: Callable[[], EmulatorSettings], clock: MovableClock, correspondence: Correspondence
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._correspondence = correspondence
        self.book = InstanceBook()
        self._opening = Opening(clock, correspondence, lambda: self.book.new_order_id(None, clock.now()))
        self.applications = LicenseApplications(clock.now, lambda: settings().upload_time_limit, self._send_application)

    def forget(self) -> None:
        """Forget everything."""
        self.applications.forget()
        self.book.clear()

    def buy(self, purchase: Purchase | None = None) -> tuple[Instance, Delivery | None]:
        """Place the first order of an instance and send ``newInstance``.

        Raises:
            ControlError: A value makes no sense (400), or the order id is taken (409).
        """
        chosen, now = purchase or Purchase(), self._clock.now()
        expires_at = chosen.expires_at or chosen.item.end_from(now)
        order_id = self.book.new_order_id(chosen.order_id, now)
        line_id = chosen.order_line_id or f"{order_id}-000001"
        order = Order(
            order_id,
            line_id,
            chosen.order_type,
            placed_at=now,
            item=chosen.item,
            expires_at=expires_at,
            buyer=chosen.buyer,
            foreign=chosen.foreign,
        )
        trial = chosen.order_type is OrderType.TRIAL
        instance = Instance(
            [order], item=chosen.item, expires_at=expires_at, license_quota=chosen.license_quota, trial=trial
        )
        self.book.add(instance)
        return instance, self._opening.start(instance) if chosen.announce else None

    async def open(self, name: str) -> Delivery:
        """Send ``newInstance`` for a purchase that was placed without announcing it, or once more."""
        return self._opening.start(self.book.get(name))

    async def query(self, name: str) -> Delivery:
        """Send ``queryInstance`` once."""
        return self._opening.query(self.book.get(name))

    async def renew(self, name: str, change: Change = NO_CHANGE) -> Delivery:
        """Renew under a new order and report the new end.

        Raises:
            ControlError: No such instance (404); released, or without an end (409).
        """
        instance = self._unreleased(name)
        start = max(instance.expires_at or self._clock.now(), self._clock.now())
        return self._extend(instance, change, start, order_type=OrderType.RENEW, scene=Scene.RENEWAL)

    async def formalize(self, name: str, change: Change = NO_CHANGE) -> Delivery:
        """Turn a trial into a formal order; its periods count from now (INFER).

        Raises:
            ControlError: No such instance (404); released, or no trial (409).
        """
        instance = self._unreleased(name)
        if not instance.trial:
            raise ControlError(f"{name} is no trial", status=409)
        sent = self._extend(
            instance, change, self._clock.now(), order_type=OrderType.TRIAL_TO_FORMAL, scene=Scene.TRIAL_TO_FORMAL
        )
        instance.trial = False
        return sent

    async def renew_changed(self, name: str, change: Change) -> Delivery:
        """Renew and change what was bought at once, the scene ``RENEWAL_CHANGE`` of SaaS 2.0.

        The merchant is asked before with ``changeInstanceCheck``, once; a refusal ends the sale. GAP: what no answer
        means; the sale goes on.

        Raises:
            ControlError: No such instance (404); released, without an end, or refused by the merchant (409).
        """
        instance = self._unreleased(name)
        await self._check_change(instance, change.applied_to(instance.item))
        start = max(instance.expires_at or self._clock.now(), self._clock.now())
        return self._extend(instance, change, start, order_type=OrderType.CHANGE, scene=Scene.RENEWAL_CHANGE)

    async def upgrade(self, name: str, change: Change) -> Delivery:
        """Change what was bought and send ``upgradeInstance``; the end stays unless one is given.

        Raises:
            ControlError: No such instance (404), or released (409).
        """
        instance = self._unreleased(name)
        order = self._further(instance, change, OrderType.CHANGE, expires_at=change.expires_at or instance.expires_at)
        instance.item, instance.expires_at = order.item, order.expires_at
        return self._correspondence.post(messages.upgrade_instance(instance.require_id(), order))

    async def unsubscribe_renewal(
        self, name: str, change: Change = NO_CHANGE, *, names: UnsubscribeNames | None = None
    ) -> Delivery:
        """Undo the latest renewal: the end goes back to what it was.

        Args:
            name: The instance, or one of its orders.
            change: Only its order ids count.
            names: Which order the callback names; the settings' reading when None.

        Raises:
            ControlError: No such instance (404); released, or nothing to undo (409).
        """
        instance = self._unreleased(name)
        if not instance.renewals:
            raise ControlError(f"{name} has no renewal to undo", status=409)
        undone = instance.renewals[-1]
        order = self._further(instance, change, OrderType.UNSUBSCRIBE, expires_at=undone.previous_expires_at)
        instance.renewals.pop()
        previous, now = undone.previous_expires_at, instance.item
        instance.item, instance.expires_at = undone.previous_item, previous
        reading = names or self._settings().unsubscribe_names
        named = undone.order if reading is UnsubscribeNames.RENEWAL else order
        return self._refresh(instance, named, Scene.UNSUBSCRIBE_RENEWAL_PERIOD, before=now)

    async def refund_first(self, name: str, change: Change = NO_CHANGE) -> RefundFirst:
        """Renew, and undo it a minute later; the renewal is withheld, and the refund names an order of its own.

        A flush sends the renewal, long after what took it back. ``change`` is the renewal's.

        Raises:
            ControlError: No such instance (404); released, or without an end (409).
        """
        instance = self._unreleased(name)
        start = max(instance.expires_at or self._clock.now(), self._clock.now())
        withheld = self._extend(
            instance, change, start, order_type=OrderType.RENEW, scene=Scene.RENEWAL, ago=BEFORE_REFUND
        )
        return RefundFirst(await self.unsubscribe_renewal(name, names=UnsubscribeNames.UNSUBSCRIBE), withheld)

    async def freeze(self, name: str) -> Delivery:
        """Freeze; again sends it again.

        Raises:
            ControlError: No such instance (404), or released (409).
        """
        instance = self._unreleased(name)
        instance.frozen_at = instance.frozen_at or self._clock.now()
        return self._correspondence.post(messages.update_instance_status(instance.require_id(), frozen=True))

    async def unfreeze(self, name: str) -> Delivery:
        """Unfreeze.

        Raises:
            ControlError: No such instance (404), released or not frozen (409).
        """
        instance = self._unreleased(name)
        if not instance.frozen_at:
            raise ControlError(f"{name} is not frozen", status=409)
        instance.frozen_at = None
        return self._correspondence.post(messages.update_instance_status(instance.require_id(), frozen=False))

    async def release(self, name: str, change: Change = NO_CHANGE, *, unsubscribe: bool = False) -> Delivery:
        """Release for good; an unsubscribe that caused it is an order of its own and named in the callback.

        Raises:
            ControlError: No such instance (404), or released already (409).
        """
        instance = self._unreleased(name)
        order = None
        if unsubscribe or change.order_id or change.order_line_id:
            order = self._further(instance, change, OrderType.UNSUBSCRIBE, expires_at=self._clock.now())
        instance.released_at = self._clock.now()
        return self._correspondence.post(messages.release_instance(instance.require_id(), order))

    async def notify(self, order_id: str, *, test: bool = False) -> Delivery:
        """Send ``orderNotify`` for an order; the simulated ones can be notified as well.

        Raises:
            ControlError: No such order.
        """
        return self._correspondence.notify(
            messages.order_notify(self.book.order(order_id, self._clock.now()), test=test)
        )

    async def apply(self, name: str, wish: Wish, *, event_id: str | None = None) -> LicenseApplication:
        """Apply for a license; see ``LicenseApplications.apply``. Released instances apply too: the merchant refuses.

        Raises:
            ControlError: No such instance (404), or the merchant has not opened it (409).
        """
        return self.applications.apply(self.book.get(name), wish, event_id=event_id)

    def debug_cases(self) -> dict[str, messages.Body]:
        """Return a debug case for every scene."""
        return messages.debug_cases(lambda order_id: self.book.order(order_id, self._clock.now()))

    def _send_application(self, application: LicenseApplication) -> Delivery:
        instance = application.instance
        body = messages.get_license_async(
            instance.require_id(),
            application.event_id,
            effective_at=instance.purchase.placed_at,
            expires_at=instance.expires_at,
            device_fingerprint=application.wish.device_info,
        )
        return self._correspondence.ask_for_license(body, watch=application.watch)

    def _unreleased(self, name: str) -> Instance:
        instance = self.book.get(name)
        instance.require_unreleased()
        return instance

    async def _check_change(self, instance: Instance, item: Item) -> None:
        body = messages.change_instance_check(instance.require_id(), item)
        asked = self._correspondence.post(body, tries=1)
        if asked.state is DeliveryState.HELD:
            return
        await asked.answered_or_late.wait()
        codes = [one.result_code for one in asked.attempts if one.result_code]
        if codes and SUCCESS_CODE not in codes:  # of a doubled question one answer is enough
            raise ControlError(f"the merchant refuses the change ({codes[0]})", status=409)

    def _extend(
        self,
        instance: Instance,
        change: Change,
        start: datetime,
        order_type: OrderType,
        scene: Scene,
        *,
        ago: timedelta = timedelta(0),
    ) -> Delivery:
        """Place an order that gives a new end, and report it; one that was placed some time ago is withheld."""
        item = change.applied_to(instance.item)
        end = change.expires_at or item.end_from(start)
        if end is None or item.charging_mode is not ChargingMode.PERIOD:
            raise ControlError(f"{instance.instance_id} has no end that could move", status=409)
        order = self._further(instance, change, order_type, expires_at=end, ago=ago)
        before = instance.item
        instance.renewals.append(Renewal(order, instance.expires_at, before))
        instance.item, instance.expires_at = order.item, end
        return self._refresh(instance, order, scene, before=before, held=bool(ago))

    def _refresh(self, instance: Instance, order: Order, scene: Scene, *, before: Item, held: bool = False) -> Delivery:
        changed = instance.item.product_id if instance.item.product_id != before.product_id else None
        end = instance.expires_at or self._clock.now()
        body = messages.refresh_instance(
            instance.require_id(),
            order,
            end,
            scene=scene,
            product_id=changed,
            milliseconds=self._settings().ends_with_milliseconds,
        )
        return self._correspondence.post(body, held=held)

    def _further(
        self,
        instance: Instance,
        change: Change,
        order_type: OrderType,
        expires_at: datetime | None,
        *,
        ago: timedelta = timedelta(0),
    ) -> Order:
        now = self._clock.now() - ago
        order_id = self.book.new_order_id(change.order_id, now)
        order = replace(
            instance.purchase,
            order_id=order_id,
            order_line_id=change.order_line_id or f"{order_id}-000001",
            order_type=order_type,
            placed_at=now,
            item=change.applied_to(instance.item),
            expires_at=expires_at,
        )
        instance.orders.append(order)
        return order
