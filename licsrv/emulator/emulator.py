"""The emulated marketplace as one object: what the control API does, a test can do by calling it.

Holds the parts together and decides nothing itself. Needs no server and no lifespan: create it inside a running event
loop's task (or before), call it, ``settle`` and ``aclose`` it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx2

from licsrv.emulator.authorization_code import AuthorizationCodeProductLine
from licsrv.emulator.callback_requests import message_for
from licsrv.emulator.clock import MovableClock, system_now
from licsrv.emulator.courier import Courier
from licsrv.emulator.deliveries import NOTHING_SPOILED, Delivery, Message, Spoiling
from licsrv.emulator.errors import ControlError
from licsrv.emulator.faults import ALL_PATHS, Fault, FaultKind, Faults, Side
from licsrv.emulator.gateway import Gateway
from licsrv.emulator.iscdesk.part import IscdeskPart
from licsrv.emulator.license_v1 import LicenseV1ProductLine
from licsrv.emulator.online_license import OnlineLicenseProductLine
from licsrv.emulator.probes import INTERVAL, Probes
from licsrv.emulator.product_line import ProductLine
from licsrv.emulator.requests_journal import RequestJournal
from licsrv.emulator.settings import BodyForm, EmulatorSettings, require_http_url


class Emulator:
    """The marketplace to rehearse with.

    Attributes:
        settings: What holds now; change it with ``change_settings``.
        clock: Its clock; ``clock.move(...)`` and ``clock.set_to(...)`` move it.
        gateway: Its API gateway, with the locks of key pairs.
        faults: What shall go wrong; see ``set_fault``.
        requests: The open API requests it received.
        courier: The callbacks it sent; ``courier.deliveries`` lists them.
        codes: The authorization codes: ``buy``, ``receive``, ``renew``, ``unsubscribe_renewal``, ``freeze``,
            ``unfreeze``, ``release``, ``probe``.
        online: The online licenses: ``buy``, ``renew``, ``formalize``, ``upgrade``, ``freeze``, ``release``,
            ``notify``, ``apply`` and the rest.
        desk: ISCDesk, between the marketplace and the desktop software.
        licenses_v1: The retired License 1.0: ``buy``, ``ask``, ``renew``, ``expire``, ``release``.
        probes: The saved debug cases and their rounds.
        product_lines: Every product line it sells; a further one is added here.

    Args:
        settings: Its side of the contract.
        transport: Where callbacks go instead of the network, for instance ``httpx2.ASGITransport(app)``.
        now: The clock to start from; this machine's when None.
    """

    def __init__(
        self,
        settings: EmulatorSettings,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self.settings = settings
        self._initial_settings = settings
        self.clock = MovableClock(now or system_now)
        self.gateway = Gateway({settings.ak: settings.sk})
        self.faults = Faults()
        self.requests = RequestJournal()
        self.courier = Courier(lambda: self.settings, clock=self.clock, faults=self.faults, transport=transport)
        authorization_code = AuthorizationCodeProductLine(lambda: self.settings, self.clock, self.post)
        online_license = OnlineLicenseProductLine(lambda: self.settings, self.clock, self.courier.send)
        self.codes = authorization_code.codes
        self.online = online_license.licenses
        iscdesk = IscdeskPart(self.online, settings=lambda: self.settings, clock=self.clock, faults=self.faults)
        license_v1 = LicenseV1ProductLine(lambda: self.settings, self.clock, self.courier.send)
        self.desk = iscdesk.desk
        self.licenses_v1 = license_v1.licenses
        self.probes = Probes(self.clock, self._debug_cases, self._send_probe)
        self.product_lines: Sequence[ProductLine] = [authorization_code, online_license, license_v1, iscdesk]

    def post(self, body: Mapping[str, object], *, held: bool = False) -> Delivery:
        """Sign a body as the settings say and put it on its way; needs a running event loop."""
        return self.courier.send(message_for(body, self.settings), held=held)

    async def send_callback(
        self,
        body: Mapping[str, object] | bytes,
        *,
        form: BodyForm | None = None,
        url: str | None = None,
        tries: int = 1,
        spoiling: Spoiling = NOTHING_SPOILED,
    ) -> Delivery:
        """Send any callback, correctly signed unless ``spoiling`` says otherwise.

        Args:
            body: Members, written in the chosen form; or the exact bytes.
            form: How members are written; the settings' form when None.
            url: Instead of the settings' callback URL.
            tries: How often it is tried in all; one, since a wrong message is not repaired by repeating it.
            spoiling: How it is made wrong on purpose.

        Raises:
            ControlError: The URL is none, or the number of tries makes no sense.
        """
        if not 1 <= tries <= 1000:
            raise ControlError("tries must be between 1 and 1000")
        target = self.settings.callback_url if url is None else _http_url(url)
        if isinstance(body, bytes):
            message = Message(body, signed_content=body, activity="(raw)", url=target, tries=tries, spoiling=spoiling)
        else:
            message = message_for(body, self.settings, form=form, url=target, tries=tries, spoiling=spoiling)
        return self.courier.send(message)

    def set_fault(
        self,
        side: Side | str,
        kind: FaultKind | str,
        value: object = None,
        *,
        path: str = ALL_PATHS,
        times: int | None = None,
    ) -> Fault:
        """Let something go wrong from now on; see ``faults.Faults.set``.

        Raises:
            ControlError: The combination or a value makes no sense, or nothing on this side is called ``path``.
        """
        try:
            side, kind = Side(side), FaultKind(kind)
        except ValueError as error:
            raise ControlError(str(error)) from error
        names = self._paths_of(side)
        if path not in {ALL_PATHS, *names}:
            raise ControlError(f"path must be one of {', '.join([*sorted(names), ALL_PATHS])} on the side {side}")
        return self.faults.set(side, kind, value, path=path, times=times)

    def clear_faults(self, fault_id: str | None = None) -> None:
        """Take back one fault, or all; callbacks that ``reorder`` held are sent when it goes.

        Raises:
            ControlError: No fault has this id.
        """
        self.faults.clear(fault_id)
        if not self.faults.is_set(Side.CALLBACKS, FaultKind.REORDER):
            self.courier.flush()

    def change_settings(self, **changes: Any) -> EmulatorSettings:
        """Change fields of ``EmulatorSettings`` from now on; the key pair stays as it was at the start.

        Raises:
            ControlError: A value makes no sense.
        """
        try:
            self.settings = replace(self.settings, **changes)
        except ValueError as error:
            raise ControlError(str(error)) from error
        return self.settings

    async def settle(self) -> None:
        """Wait until no callback is in flight or waits for its next try; held ones are not waited for."""
        await self.courier.settle()

    async def reset(self) -> None:
        """Go back to the state after the start: no codes, callbacks, faults, locks; clock and settings as they were."""
        await self.courier.forget()
        for line in self.product_lines:
            line.forget()
        self.probes.forget()
        self.faults.clear()
        self.requests.clear()
        self.gateway.reset()
        self.clock.reset()
        self.settings = self._initial_settings

    async def aclose(self) -> None:
        """Stop every callback and close the connections."""
        await self.courier.aclose()

    async def probe_twice_a_day(self) -> None:
        """Replay the debug cases every twelve hours, divided by ``speed``, as long as the settings ask for it."""
        while True:
            await asyncio.sleep(max(self.settings.sped_up(INTERVAL), 1.0))  # no speed makes a storm of it
            if self.settings.probes_by_itself:
                self.probes.start_round()

    def _paths_of(self, side: Side) -> set[str]:
        if side is Side.OPEN_API:
            return {operation.name for line in self.product_lines for operation in line.operations()}
        return {word for line in self.product_lines for word in line.activities() if side is Side.CALLBACKS}

    def _debug_cases(self) -> dict[str, Mapping[str, object]]:
        return {name: body for line in self.product_lines for name, body in line.debug_cases().items()}

    def _send_probe(self, body: Mapping[str, object], ended: Callable[[Delivery], None]) -> Delivery:
        return self.courier.send(message_for(body, self.settings, tries=1), watch=ended)


def _http_url(url: str) -> str:
    try:
        require_http_url(url)
    except ValueError as error:
        raise ControlError(f"url must be an http(s) URL: {error}") from error
    return url
