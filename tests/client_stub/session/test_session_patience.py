"""No answer that is unsigned and outside the closed list makes a licensed program stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client_stub.session.session import LicenseSession
from client_stub.trust import refusals
from tests.client_stub.fakes import FakeServer
from tests.client_stub.signing import DEVICE

Start = Callable[[], LicenseSession]
CODES = [*sorted(refusals.CODES), "NOT_FOUND", "Forbidden", "UNAUTHENTICATED", "404", "", "license_revoked"]
DOCUMENTS = st.fixed_dictionaries({"code": st.sampled_from(CODES) | st.integers() | st.none()}) | st.fixed_dictionaries(
    {"license_string": st.text(max_size=9), "lease": st.text(max_size=9)}
)
BODIES = st.binary(max_size=60) | DOCUMENTS.map(json.dumps).map(str.encode)
MEDIA_TYPES = st.sampled_from(["application/json", refusals.MEDIA_TYPE, "text/html", "", "application/problem+jsonx"])


def is_of_the_list(status: int, media_type: str, body: bytes) -> bool:
    try:
        code = json.loads(body)["code"]
    except (ValueError, TypeError, KeyError):
        return False
    return isinstance(code, str) and refusals.is_refusal(status, media_type, code)


@pytest.mark.soak
@pytest.mark.parametrize("is_file", [False, True], ids=["string", "file"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(status=st.integers(200, 599), media_type=MEDIA_TYPES, body=BODIES)
def test_an_unsigned_answer_outside_the_list_never_denies_what_was_allowed(
    start: Start, server: FakeServer, tmp_path: Path, *, is_file: bool, status: int, media_type: str, body: bytes
) -> None:
    if is_of_the_list(status, media_type, body):
        return
    server.requests.clear()
    server.on_string = server.on_heartbeat = server.on_file = None
    target = tmp_path / "license.lic"
    first = start()
    first.obtain_file(DEVICE, target) if is_file else first.obtain(DEVICE)
    assert first.verdict().is_allowed
    answer = httpx2.Response(status, content=body, headers={"Content-Type": media_type} if media_type else {})
    server.on_string = server.on_heartbeat = server.on_file = lambda _: answer

    second = start()
    second.obtain_file(DEVICE, target) if is_file else second.obtain(DEVICE)
    for session in (first, second):
        session.obtain(DEVICE)
        session.keep_up()
        assert session.verdict().is_allowed
