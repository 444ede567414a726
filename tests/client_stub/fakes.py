"""A clock that stands still, and a license server and an ISCDesk that answer from a script."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

from client_stub.machine.threads import Alarm
from tests.client_stub.signing import NOW, Vendor, unix


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


class TurningAlarm(Alarm):
    """Lets time pass instead of waiting."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.waits: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.pass_time(timedelta(seconds=seconds))


def problem(status: int, code: str, **members: object) -> httpx2.Response:
    document = {"type": "about:blank", "title": "No", "status": status, "detail": f"Detail of {code}.", "code": code}
    return httpx2.Response(
        status,
        content=json.dumps(document | members).encode(),
        headers={"Content-Type": "application/problem+json"} | ({"Retry-After": "90"} if status == 503 else {}),
    )


def file_answer(raw: bytes, digest: str | None = None) -> httpx2.Response:
    right = "sha-256=:" + base64.b64encode(hashlib.sha256(raw).digest()).decode() + ":"
    headers = {"Content-Type": "application/octet-stream", "Content-Digest": right if digest is None else digest}
    return httpx2.Response(200, content=raw, headers=headers)


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
    on_file: Callable[[dict[str, object]], httpx2.Response] | None = None
    on_version: Callable[[dict[str, object]], httpx2.Response] | None = None
    on_list: Callable[[httpx2.Request], httpx2.Response] | None = None
    on_ask: Callable[[str, dict[str, object]], httpx2.Response] | None = None
    list_questions: list[str] = field(default_factory=list)
    requests: list[tuple[str, dict[str, object], str]] = field(default_factory=list)

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        if self.is_down:
            raise httpx2.ConnectError("the server is down", request=request)
        if request.url.path == "/.well-known/jwks.json":
            return httpx2.Response(200, json=self.vendor.jwks)
        if request.url.path == "/v1/revocations":
            self.list_questions.append(str(request.url.query, "ascii"))
            return self.on_list(request) if self.on_list else problem(404, "NOT_FOUND")
        body = json.loads(request.content)
        self.requests.append((request.url.path, body, request.headers.get("Authorization", "")))
        if self.on_ask is not None and request.url.path.startswith(("/v1/seats/", "/v1/devices/")):
            return self.on_ask(request.url.path.removeprefix("/v1/"), body)
        routes = {
            "/v1/licenses/string": self._string,
            "/v1/licenses/file": self._file,
            "/v1/heartbeats": self._heartbeat,
            "/v1/versions/check": self._version,
        }
        return routes[request.url.path](body)

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.requests]

    def _string(self, body: dict[str, object]) -> httpx2.Response:
        if self.on_string is not None:
            return self.on_string(body)
        answer = {"license_string": self.vendor.license_string(self.now(), **self.license_changes)}
        return httpx2.Response(200, json=answer | {"license_id": "lic_1", "refresh_after": self.refresh_after})

    def _file(self, body: dict[str, object]) -> httpx2.Response:
        return self.on_file(body) if self.on_file else file_answer(self.vendor.license_file(self.now()))

    def _version(self, body: dict[str, object]) -> httpx2.Response:
        nothing = {"available": False, "version": None, "forced": False, "manifest": None}
        return self.on_version(body) if self.on_version else httpx2.Response(200, json=nothing)

    def offer_version(self, **changes: Any) -> None:
        """Answer questions for versions with a manifest that fits the question, but for the changes."""

        def answer(body: dict[str, object]) -> httpx2.Response:
            fitting = {"nonce": body["nonce"], "running": body["version"], "platform": body["platform"]}
            manifest = self.vendor.manifest(**fitting | {"exp": unix(self.now()) + 86400} | changes)
            return httpx2.Response(200, json={"available": True, "manifest": manifest})

        self.on_version = answer

    def _heartbeat(self, body: dict[str, object]) -> httpx2.Response:
        if self.on_heartbeat is not None:
            return self.on_heartbeat(body)
        lease = self.vendor.lease(self.now(), **({"nonce": body["nonce"]} | self.lease_changes))
        return httpx2.Response(200, json={"lease": lease, "status": "ACTIVE"})


@dataclass
class FakeIscdesk:
    """Answers as the emulator's ISCDesk does. ``on_apply`` is called with every application."""

    on_apply: Callable[[dict[str, object]], None] = lambda _: None
    is_down: bool = False
    known_instance: str = "RA0001"
    requests: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)
    happened: queue.Queue[dict[str, object]] = field(default_factory=queue.Queue)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    sessions: set[str] = field(default_factory=set)

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        if self.is_down:
            raise httpx2.ConnectError("ISCDesk is not running", request=request)
        body = json.loads(request.content) if request.content else {}
        if not request.url.path.endswith("/events"):
            self.requests.append((request.method, request.url.path, body))
        if request.url.path == "/iscdesk/sessions":
            return self._open(body)
        session, _, what = request.url.path.removeprefix("/iscdesk/sessions/").partition("/")
        if session not in self.sessions:
            return httpx2.Response(404, json={"error": "There is no such session."})
        return self._answer(request.method, session, what, body)

    def happen(self, event: str, text: str, content: bytes | None = None, name: str = "license.lic") -> None:
        file = None if content is None else {"name": name, "content": base64.b64encode(content).decode()}
        self.happened.put({"number": next(self.numbers), "event": event, "text": text, "file": file})

    def bodies(self, what: str) -> list[dict[str, object]]:
        return [body for _, path, body in self.requests if path.endswith("/" + what)]

    def _open(self, body: dict[str, object]) -> httpx2.Response:
        if body["instance_id"] != self.known_instance:
            return httpx2.Response(404, json={"error": "There is no such instance."})
        self.sessions.add(f"s{len(self.sessions) + 1}")
        return httpx2.Response(201, json={"session": f"s{len(self.sessions)}"})

    def _answer(self, method: str, session: str, what: str, body: dict[str, object]) -> httpx2.Response:
        if method == "DELETE":
            self.sessions.discard(session)
            self.happened.put({})  # ends the question that is open
            return httpx2.Response(204)
        if what == "events":
            event = self.happened.get()
            return httpx2.Response(200, json={"events": [event] if event else []})
        if what in ("licenses", "trial-expirations"):
            self.on_apply(body)
        return httpx2.Response(202, json={"event_id": "evt-1"})


@contextmanager
def serving(server: FakeServer | FakeIscdesk) -> Iterator[str]:
    """Serve the fake on a real socket of this computer, and give its URL."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            url = f"http://127.0.0.1{self.path}"
            answer = server.handle(httpx2.Request(self.command, url, headers=dict(self.headers), content=content))
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.end_headers()
            self.wfile.write(answer.content)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
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
