from __future__ import annotations

import pytest

from tests.client_stub.c import c_verifier
from tests.client_stub.c.c_verifier import Tool


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """The command line tool over the library, built once."""
    return c_verifier.tool(tmp_path_factory)
