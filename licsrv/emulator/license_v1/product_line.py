"""This product line as the shared parts see it: its control routes, and how it forgets; it has no open API."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.routing import Route

from licsrv.emulator.clock import MovableClock
from licsrv.emulator.control_routes import ControlRoute
from licsrv.emulator.license_v1.control import LicenseV1Control
from licsrv.emulator.license_v1.line import LicensesV1
from licsrv.emulator.product_line import Operation
from licsrv.emulator.sending import SendMessage
from licsrv.emulator.settings import EmulatorSettings


class LicenseV1ProductLine:
    """Holds the licenses and what speaks about them.

    Args:
        settings: Gives the settings of the moment.
        clock: The marketplace's clock.
        send: Carries messages to the merchant.
    """

    def __init__(self, settings: Callable[[], EmulatorSettings], clock: MovableClock, send: SendMessage) -> None:
        self.licenses = LicensesV1(settings, clock, send)
        self._control = LicenseV1Control(self.licenses)

    def operations(self) -> list[Operation]:
        """Return no operations."""
        return []

    def control_routes(self) -> list[ControlRoute]:
        """Return its routes of the control API."""
        return self._control.routes()

    def web_routes(self) -> list[Route]:
        """Return no further routes."""
        return []

    def activities(self) -> list[str]:
        """Return the activities of its callbacks."""
        return ["getLicense", "refreshLicense", "expireLicense", "releaseLicense"]

    def debug_cases(self) -> Mapping[str, Mapping[str, object]]:
        """Return none: the documents know no debug call of this generation."""
        return {}

    def forget(self) -> None:
        """Forget every license."""
        self.licenses.forget()
