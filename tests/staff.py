"""People, programs and browsers at the desk of a whole process, on both databases."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx2
import pytest
from sqlmodel import select
from starlette.types import ASGIApp

from licsrv import app as application
from licsrv import audit
from licsrv.audit import Cause
from licsrv.audit.tables import AuditEntry
from licsrv.desk.desk import Desk
from licsrv.people import accounts, credentials, passwords, sessions, sign_in, tokens, totp
from licsrv.people.accounts import NewAccount, Password
from licsrv.people.actors import at_the_terminal
from licsrv.people.roles import Permissions, Role
from licsrv.people.sessions import Browser, Opened
from licsrv.people.tables import Account
from licsrv.people.tokens import Made, NewToken
from licsrv.platform import sealing
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime

BASE = "https://licsrv.test"
PASSWORD = "correct horse battery staple"
SECRET = b"12345678901234567890"
TERMINAL = at_the_terminal("staff:test")


@cache
def phc() -> str:
    return passwords.hash_password(PASSWORD)


@dataclass
class Visitor:
    """A browser (or a program, while it has no session): keeps the cookie and the CSRF token as our pages do."""

    http: httpx2.AsyncClient
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> httpx2.Response:
        own = {"Origin": BASE} | ({"X-CSRF-Token": self.csrf} if self.csrf else {})
        return await self.http.request(method, path, json=body, headers=own | self.headers | headers)

    async def sign_in(self, name: str, password: str = PASSWORD, code: str = "") -> httpx2.Response:
        answer = await self.call("POST", "/admin/api/session", {"name": name, "password": password, "code": code})
        if answer.status_code == 200:
            self.csrf = answer.json()["csrf_token"]
        return answer

    @property
    def cookie(self) -> str:
        return self.http.cookies.get("__Host-licsrv") or ""


@dataclass
class House:
    """A process with its desk."""

    runtime: Runtime
    desk: Desk
    app: ASGIApp
    open: list[httpx2.AsyncClient] = field(default_factory=list)

    def visitor(self, *, base: str = BASE, address: str = "192.0.2.1") -> Visitor:
        transport = httpx2.ASGITransport(app=self.app, client=(address, 1234))
        self.open.append(httpx2.AsyncClient(transport=transport, base_url=base))
        return Visitor(self.open[-1])

    def hire(self, name: str, role: Role = Role.OPERATOR, *, second_factor: bool = True, **facts: Any) -> None:
        """Let there be a person with a password (and a second factor) of their own."""
        now = self.runtime.clock.now()
        sealed = sealing.seal(totp.text_of(SECRET), device_key=sign_in.factor_keys(self.desk).sealing)
        with transaction(self.runtime.database, (audit.seal,)) as session:
            password = Password(phc())
            accounts.add(session, NewAccount(name, role), password, actor=TERMINAL, cause=Cause("test"), now=now)
            account = accounts.locked(session, name)
            account.totp_sealed = sealed if second_factor else None
            account.approver_since = None  # they have been here for long
            for member, value in facts.items():
                setattr(account, member, value)
            session.add(account)

    def finish(self, name: str) -> None:
        """Let a person have finished an account that was made or reset, without another credential."""
        sealed = sealing.seal(totp.text_of(SECRET), device_key=sign_in.factor_keys(self.desk).sealing)
        with transaction(self.runtime.database) as session:
            account = accounts.locked(session, name)
            account.temporary_until, account.totp_sealed = None, sealed
            session.add(account)

    def enter(self, name: str) -> Opened:
        """Open a session without asking for a password."""
        now = self.runtime.clock.now()
        with transaction(self.runtime.database) as session:
            account = accounts.named(session, name)
            return sessions.open_session(
                session, account, Browser("192.0.2.1", "test"), settings=self.desk.settings, now=now
            )

    def signed_in(self, name: str) -> Visitor:
        visitor = self.visitor()
        token = self.enter(name).token
        visitor.csrf = credentials.csrf_token_of(token)
        visitor.http.cookies.set("__Host-licsrv", token, domain="licsrv.test")
        return visitor

    def token(self, scopes: Permissions, **facts: Any) -> Made:
        """Make an API token at the terminal."""
        now = self.runtime.clock.now()
        wanted = NewToken("program", scopes, now + tokens.LONGEST_SPAN)
        with transaction(self.runtime.database, (audit.seal,)) as session:
            made = tokens.make(session, wanted, actor=TERMINAL, cause=Cause("test"), now=now)
            for member, value in facts.items():
                setattr(made.row, member, value)
            session.flush()
            session.refresh(made.row)
            session.expunge(made.row)
            return made

    def program(self, scopes: Permissions) -> Visitor:
        visitor = self.visitor()
        visitor.headers["Authorization"] = f"Bearer {self.token(scopes).secret}"
        return visitor

    def account(self, name: str) -> Account:
        with reading(self.runtime.database) as session:
            found = accounts.named(session, name)
            session.expunge(found)
            return found

    def code(self, steps: int = 0) -> str:
        """Return the code that the authenticator app shows now, or so many steps from now."""
        return totp.code_of(SECRET, totp.step_at(self.runtime.clock.now()) + steps)

    def audited(self, *actions: audit.Action) -> list[AuditEntry]:
        with reading(self.runtime.database) as session:
            query = select(AuditEntry).order_by(AuditEntry.seq)  # type: ignore[arg-type]
            rows = [row for row in session.scalars(query) if not actions or row.action in actions]
            session.expunge_all()
            return rows


@pytest.fixture
async def house(runtime: Runtime) -> Any:
    found = House(runtime, application.build_desk(runtime), application.create_app(runtime))
    yield found
    for http in found.open:
        await http.aclose()
