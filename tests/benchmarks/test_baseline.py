"""The bare route is comparable: same uvicorn options as the service, same size of answer."""

from __future__ import annotations

import ast
from pathlib import Path

import httpx2
import pytest

import benchmarks.baseline
import licsrv.cli.serve
from benchmarks.baseline import application

# These say what is served and where; the stop is no part of what is measured. The service's own limits (its protocol
# and its number of connections) are: what they cost shows in its share.
NOT_COMPARED = {
    "factory", "host", "port", "workers", "forwarded_allow_ips", "timeout_graceful_shutdown",
    "http", "ws", "limit_concurrency",
}  # fmt: skip


def options_of(path: Path) -> dict[str, str]:
    """Return the keyword arguments with which a module makes its one server, as they are written."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    (call,) = [call for call in calls if ast.unparse(call.func) in {"uvicorn.run", "uvicorn.Config"}]
    return {word.arg: ast.unparse(word.value) for word in call.keywords if word.arg and word.arg not in NOT_COMPARED}


def test_it_is_served_by_the_options_of_the_service() -> None:
    assert options_of(Path(benchmarks.baseline.__file__)) == options_of(Path(licsrv.cli.serve.__file__))


@pytest.mark.parametrize("size", [15, 16, 1100])
async def test_it_answers_as_many_bytes_as_asked_for(size: int) -> None:
    transport = httpx2.ASGITransport(app=application("/v1/heartbeats", size))
    async with httpx2.AsyncClient(transport=transport, base_url="http://bare.test") as client:
        response = await client.post("/v1/heartbeats", content=b"x" * 1000)

    assert response.status_code == 200
    assert len(response.content) == size
    assert response.json()["constant"] == "x" * (size - 15)
