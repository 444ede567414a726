"""A product keeps the claim that programs compare, whatever it is called; its other names are listed."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import MetaData, Table
from sqlmodel import select

from client_stub import PinnedKeys, VerificationError, verify_license, verify_license_file
from licsrv import migrations
from licsrv.app import Runtime
from licsrv.licensing import naming
from licsrv.licensing.tables import Product
from licsrv.platform.db import reading, transaction
from tests.conftest import DEVICE, NOW
from tests.former_steps import at_step
from tests.licensing.test_activation import add_license, ask
from tests.tables import each


def describe(runtime: Runtime, name: str, **changes: Any) -> None:
    with transaction(runtime.database) as session:
        session.add(Product(product_id="OFFI-CAD", name=name, **changes))
    add_license(runtime, "C-1", product_id="OFFI-CAD")


def rename(runtime: Runtime, name: str) -> None:
    with transaction(runtime.database) as session:
        product = session.exec(select(Product)).one()
        product.former_names = naming.former_after(product.former_names, product.name, name)
        product.name = name


async def string(client: httpx2.AsyncClient) -> str:
    answer = await client.post("/v1/licenses/string", json=ask("C-1", DEVICE))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["license_string"])


def claims(text: str) -> dict[str, Any]:
    payload = text.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def said(text: str) -> tuple[object, object, object]:
    found = claims(text)
    return found["product"], found.get("name"), found.get("aka")


async def keys(client: httpx2.AsyncClient) -> PinnedKeys:
    return PinnedKeys.from_jwks((await client.get("/.well-known/jwks.json")).json())


async def test_the_signed_product_is_the_id_whatever_it_is_called(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    describe(runtime, "CADPRO")
    texts = [await string(client)]
    for name in ("CAD Pro", "CAD 专业版", "CADPRO"):
        rename(runtime, name)
        texts.append(await string(client))

    assert [said(text) for text in texts] == [
        ("OFFI-CAD", "CADPRO", None),
        ("OFFI-CAD", "CAD Pro", ["CADPRO"]),
        ("OFFI-CAD", "CAD 专业版", ["CADPRO", "CAD Pro"]),
        ("OFFI-CAD", "CADPRO", ["CAD Pro", "CAD 专业版"]),
    ]


async def test_a_product_of_former_times_goes_on_signing_its_name(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    describe(runtime, "CADPRO", signed_as="CADPRO")
    before = await string(client)
    rename(runtime, "CAD Pro")

    after = await string(client)

    assert [said(before), said(after)] == [("CADPRO", None, ["OFFI-CAD"]), ("CADPRO", "CAD Pro", ["OFFI-CAD"])]


@pytest.mark.parametrize("signed_as", [None, "CADPRO"])
async def test_a_program_that_expects_any_of_the_names_goes_on_working(
    client: httpx2.AsyncClient, runtime: Runtime, signed_as: str | None
) -> None:
    describe(runtime, "CADPRO", signed_as=signed_as)
    await string(client)
    rename(runtime, "CAD Pro")
    text = await string(client)
    file = (await client.post("/v1/licenses/file", json=ask("C-1", DEVICE))).content
    pinned = await keys(client)

    for row in each(["OFFI-CAD", "CADPRO", "CAD Pro", ("OTHER", "OFFI-CAD")]):
        with row as product:
            believed = verify_license(text, pinned, device_info=DEVICE, now=NOW, product=product)
            assert believed.product_name in ("CAD Pro", "")
            assert verify_license_file(file, pinned, device_info=DEVICE, now=NOW, product=product)
    for row in each(["CADPRO2", "cadpro", "", (), ("OTHER",)]):
        with row as product, pytest.raises(VerificationError, match="another product"):
            verify_license(text, pinned, device_info=DEVICE, now=NOW, product=product)
    assert b"CAD Pro" in file.partition(b"-----BEGIN")[0]


async def test_a_text_of_former_times_is_believed_by_a_new_program_that_lists_the_name(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    describe(runtime, "CADPRO", signed_as="CADPRO")
    found = claims(await string(client))

    assert found["product"] == "CADPRO", "what a program of former times compares"
    pinned = await keys(client)
    assert (
        verify_license(
            await string(client), pinned, device_info=DEVICE, now=NOW, product=("OFFI-CAD", "CADPRO")
        ).product
        == "CADPRO"
    )


def test_products_that_were_there_before_go_on_signing_their_names(tmp_path: Path) -> None:
    database = at_step(f"sqlite:///{tmp_path}/before.db", "0020")
    with database.write.connect() as connection:
        table = Table("products", MetaData(), autoload_with=connection)
        row = {"product_id": "OFFI-CAD", "name": "CADPRO", "features": "[]", "amount_is_places": True}
        connection.execute(table.insert(), [row])
        connection.commit()

    migrations.upgrade(database)

    with reading(database) as session:
        product = session.exec(select(Product)).one()
        assert (product.signed_as, product.former_names) == ("CADPRO", None)
    database.dispose()


def test_names_are_a_set_that_loses_none() -> None:
    table = [
        (("P", "P", None, []), ("P", "P", [])),
        (("P", "Name", None, []), ("P", "Name", [])),
        (("P", "Name", "Old", ["Older", "Old", "P", "Older"]), ("Old", "Name", ["P", "Older"])),
        (("P", "Old", "Old", []), ("Old", "Old", ["P"])),
    ]
    for row in each(table):
        with row as ((product_id, name, signed_as, former), expected):
            found = naming.names(product_id, name, signed_as, former=former)
            assert (found.signed, found.shown, list(found.others)) == expected
    assert naming.former_after(["A", "B"], "C", "A") == ["B", "C"]
