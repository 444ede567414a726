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

With ISCDesk in between: ``Configuration(iscdesk_url=…, code=<instance id>, …)``; everything else stays the same.
License files: ``GetLicenseFileRequest``, ``verify_license_file``, and ``python -m client_stub verify FILE``.

Modules, each importing only those before it. Pure: ``errors``, ``base64url``, ``keys``, ``tokens``, ``devices``,
``claim_values``, ``claims``, ``armour``, ``license_files``, ``releases``, ``revocations``, ``verification``,
``verdict``, ``problems``, ``events``. With the world: ``clock``, ``disk``, ``store``, ``license_folder``,
``revocation_store``, ``configuration``, ``transport``, ``revocation_watch``, ``holding``, ``admission``, ``session``,
``threads``, ``heartbeat``, ``check_ins``, ``desk``, ``iscdesk``, ``iscdesk_poll``, ``iscdesk_desk``, ``sdk``. For the
terminal: ``terminal``, ``cad``, ``verify_command``, ``__main__``. The folder ``device_facts`` gathers the device text
of this computer, ``c`` holds the verifier in C.
"""

from client_stub.sdk.iscdesk import IscdeskTransport
from client_stub.sdk.sdk import ResultStatus, SdkInvoker
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
