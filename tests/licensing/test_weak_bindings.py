"""A machine without facts of its own is bound to its installation, where its product allows that."""

from __future__ import annotations

import httpx2
import pytest
from sqlmodel import select

from licsrv.errors import InvalidRequestError
from licsrv.licensing import fingerprints
from licsrv.licensing.fingerprints import Part
from licsrv.licensing.tables import Device, License
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests import products
from tests.licensing.test_activation import add_license, ask
from tests.licensing.test_binding import fits
from tests.tables import each

IDENTITY = "INSTALL-0123456789ABCDEF0123456789ABCDE7"
OTHER_IDENTITY = "INSTALL-0123456789ABCDEF0123456789ABCDE8"
CONTAINER = f"02:42:AC:11:00:02|{IDENTITY}||BFEBFBFF000906EA"
OTHER_CONTAINER = f"02:42:AC:11:00:02|{OTHER_IDENTITY}||BFEBFBFF000906EA"
MACHINE = f"3C:52:82:11:22:33|WD-0001,{IDENTITY}|BOARD-1|BFEBFBFF000906EA"


def allow(runtime: Runtime, *, weak_binding: bool) -> None:
    with transaction(runtime.database) as session:
        products.describe(session, "CLOUD", {"recognition.weak_binding": weak_binding})
    add_license(runtime, "C-1", device_limit=1, product_id="CLOUD")


async def test_a_container_gets_a_place_of_its_own_and_is_said_to_be_weakly_bound(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    allow(runtime, weak_binding=True)

    answers = [await client.post("/v1/licenses/string", json=ask("C-1", CONTAINER)) for _ in range(2)]
    refused = await client.post("/v1/licenses/string", json=ask("C-1", OTHER_CONTAINER))

    assert [(answer.status_code, answer.json()["weakly_bound"]) for answer in answers] == [(200, True)] * 2
    assert (refused.status_code, refused.json()["code"]) == (409, "DEVICE_LIMIT_REACHED")
    string = answers[0].json()["license_string"].encode()
    assert await fits(client, string, CONTAINER, "string")
    assert not await fits(client, string, OTHER_CONTAINER, "string")
    with reading(runtime.database) as session:
        assert session.exec(select(Device)).one().is_weakly_bound
        assert session.exec(select(License)).one().places_taken == 1


@pytest.mark.parametrize("form", ["string", "file"])
async def test_without_the_products_word_there_is_no_place(
    client: httpx2.AsyncClient, runtime: Runtime, form: str
) -> None:
    allow(runtime, weak_binding=False)

    answer = await client.post(f"/v1/licenses/{form}", json=ask("C-1", CONTAINER))

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert "bound to an installation" in answer.json()["action"]
    with reading(runtime.database) as session:
        assert session.exec(select(License)).one().places_taken == 0


async def test_next_to_facts_an_install_identity_is_not_bound(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    allow(runtime, weak_binding=True)

    answer = await client.post("/v1/licenses/string", json=ask("C-1", MACHINE))

    assert (answer.status_code, answer.json()["weakly_bound"]) == (200, False)
    refused = await client.post("/v1/licenses/string", json=ask("C-1", CONTAINER))
    assert refused.status_code == 409


async def test_a_machine_that_names_facts_later_is_bound_to_them(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    allow(runtime, weak_binding=True)
    await client.post("/v1/licenses/string", json=ask("C-1", CONTAINER))

    answer = await client.post("/v1/licenses/string", json=ask("C-1", MACHINE))

    assert (answer.status_code, answer.json()["weakly_bound"]) == (200, False)
    with reading(runtime.database) as session:
        assert not session.exec(select(Device)).one().is_weakly_bound


async def test_a_device_that_is_bound_again_to_facts_is_no_longer_weakly_bound(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    allow(runtime, weak_binding=True)
    await client.post("/v1/licenses/string", json=ask("C-1", MACHINE))
    older = {"disk": ["0" * 64]}
    with transaction(runtime.database) as session:
        device = session.exec(select(Device)).one()
        device.parts, device.is_weakly_bound = older, True
        session.add(device)

    answer = await client.post("/v1/licenses/string", json=ask("C-1", MACHINE))

    assert (answer.status_code, answer.json()["weakly_bound"]) == (200, False)
    with reading(runtime.database) as session:
        device = session.exec(select(Device)).one()
        assert device.parts != older
        assert not device.is_weakly_bound


def test_only_where_there_is_nothing_else_and_it_is_allowed_an_identity_is_bound() -> None:
    table = [
        (CONTAINER, True, {Part.DISK: (IDENTITY,), Part.CPU: ("BFEBFBFF000906EA",)}),
        (f"|{IDENTITY}||", True, {Part.DISK: (IDENTITY,)}),
        (CONTAINER, False, None),
        ("|||BFEBFBFF000906EA", True, None),
        ("52:54:00:AB:12:99|INSTALL-0123456789ABCDEF0123456789ABCDE7||", True, {Part.MAC: ("525400AB1299",)}),
        ("|INSTALL-7||", False, {Part.DISK: ("INSTALL-7",)}),
    ]
    for row in each(table, names=[text for text, *_ in table]):
        with row as (text, weakly, expected):
            if expected is None:
                with pytest.raises(InvalidRequestError):
                    fingerprints.binding(fingerprints.parse(text), weakly=weakly)
            else:
                assert fingerprints.binding(fingerprints.parse(text), weakly=weakly).values == expected
