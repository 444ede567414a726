"""This product line as the shared parts see it: its operations, its routes, and how it forgets."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import Route

from licsrv.emulator.clock import MovableClock
from licsrv.emulator.control_routes import ControlRoute
from licsrv.emulator.online_license.control import OnlineLicenseControl
from licsrv.emulator.online_license.correspondence import Correspondence
from licsrv.emulator.online_license.line import OnlineLicenses
from licsrv.emulator.online_license.messages import Body
from licsrv.emulator.online_license.operations import OnlineLicenseOpenApi
from licsrv.emulator.product_line import Operation
from licsrv.emulator.sending import SendMessage
from licsrv.emulator.settings import EmulatorSettings


class OnlineLicenseProductLine:
    """Holds the instances and what speaks about them.

    Args:
        settings: Gives the settings of the moment.
        clock: The marketplace's clock.
        send: Carries messages to the merchant.
    """

    def __init__(self, settings: Callable[[], EmulatorSettings], clock: MovableClock, send: SendMessage) -> None:
        self.licenses = OnlineLicenses(settings, clock, Correspondence(settings, send))
        self._open_api = OnlineLicenseOpenApi(self.licenses, settings)
        self._control = OnlineLicenseControl(self.licenses, clock)

    def operations(self) -> list[Operation]:
        """Return its operations of the open API."""
        return self._open_api.operations()

    def control_routes(self) -> list[ControlRoute]:
        """Return its routes of the control API."""
        return self._control.routes()

    def web_routes(self) -> list[Route]:
        """Return no further routes."""
        return []

    def activities(self) -> list[str]:
        """Return the activities of its callbacks."""
        return sorted({str(case["activity"]) for case in self.debug_cases().values()})

    def debug_cases(self) -> dict[str, Body]:
        """Return a debug case for every scene."""
        return self.licenses.debug_cases()

    def forget(self) -> None:
        """Forget every instance and every application."""
        self.licenses.forget()
