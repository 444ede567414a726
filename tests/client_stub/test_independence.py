"""The client is independent: a second implementation that leaned on the first would repeat its mistakes.

The order of its folders is in `tests/test_architecture.py`, with those of the service.
"""

from __future__ import annotations

import importlib

import client_stub
from tests.source_tree import modules

WORLD = {"os", "time", "random", "secrets", "socket", "threading", "tempfile", "pathlib", "httpx2", "logging", "sys"}
PUBLIC = {
    "client_stub": client_stub.__all__,
    "client_stub.sdk": ["EventRecall", "Iscdesk", "ResultStatus", "SdkInvoker"],
    "client_stub.session": ["NONCE_BYTES", "CheckIn", "LicenseSession"],
    "client_stub.device_facts": ["DeviceFacts", "LeftOut", "gather", "survey"],
    "client_stub.__main__": ["main"],
}


def test_trust_has_no_way_to_the_world() -> None:
    reaching = [
        f"{module.where}:{line} imports {name}"
        for module in modules("client_stub")
        if module.name.startswith("client_stub.trust")
        for line, name in module.imports
        if name.split(".")[0] in WORLD
    ]

    assert reaching == []


def test_public_names_stay_where_programs_import_them_from() -> None:
    missing = [
        f"{module}.{name}"
        for module, names in PUBLIC.items()
        for name in names
        if not hasattr(importlib.import_module(module), name)
    ]

    assert missing == []
