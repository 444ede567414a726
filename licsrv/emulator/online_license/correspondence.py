"""How often and under which codes this product line's callbacks are tried; what they say is in ``messages``.

Source: protocol/online-license-and-sdk.md §3.6, §4.2 and §6. Not stated there and taken: ``releaseInstance`` and
``upgradeInstance`` are tried like the others for 2 h; ``orderNotify`` every ten minutes of its 3 h; ``getLicenseAsync``
five times, and not again after a code that a repeat would not change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from licsrv.emulator.callback_requests import message_for
from licsrv.emulator.deliveries import IN_PROGRESS_CODE, SUCCESS_CODE, Delivery, Message
from licsrv.emulator.sending import SendMessage
from licsrv.emulator.settings import BodyForm, EmulatorSettings

NOTIFICATION_SPAN = timedelta(hours=3)
NOTIFICATION_INTERVAL = timedelta(minutes=10)
APPLICATION_TRIES = 5
FINAL_REFUSALS = frozenset({"000002", "000003", "000100", "000900", "000901", "000902", "000903"})


class Correspondence:
    """Puts bodies on their way to the merchant.

    Args:
        settings: Gives the settings of the moment.
        send: Carries messages.
    """

    def __init__(self, settings: Callable[[], EmulatorSettings], send: SendMessage) -> None:
        self._settings = settings
        self._send = send

    def post(
        self,
        body: Mapping[str, object],
        *,
        tries: int | None = None,
        watch: Callable[[Delivery], None] | None = None,
        held: bool = False,
    ) -> Delivery:
        """Send a body as often as usual, or ``tries`` times; ``held``: only after a flush."""
        return self._send(message_for(body, self._settings(), tries=tries), watch=watch, held=held)

    def ask_for_instance(
        self, write: Callable[[], Mapping[str, object]], *, watch: Callable[[Delivery], None]
    ) -> Delivery:
        """Send ``newInstance``; every repeat is a new message, since its business id differs."""

        def message() -> Message:
            usual = message_for(write(), self._settings())
            return replace(usual, required_member="instanceId")

        return self._send(message(), watch=watch, remake=message)

    def ask_for_license(self, body: Mapping[str, object], *, watch: Callable[[Delivery], None]) -> Delivery:
        """Send ``getLicenseAsync``; its members are in the order of the published example unless a form is chosen."""
        settings = self._settings()
        form = BodyForm.DOCUMENTED_ORDER if settings.body_form is BodyForm.CANONICAL else settings.body_form
        usual = message_for(body, settings, form=form, tries=APPLICATION_TRIES)
        accepted = frozenset({SUCCESS_CODE, IN_PROGRESS_CODE})
        return self._send(replace(usual, delivered_by=accepted, refused_by=FINAL_REFUSALS), watch=watch)

    def notify(self, body: Mapping[str, object]) -> Delivery:
        """Send ``orderNotify``."""
        usual = message_for(body, self._settings(), tries=NOTIFICATION_SPAN // NOTIFICATION_INTERVAL)
        return self._send(replace(usual, interval=NOTIFICATION_INTERVAL))
