"""The stand-in for the vendor SDK: what a desktop program links against.

::

    from client_stub import Configuration, PinnedKeys, SdkInvoker, verify_license

    invoker = SdkInvoker(Configuration(server_url="https://license.example", code="PL…", keys=PinnedKeys.from_jwks(…)))
    invoker.IscdeskFactory().Init()
    invoker.RegisterEventRecall(program, Program.EventRecall)
    invoker.GetLicenseStringRequest("MAC|disk|board|CPU")  # EVENT_LICENSE_VERIFY follows
    invoker.LicenseVerifyNotify(True, "")
    invoker.verdict.is_allowed                             # before work that needs the license
    invoker.has_feature("export")                          # and before work that needs a feature
    invoker.ShutOut()

Three witnesses: server, marketplace emulator and this client each implement licenses, leases and device rules
separately, on purpose. Neither side imports the other; ``tests/vectors`` binds them. ``python -m client_stub`` plays a
CAD program in a terminal.

With ISCDesk in between: ``Configuration(iscdesk_url=…, code=<instance id>, …)``; everything else stays the same.
License files: ``GetLicenseFileRequest``, ``verify_license_file``, and ``python -m client_stub verify FILE``.

Folders, each of which imports only those above it::

    trust/      what a license, a lease, a list or a manifest says, and whether it holds. Pure: no file, clock, network
    machine/    this computer: files, the store, clocks, threads, device facts
    session/    one license of one running program: server, check-ins, revocation list, verdict
    sdk/        the vendor SDK's calls and events, with the license server or ISCDesk behind them
    programs/   for the terminal: a CAD program, the check of a license file
    c/          the verifier in C, on its own
"""

from client_stub.sdk.invoker import ResultStatus, SdkInvoker
from client_stub.sdk.iscdesk_transport import IscdeskTransport
from client_stub.session.configuration import Configuration, ConfigurationError
from client_stub.session.events import EventMessage, EventMessageError, EventType, LicenseType, read_message
from client_stub.session.problems import Problem
from client_stub.session.transport import DirectTransport
from client_stub.trust.claims import Lease, LeaseStatus, License
from client_stub.trust.errors import VerificationError
from client_stub.trust.keys import PinnedKeys, PinnedKeysError
from client_stub.trust.releases import Release
from client_stub.trust.verdict import Permission, Reason, Verdict
from client_stub.trust.verification import verify_lease, verify_license, verify_license_file, verify_release

__all__ = [
    "Configuration",
    "ConfigurationError",
    "DirectTransport",
    "EventMessage",
    "EventMessageError",
    "EventType",
    "IscdeskTransport",
    "Lease",
    "LeaseStatus",
    "License",
    "LicenseType",
    "Permission",
    "PinnedKeys",
    "PinnedKeysError",
    "Problem",
    "Reason",
    "Release",
    "ResultStatus",
    "SdkInvoker",
    "Verdict",
    "VerificationError",
    "read_message",
    "verify_lease",
    "verify_license",
    "verify_license_file",
    "verify_release",
]
