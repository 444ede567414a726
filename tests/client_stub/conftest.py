from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from client_stub.machine.store import LicenseStore
from client_stub.session.configuration import Configuration
from client_stub.session.session import LicenseSession
from client_stub.session.transport import DirectTransport
from client_stub.trust.keys import PinnedKeys
from tests.client_stub.fakes import FakeClock, FakeServer
from tests.client_stub.signing import Vendor


@pytest.fixture(scope="session")
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture(scope="session")
def keys(vendor: Vendor) -> PinnedKeys:
    return PinnedKeys.from_jwks(vendor.jwks)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(vendor: Vendor, clock: FakeClock) -> FakeServer:
    """A server whose clock is right and goes with the client's, until a test sets one of them by hand."""
    return FakeServer(vendor, now=clock.now)


@pytest.fixture
def configuration(keys: PinnedKeys, tmp_path: Path) -> Configuration:
    return Configuration(
        server_url="https://license.example",
        code="PL0001",
        keys=keys,
        issuer="https://license.example",
        product="cad",
        store_path=tmp_path / "store" / "license.json",
        client_name="CAD-WS-07",
        client_version="3.2.1",
    )


@pytest.fixture
def start(configuration: Configuration, server: FakeServer, clock: FakeClock) -> Callable[[], LicenseSession]:
    """Start the program: every call is a new run that shares nothing with the last but its store."""

    def begin() -> LicenseSession:
        transport = DirectTransport(configuration, transport=httpx2.MockTransport(server.handle), clock=clock)
        return LicenseSession(
            configuration, transport=transport, store=LicenseStore(configuration.stored_at), clock=clock
        )

    return begin
