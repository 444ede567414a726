"""ISCDesk as the shared parts see it: shaped like a product line, though it sells nothing and has no open API."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.routing import Route

from licsrv.emulator.clock import MovableClock
from licsrv.emulator.control_routes import ControlRoute
from licsrv.emulator.faults import Faults
from licsrv.emulator.iscdesk.control import DeskControl
from licsrv.emulator.iscdesk.desk import Desk
from licsrv.emulator.iscdesk.routes import DeskRoutes
from licsrv.emulator.online_license.line import OnlineLicenses
from licsrv.emulator.product_line import Operation
from licsrv.emulator.settings import EmulatorSettings


class IscdeskPart:
    """Holds the desk and what speaks for it.

    Args:
        line: The marketplace's online licenses.
        settings: Gives the settings of the moment.
        clock: The marketplace's clock.
        faults: What shall go wrong.
    """

    def __init__(
        self, line: OnlineLicenses, settings: Callable[[], EmulatorSettings], clock: MovableClock, faults: Faults
    ) -> None:
        self.desk = Desk(line, settings=settings, clock=clock, faults=faults)
        self._control = DeskControl(self.desk)
        self._routes = DeskRoutes(self.desk, faults, clock.now)

    def operations(self) -> list[Operation]:
        """Return no operations."""
        return []

    def control_routes(self) -> list[ControlRoute]:
        """Return its routes of the control API."""
        return self._control.routes()

    def web_routes(self) -> list[Route]:
        """Return the routes the software's SDK speaks to."""
        return self._routes.routes()

    def activities(self) -> list[str]:
        """Return no activities."""
        return []

    def debug_cases(self) -> Mapping[str, Mapping[str, object]]:
        """Return no debug cases."""
        return {}

    def forget(self) -> None:
        """End every session."""
        self.desk.forget()
