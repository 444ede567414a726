"""A clock that stands still, and a license server that answers from a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2

from tests.client_stub.signing import NOW, Vendor


@dataclass
class FakeClock:
    own_time: datetime = NOW
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.own_time

    def monotonic(self) -> float:
        return self.seconds

    def pass_time(self, span: timedelta) -> None:
        self.own_time += span
        self.seconds += span.total_seconds()

    def set_by_hand(self, moment: datetime) -> None:
        self.own_time = moment


def problem(status: int, code: str, **members: object) -> httpx2.Response:
    document = {"type": "about:blank", "title": "No", "status": status, "detail": f"Detail of {code}.", "code": code}
    return httpx2.Response(
        status,
        content=json.dumps(document | members).encode(),
        headers={"Content-Type": "application/problem+json"} | ({"Retry-After": "90"} if status == 503 else {}),
    )


@dataclass
class FakeServer:
    """Answers as licsrv does. ``now`` is its own clock; ``on_string`` and ``on_heartbeat`` replace its answers."""

    vendor: Vendor = field(default_factory=Vendor)
    now: Callable[[], datetime] = lambda: NOW
    license_changes: dict[str, object] = field(default_factory=dict)
    lease_changes: dict[str, object] = field(default_factory=dict)
    refresh_after: str | None = None
    is_down: bool = False
    on_string: Callable[[dict[str, object]], httpx2.Response] | None = None
    on_heartbeat: Callable[[dict[str, object]], httpx2.Response] | None = None
    requests: list[tuple[str, dict[str, object], str]] = field(default_factory=list)

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        if self.is_down:
            raise httpx2.ConnectError("the server is down", request=request)
        if request.url.path == "/.well-known/jwks.json":
            return httpx2.Response(200, json=self.vendor.jwks)
        body = json.loads(request.content)
        self.requests.append((request.url.path, body, request.headers.get("Authorization", "")))
        routes = {"/v1/licenses/string": self._string, "/v1/heartbeats": self._heartbeat}
        return routes[request.url.path](body)

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.requests]

    def _string(self, body: dict[str, object]) -> httpx2.Response:
        if self.on_string is not None:
            return self.on_string(body)
        answer = {"license_string": self.vendor.license_string(self.now(), **self.license_changes)}
        return httpx2.Response(200, json=answer | {"license_id": "lic_1", "refresh_after": self.refresh_after})

    def _heartbeat(self, body: dict[str, object]) -> httpx2.Response:
        if self.on_heartbeat is not None:
            return self.on_heartbeat(body)
        lease = self.vendor.lease(self.now(), **({"nonce": body["nonce"]} | self.lease_changes))
        return httpx2.Response(200, json={"lease": lease, "status": "ACTIVE"})


@contextmanager
def serving(server: FakeServer) -> Iterator[str]:
    """Serve the fake on a real socket of this computer, and give its URL."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            url = f"http://127.0.0.1{self.path}"
            answer = server.handle(httpx2.Request(self.command, url, headers=dict(self.headers), content=content))
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}"
        finally:
            http.shutdown()
            thread.join()
