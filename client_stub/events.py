"""The events of the SDK and their messages, byte for byte as published.

Pure. Source: protocol/online-license-and-sdk.md §1.3 and §1.4. The names are the SDK's; their numeric values were not
found (GAP, §10), so the numbers here are ours. The names of the heartbeat and client-closing events were not found
either and are left out.
"""

from __future__ import annotations

import json
from enum import IntEnum


class EventType(IntEnum):
    """What happened; first argument of the event callback."""

    EVENT_LICENSE_VERIFY = 1
    EVENT_UPGRADENOTICE = 2
    EVENT_UPDATE = 3
    EVENT_OPENCLOUDFILE_RESULT = 4
    EVENT_SAVE_RESULT = 5
    EVENT_UPLOAD_START = 6
    EVENT_UPLOAD_END = 7


def license_arrived(license_string: str) -> str:
    """Return the message of ``EVENT_LICENSE_VERIFY`` for a license string."""
    return _license_verify("success", license_string)


def license_failed() -> str:
    """Return the message of ``EVENT_LICENSE_VERIFY`` when there is no license.

    No sample of a failure is published (INFER): ``Status`` is ``failed``, the type stays, the content is empty.
    ``comeBackParams`` is empty in every sample, so the reason is not put there; ask ``SdkInvoker.last_problem``.
    """
    return _license_verify("failed", "")


def _license_verify(status: str, content: str) -> str:
    parameters = {"Status": status, "LicenseContent": content, "LicenseType": "string"}
    return _envelope("LicenseVerify", parameters)


def _envelope(operate: str, parameters: dict[str, str]) -> str:
    message = {"operate": operate, "params": parameters, "comeBackParams": {}}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
