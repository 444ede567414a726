"""The marketplace to rehearse with: open API, signed callbacks, a control API to drive them, and faults on demand.

It is independent. It imports nothing of the rest of ``licsrv``, and nothing of ``licsrv`` imports it: server, emulator
and client stub implement every wire format separately. Shared code would repeat the same error on both sides.

The shared parts (gateway, courier, faults, clock, probes) know no product line; each product line is a package of its
own that brings its open API operations and its control routes (see ``product_line.ProductLine``). ISCDesk, through
which desktop software asks for online licenses, is a package of the same shape.
"""

from licsrv.emulator.app import create_app
from licsrv.emulator.emulator import Emulator
from licsrv.emulator.errors import ControlError
from licsrv.emulator.settings import BodyForm, EmulatorSettings, FrozenReading

__all__ = ["BodyForm", "ControlError", "Emulator", "EmulatorSettings", "FrozenReading", "create_app"]
