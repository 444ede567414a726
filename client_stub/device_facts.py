"""The device text of this machine: ``device_facts.gather()``, and ``python -m client_stub.device_facts``.

The stable address of :mod:`client_stub.machine.device_facts`, which does the work.
"""

from client_stub.machine.device_facts import DeviceFacts, LeftOut, gather, survey

__all__ = ["DeviceFacts", "LeftOut", "gather", "survey"]

if __name__ == "__main__":
    from client_stub.machine.device_facts.__main__ import main

    raise SystemExit(main())
