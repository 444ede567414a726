"""This product line as the shared parts see it: its operations, its control routes, and how it forgets."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import Route

from licsrv.emulator.authorization_code.control import AuthorizationCodeControl
from licsrv.emulator.authorization_code.line import AuthorizationCodes, PostCallback
from licsrv.emulator.authorization_code.messages import Body
from licsrv.emulator.authorization_code.operations import AuthorizationCodeOpenApi
from licsrv.emulator.clock import MovableClock
from licsrv.emulator.control_routes import ControlRoute
from licsrv.emulator.product_line import Operation
from licsrv.emulator.settings import EmulatorSettings


class AuthorizationCodeProductLine:
    """Holds the codes and what speaks about them.

    Args:
        settings: Gives the settings of the moment.
        clock: The marketplace's clock.
        post: Signs a body and puts it on its way to the merchant.
    """

    def __init__(self, settings: Callable[[], EmulatorSettings], clock: MovableClock, post: PostCallback) -> None:
        self.codes = AuthorizationCodes(clock, post)
        self._open_api = AuthorizationCodeOpenApi(self.codes, settings)
        self._control = AuthorizationCodeControl(self.codes, clock)

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
        return list(self.codes.debug_cases())

    def debug_cases(self) -> dict[str, Body]:
        """Return a debug case for every scene."""
        return self.codes.debug_cases()

    def forget(self) -> None:
        """Forget every code."""
        self.codes.forget()
