"""The real service in this process, without a socket: it can be asked, crash at a commit, and be started again."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import event
from sqlmodel import Session

from licsrv import app as application
from licsrv import audit
from licsrv.audit import Cause
from licsrv.licensing import changes
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.people.roles import GRANTABLE
from licsrv.platform.config import Settings
from licsrv.platform.db import transaction
from licsrv.runtime import Runtime
from licsrv.seats import presence
from tests.conftest import StandingClock
from tests.marketplace.sending import sign
from tests.model.model import Answer
from tests.model.seller import Seller
from tests.products import describe
from tests.staff import House

_OK = {200: "OK", 500: "CRASHED"}
_MOMENTS = frozenset({"expires_at", "lease_until", "until"})
_nonces = itertools.count()


LATE = "LATE"
"""In place of an answer that came too late; what was asked for is done."""


class CrashError(Exception):
    """What an injected failure raises."""


@dataclass
class Fault:
    """A failure at one of the next commits of the writer: before it, so that nothing is kept, or right after it."""

    commits: int = 0
    is_after: bool = False
    has_struck: bool = False
    _gate: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, commits: int, *, is_after: bool) -> None:
        self.commits, self.is_after, self.has_struck = commits, is_after, False

    def disarm(self) -> bool:
        """Return whether it struck."""
        self.commits = 0
        return self.has_struck

    def note(self, *, is_after: bool) -> None:
        with self._gate:
            if not self.commits or is_after is not self.is_after:
                return
            self.commits -= 1
            if self.commits:
                return
            self.has_struck = True
        raise CrashError


@dataclass
class Service:
    """A running service on one database."""

    settings: Settings
    clock: StandingClock
    seller: Seller
    fault: Fault = field(default_factory=Fault)
    runtime: Runtime = field(init=False)
    app: Any = field(init=False)
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self._start()
        self.token = House(self.runtime, None, None).token(GRANTABLE).secret  # type: ignore[arg-type]

    def _start(self) -> None:
        self.runtime = application.build_runtime(self.settings, clock=self.clock, transport=self.seller)
        self.runtime.writer.add_hooks([lambda _: self.fault.note(is_after=False)])
        self.app = application.create_app(self.runtime)

    async def restart(self) -> None:
        """End the process and start another one on the same database."""
        await self.runtime.close()
        self._start()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Notice commits, so that a crash right after one can be injected."""

        def committed(session: Session) -> None:
            if session.get_bind() is self.runtime.database.write:
                self.fault.note(is_after=True)

        event.listen(Session, "after_commit", committed)
        try:
            yield
        finally:
            event.remove(Session, "after_commit", committed)

    async def note_presence(self) -> None:
        """Note that the process lives, as it does every ten seconds."""
        now, replica = self.clock.now(), self.runtime.replica
        await self.runtime.writer.run(lambda session: presence.note(session, replica, now=now))

    async def live_through(self) -> None:
        """Be alive up to now: the last of the notes that were made every ten seconds meanwhile."""
        self.runtime.replica.noted_at = self.clock.now()
        await self.note_presence()

    def describe(self, product_id: str) -> None:
        with transaction(self.runtime.database, (audit.seal,)) as session:
            describe(session, product_id)

    def sell(self, code: str, product: str, *, places: int | None, end: datetime | None) -> None:
        """Sell a license without the marketplace."""
        purchase = Purchase(code, MANUAL, product, device_limit=places, expires_at=end)
        with transaction(self.runtime.database, (audit.seal,)) as session:
            changes.add(session, purchase, cause=Cause("model"), now=self.clock.now())

    async def device(self, path: str, body: Mapping[str, Any], bearer: str = "") -> Answer:
        """Ask as a device does."""
        return await self._asked("POST", path, body, headers={"authorization": f"Bearer {bearer}"} if bearer else {})

    async def staff(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, key: str = "") -> Answer:
        """Ask as a program of the vendor's does."""
        headers = {"authorization": f"Bearer {self.token}"} | ({"idempotency-key": key} if key else {})
        return await self._asked(method, f"/admin/api{path}", body, headers=headers)

    async def callback(self, body: Mapping[str, Any], *, at: datetime) -> Answer:
        """Send a callback that is signed at a moment, as the marketplace does."""
        raw = json.dumps(body, separators=(",", ":")).encode()
        nonce, timestamp = f"n{next(_nonces)}", str(int(at.timestamp() * 1000))
        query = f"signature={sign(raw, nonce, timestamp)}&timestamp={timestamp}&nonce={nonce}"
        answer = await self._asked("POST", "/marketplace/callback", raw, query=query)
        if str(answer.members.get("resultMsg", "")).startswith("The service is busy"):
            return await self._late()
        return Answer(answer.members["resultCode"]) if "resultCode" in answer.members else answer

    async def _late(self) -> Answer:
        """Wait for a callback that was not done within four seconds, on a busy machine: it is done all the same."""
        for _ in range(8):  # more than the writer has threads
            await self.runtime.writer.run(lambda _: None)
        return Answer(LATE)

    async def list(self) -> bytes:
        """Return the payload of the revocation list."""
        _, content = await self._call("GET", "/v1/revocations")
        return decoded(content.decode())

    async def _asked(
        self, method: str, path: str, body: Mapping[str, Any] | bytes | None = None, **more: Any
    ) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        status, content = await self._call(method, path, raw, **more)
        members = json.loads(content) if content[:1] == b"{" else {"text": content.decode()}
        read = {name: _moment(value) if name in _MOMENTS else value for name, value in members.items()}
        return Answer(_OK.get(status) or str(read.get("code", status)), read)

    async def _call(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, query: str = ""
    ) -> tuple[int, bytes]:
        """Make one request of the application; the network is left out."""
        sent = {"content-type": "application/json", "host": "licsrv.test"} | dict(headers or {})
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": ("192.0.2.1", 1234), "server": ("licsrv.test", 443),
        }  # fmt: skip
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        status, content = 0, bytearray()

        async def receive() -> Mapping[str, Any]:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            content.extend(message.get("body", b""))

        await self.app(scope, receive, send)
        return status, bytes(content)


def decoded(text: str) -> bytes:
    """Return the payload of a compact signed text."""
    return base64.urlsafe_b64decode(text.split(".")[1] + "==")


def text_id(answer: Answer) -> str | None:
    """Return the id of the license string or file that an answer holds."""
    members = answer.members
    if "license_string" in members:
        return str(json.loads(decoded(members["license_string"]))["jti"])
    armour = members.get("text", "").partition("-----BEGIN LICENSE-----")[2].partition("-----END")[0]
    if not armour:
        return None
    signed = json.loads(base64.b64decode("".join(armour.split())))
    return str(json.loads(base64.urlsafe_b64decode(signed["payload"] + "=="))["jti"])


def _moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value).astimezone(UTC) if value is not None else None
