"""A shop full of licenses, and people who change many at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from licsrv import app as application
from licsrv import audit
from licsrv.audit import Cause
from licsrv.desk.bulk.tables import BulkRow
from licsrv.licensing import changes, store
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.tables import License
from licsrv.people.roles import Role
from licsrv.platform.db import reading, transaction
from tests.conftest import NOW
from tests.staff import House, Visitor

PATH = "/admin/api/bulk"
REASON = "Chargeback of the whole order."


class Shop:
    """Licenses and people of one house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.runtime = house.runtime

    def stock(self, count: int, *, first: int = 0) -> list[str]:
        """Sell so many licenses; return their codes."""
        codes = [f"PL{number:010}" for number in range(first, first + count)]
        with transaction(self.runtime.database, (audit.seal,)) as session:
            for code in codes:
                purchase = Purchase(code, MANUAL, customer="Ann & Sons", expires_at=NOW + timedelta(days=10))
                changes.add(session, purchase, cause=Cause("test"), now=NOW)
        return codes

    def sell(self, *codes: str) -> None:
        """Put licenses of exactly these codes into the database, as the marketplace may have named them."""
        with transaction(self.runtime.database, (audit.seal,)) as session:
            for code in codes:
                changes.confirm(session, Purchase(code, MANUAL), cause=Cause("test"), now=NOW)

    def license(self, code: str) -> License:
        with reading(self.runtime.database) as session:
            found = store.license_by_code(session, code)
            assert found is not None
            session.expunge(found)
            return found

    def revoked(self) -> int:
        with reading(self.runtime.database) as session:
            return sum(row.revoked_at is not None for row in session.scalars(select(License)))

    def outcomes(self, job_id: str) -> list[str | None]:
        with reading(self.runtime.database) as session:
            query = select(BulkRow).where(BulkRow.job_id == job_id).order_by(BulkRow.number)  # type: ignore[arg-type]
            return [row.outcome for row in session.scalars(query)]

    def verified(self) -> str | None:
        with reading(self.runtime.database) as session:
            return audit.verify(session)

    def person(self, name: str, role: Role = Role.SUPERVISOR) -> Visitor:
        self.house.hire(name, role)
        return self.house.signed_in(name)

    def limit(self, above: int) -> None:
        """Let work on more licenses than this wait for a second person; for visitors from now on."""
        settings = self.runtime.settings.model_copy(update={"bulk_approval_above": above})
        self.runtime.settings = settings
        self.house.app = application.create_app(self.runtime)

    async def prepared(self, visitor: Visitor, text: str, action: str = "revoke", **facts: Any) -> dict[str, Any]:
        """Make a job and give it its list."""
        made = await visitor.call("POST", PATH, {"action": action, "reason": REASON, **facts})
        assert made.status_code == 200, made.text
        answer = await upload(visitor, made.json()["id"], text.encode())
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def carried_out(self) -> None:
        """Let this process work on whatever was started."""
        await self.runtime.bulk.tick()
        await self.runtime.bulk.finished()


async def upload(visitor: Visitor, job_id: str, raw: bytes, kind: str = "text/csv") -> httpx2.Response:
    headers = {"Origin": "https://licsrv.test", "X-CSRF-Token": visitor.csrf, "Content-Type": kind}
    return await visitor.http.put(f"{PATH}/{job_id}/list", content=raw, headers=headers | visitor.headers)


async def say(visitor: Visitor, job_id: str, word: str) -> httpx2.Response:
    return await visitor.call("POST", f"{PATH}/{job_id}/{word}", {"reason": "As agreed."})


@pytest.fixture
def shop(house: House) -> Shop:
    return Shop(house)
