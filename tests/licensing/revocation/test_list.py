"""The revocation list in the database and over HTTP, on both engines."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import httpx2
import pytest
from sqlalchemy import event as database_event
from sqlmodel import Session, col, select
from starlette.applications import Starlette

from licsrv import audit
from licsrv.audit import Cause
from licsrv.licensing import bearers, changes, releasing, store
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.revocation import store as revocation_lists
from licsrv.licensing.revocation.routes import RevocationRoutes
from licsrv.licensing.tables import Device, IssuedLicense, License, RevocationChange, RevocationHead
from licsrv.platform import openapi
from licsrv.platform.db import Database, open_database, reading, transaction
from licsrv.platform.metrics import Metrics
from licsrv.platform.web import exception_handlers
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, NOW, StandingClock
from tests.licensing.reading import ReadList, license_entry, read_list, string_entry

CAUSE = Cause("staff:ann", reason="Charged back.")
OTHER = "02:00:00:00:00:01|DISK-1|BOARD-9|CPU"


class UndoneError(Exception):
    """A change that does not come to its end."""


@pytest.fixture
async def http(runtime: Runtime) -> AsyncIterator[httpx2.AsyncClient]:
    """The route of the list alone."""
    routes = RevocationRoutes(runtime.database, runtime.keyring, "licsrv", runtime.clock)
    app = Starlette(routes=openapi.routes(routes.operations()), exception_handlers=exception_handlers(Metrics()))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as client:
        yield client


def add(database: Database, code: str, **facts: Any) -> str:
    with transaction(database) as session:
        return changes.add(session, Purchase(code, MANUAL, **facts), cause=CAUSE, now=NOW).id


def change(database: Database, code: str, how: Any) -> None:
    with transaction(database) as session:
        license = store.license_for_update(session, code)
        how(session, license, cause=CAUSE, now=NOW)


async def ask(client: httpx2.AsyncClient, code: str, device: str = DEVICE) -> str:
    body = {"code": code, "device_info": device, "nonce": "n"}
    answer = await client.post("/v1/licenses/string", json=body)
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["license_string"]
    return text


def give_back(runtime: Runtime, string: str) -> None:
    """Release a device's place as staff does, whatever license files the device holds."""
    with transaction(runtime.database) as session:
        device = bearers.authenticate(session, string, keyring=runtime.keyring()).device
        releasing.release_device(session, device, cause=CAUSE, now=runtime.clock.now())


async def fetch(http: httpx2.AsyncClient, runtime: Runtime, since: int | None = None) -> ReadList:
    answer = await http.get("/v1/revocations", params={} if since is None else {"since": str(since)})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/jose"
    return read_list(answer.text, runtime.keyring().jwks())


def rows(database: Database) -> list[RevocationChange]:
    with reading(database) as session:
        found = list(session.exec(select(RevocationChange).order_by(col(RevocationChange.number))))
        session.expunge_all()
        return found


def issued_ids(runtime: Runtime) -> list[str]:
    with reading(runtime.database) as session:
        return list(session.exec(select(IssuedLicense.id)))


async def test_an_empty_list_is_a_list(http: httpx2.AsyncClient, runtime: Runtime) -> None:
    read = await fetch(http, runtime)

    assert (read.head["number"], read.head["since"], read.add) == (0, 0, [])
    assert await fetch(http, runtime, 0) == read


async def test_a_revoked_license_is_listed_and_a_reinstated_one_taken_off(
    http: httpx2.AsyncClient, runtime: Runtime
) -> None:
    license_id = add(runtime.database, "C-1")

    change(runtime.database, "C-1", changes.revoke)
    revoked = await fetch(http, runtime)
    change(runtime.database, "C-1", changes.revoke)
    change(runtime.database, "C-1", changes.reinstate)
    change(runtime.database, "C-1", changes.reinstate)

    assert (revoked.head["number"], revoked.add) == (1, [license_entry(license_id)])
    delta = await fetch(http, runtime, 1)
    assert (delta.head["number"], delta.head["since"], delta.add) == (2, 1, [])
    assert delta.remove == [license_entry(license_id)]
    assert (await fetch(http, runtime)).add == []
    assert (await fetch(http, runtime, 2)).remove == []


async def test_what_is_released_stays_listed(http: httpx2.AsyncClient, runtime: Runtime) -> None:
    license_id = add(runtime.database, "C-1")
    change(runtime.database, "C-1", changes.revoke)

    change(runtime.database, "C-1", changes.release)
    change(runtime.database, "C-1", changes.release)
    change(runtime.database, "C-1", changes.reinstate)

    read = await fetch(http, runtime)
    assert (read.head["number"], read.add) == (1, [license_entry(license_id)])


async def test_a_frozen_license_is_not_listed(http: httpx2.AsyncClient, runtime: Runtime) -> None:
    add(runtime.database, "C-1")
    with transaction(runtime.database) as session:
        license = store.license_for_update(session, "C-1")
        assert license
        changes.set_frozen(session, license, True, stated_at=NOW, cause=CAUSE, now=NOW)

    assert (await fetch(http, runtime)).add == []


async def test_what_a_device_gave_back_is_listed_and_never_handed_out_again(
    http: httpx2.AsyncClient, client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add(runtime.database, "C-1", device_limit=2)
    first = await ask(client, "C-1")
    file = {"code": "C-1", "device_info": DEVICE, "nonce": "n"}
    first_file = (await client.post("/v1/licenses/file", json=file)).text
    given_back = issued_ids(runtime)
    other = await ask(client, "C-1", OTHER)

    give_back(runtime, first)
    give_back(runtime, first)
    again = await ask(client, "C-1")
    again_file = (await client.post("/v1/licenses/file", json=file)).text

    read = await fetch(http, runtime)
    assert len(given_back) == 2
    assert read.add == sorted(string_entry(issued_id) for issued_id in given_back)
    assert again not in {first, other}
    assert again_file != first_file
    assert await ask(client, "C-1") == again
    assert await ask(client, "C-1", OTHER) == other
    give_back(runtime, again)
    assert len((await fetch(http, runtime)).add) == 4


async def test_what_has_ended_needs_no_entry(
    http: httpx2.AsyncClient, client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add(runtime.database, "C-1", expires_at=NOW + timedelta(hours=1))
    string = await ask(client, "C-1")
    clock.advance(hours=1)

    give_back(runtime, string)

    assert (await fetch(http, runtime)).head["number"] == 0


async def test_a_whole_list_forgets_a_license_30_days_after_its_last_string_ended(
    http: httpx2.AsyncClient, client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add(runtime.database, "C-1", expires_at=NOW + timedelta(days=10))
    await ask(client, "C-1")
    with transaction(runtime.database) as session:  # shortened: the string handed out before ends later
        license = store.license_for_update(session, "C-1")
        assert license
        ends_at = NOW + timedelta(days=1)
        changes.change_expiry(session, license, ends_at, stated_at=NOW, may_shorten=True, cause=CAUSE, now=NOW)
    change(runtime.database, "C-1", changes.revoke)

    clock.advance(days=40)
    kept = await fetch(http, runtime)
    clock.advance(days=1)
    left_out = await fetch(http, runtime)

    assert (len(kept.add), len(left_out.add)) == (2, 0)  # the license, and the string that it called back
    assert kept.head["number"] == left_out.head["number"] == 2
    assert rows(runtime.database)[0].ends_at == NOW + timedelta(days=10)


async def test_who_has_the_list_already_is_told_so(http: httpx2.AsyncClient, runtime: Runtime) -> None:
    license_id = add(runtime.database, "C-1")
    first = await http.get("/v1/revocations")
    tag = first.headers["etag"]

    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        same = await http.get("/v1/revocations", headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        assert same.headers["cache-control"] == first.headers["cache-control"] == "public, max-age=300"
    change(runtime.database, "C-1", changes.revoke)
    changed = await http.get("/v1/revocations", headers={"If-None-Match": tag})

    assert changed.status_code == 200
    assert tag.startswith('"')
    assert changed.headers["etag"] != tag
    assert read_list(changed.text, runtime.keyring().jwks()).add == [license_entry(license_id)]


async def test_two_replicas_give_the_same_bytes(http: httpx2.AsyncClient, runtime: Runtime) -> None:
    add(runtime.database, "C-1")
    change(runtime.database, "C-1", changes.revoke)
    other = RevocationRoutes(runtime.database, runtime.keyring, "licsrv", runtime.clock)
    app = Starlette(routes=openapi.routes(other.operations()))
    runtime.clock.move_to(NOW + timedelta(minutes=5))

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as replica:
        assert (await replica.get("/v1/revocations")).content == (await http.get("/v1/revocations")).content


@pytest.mark.parametrize(
    "query",
    ["since=", "since=x", "since=-1", "since=+1", "since=1.0", "since=1e3", "since=0x1", "since=%C2%B2", "since=1_0",
     "since=%EF%BC%91", "since= 1", "since=1&since=1", "since=2", "since=9999999999", "since=99999999999",
     "since=%00", "since=" + "1" * 5000],
)  # fmt: skip
async def test_a_number_that_no_list_has_is_refused(http: httpx2.AsyncClient, runtime: Runtime, query: str) -> None:
    add(runtime.database, "C-1")
    change(runtime.database, "C-1", changes.revoke)

    answer = await http.get(f"/v1/revocations?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_many_who_ask_at_once_get_one_text(http: httpx2.AsyncClient, runtime: Runtime) -> None:
    for number in range(20):
        add(runtime.database, f"C-{number}")
        change(runtime.database, f"C-{number}", changes.revoke)

    answers = await asyncio.gather(*(http.get(f"/v1/revocations?since={number % 20}") for number in range(200)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 20


def test_numbers_have_no_gaps_and_follow_the_order_of_commits(database_url: str) -> None:
    """As many replicas would: writers at once, some of which fail, and a reader who watches."""
    database = open_database(database_url, writers=12)
    codes = [f"C-{number}" for number in range(24)]
    for code in codes:
        add(database, code)
    together = Barrier(13)

    def write(worker: int) -> None:
        together.wait()
        for turn, code in enumerate(codes[worker * 2 : worker * 2 + 2] * 4):
            try:
                with transaction(database, (audit.seal,)) as session:
                    license = store.license_for_update(session, code)
                    assert license
                    (changes.reinstate if license.revoked_at else changes.revoke)(
                        session, license, cause=CAUSE, now=NOW
                    )
                    if turn == 3:
                        raise UndoneError
            except UndoneError:
                continue

    def watch(_: int) -> list[list[int]]:
        together.wait()
        seen = []
        for _ in range(40):
            with reading(database) as session:
                found = revocation_lists.head(session)
                edition = revocation_lists.edition(found, since=0, issuer="licsrv", now=NOW)
                head, numbers = found.number, [row.number for row in revocation_lists.changes_of(session, edition)]
                assert numbers == list(range(1, head + 1))
                seen.append(numbers)
        return seen

    with ThreadPoolExecutor(13) as pool:
        watching = pool.submit(watch, 0)
        list(pool.map(write, range(12)))
        seen = watching.result()

    numbers = [row.number for row in rows(database)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == 12 * 7
    assert all(len(before) <= len(after) for before, after in itertools.pairwise(seen))
    with reading(database) as session:
        assert session.exec(select(RevocationHead)).one().number == len(numbers)
        revoked = session.exec(select(License.id).where(col(License.revoked_at).is_not(None))).all()
        listed = revocation_lists.count_listed(session)
        assert audit.verify(session) is None
    assert listed == len(revoked)
    database.dispose()


def test_a_change_that_is_undone_leaves_the_list_as_it_was(database_url: str) -> None:
    database = open_database(database_url)
    add(database, "C-1")

    def revoke_and_fail(session: Session, license: License, **how: Any) -> None:
        changes.revoke(session, license, **how)
        raise UndoneError

    with pytest.raises(UndoneError):
        change(database, "C-1", revoke_and_fail)

    assert rows(database) == []
    with reading(database) as session:
        assert revocation_lists.head(session).number == 0
    database.dispose()


async def test_a_device_released_by_staff_is_listed_too(
    http: httpx2.AsyncClient, client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add(runtime.database, "C-1")
    await ask(client, "C-1")

    def release(session: Session) -> None:
        device = session.exec(select(Device)).one()
        releasing.release_device(session, device, cause=CAUSE, now=NOW)

    await runtime.writer.run(release)

    assert (await fetch(http, runtime)).add == [string_entry(issued_ids(runtime)[0])]


async def test_an_entry_says_nothing_about_the_license(http: httpx2.AsyncClient, runtime: Runtime) -> None:
    license_id = add(runtime.database, "PL0000000001")
    change(runtime.database, "PL0000000001", changes.revoke)

    content = (await http.get("/v1/revocations")).content
    stored = json.dumps([row.model_dump(mode="json") for row in rows(runtime.database)])

    for secret in (license_id, "PL0000000001"):
        assert secret not in stored
        assert secret.encode() not in content


async def test_many_devices_are_called_back_by_as_many_statements_as_one(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    counted: list[int] = []
    for code, count in (("C-1", 1), ("C-2", 7)):
        add(runtime.database, code, device_limit=count)
        strings = [await ask(client, code, f"0A:00:00:00:17:{n:02X}|WD-7{n}Q|BD-4{n}K|CPU") for n in range(count)]
        statements: list[str] = []

        def note(_: object, __: object, statement: str, *___: object, sent: list[str] = statements) -> None:
            sent.append(statement)

        with transaction(runtime.database) as session:
            license = store.license_for_update(session, code)
            assert license is not None
            held = session.scalars(select(Device.id).where(col(Device.license_id) == license.id)).all()
            database_event.listen(runtime.database.write, "before_cursor_execute", note)
            called_back = changes.reissue(session, license, held, cause=CAUSE, now=NOW)
            database_event.remove(runtime.database.write, "before_cursor_execute", note)
        assert called_back == len(strings) == count
        counted.append(len(statements))

    assert counted[0] == counted[1]
    assert len(rows(runtime.database)) == 8
