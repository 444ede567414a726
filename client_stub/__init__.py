"""The stand-in for the vendor SDK: what a desktop program links against.

::

    from client_stub import Configuration, PinnedKeys, SdkInvoker, verify_license

    invoker = SdkInvoker(Configuration(server_url="https://license.example", code="PL…", keys=PinnedKeys.from_jwks(…)))
    invoker.IscdeskFactory().Init()
    invoker.RegisterEventRecall(program, Program.EventRecall)
    invoker.GetLicenseStringRequest("MAC|disk|board|CPU")  # EVENT_LICENSE_VERIFY follows
    invoker.LicenseVerifyNotify(True, "")
    invoker.verdict.is_allowed                             # before work that needs the license
    invoker.ShutOut()

Three witnesses: server, marketplace emulator and this client each implement licenses, leases and device rules on
their own, on purpose. Nothing here imports the server and the server imports nothing from here; ``tests/vectors``
binds them. ``python -m client_stub`` plays a CAD program in a terminal.

Modules, each importing only those before it. Pure: ``errors``, ``base64url``, ``keys``, ``tokens``, ``devices``,
``claims``, ``verification``, ``verdict``, ``problems``, ``events``. With the world: ``clock``, ``store``,
``configuration``, ``transport``, ``session``, ``heartbeat``, ``threads``, ``sdk``. For the terminal: ``cad``,
``__main__``.
"""

from client_stub.claims import Lease, LeaseStatus, License
from client_stub.configuration import Configuration, ConfigurationError
from client_stub.errors import VerificationError
from client_stub.events import EventType
from client_stub.keys import PinnedKeys, PinnedKeysError
from client_stub.problems import Problem
from client_stub.sdk import ResultStatus, SdkInvoker
from client_stub.verdict import Permission, Reason, Verdict
from client_stub.verification import verify_lease, verify_license

__all__ = [
    "Configuration",
    "ConfigurationError",
    "EventType",
    "Lease",
    "LeaseStatus",
    "License",
    "Permission",
    "PinnedKeys",
    "PinnedKeysError",
    "Problem",
    "Reason",
    "ResultStatus",
    "SdkInvoker",
    "Verdict",
    "VerificationError",
    "verify_lease",
    "verify_license",
]
