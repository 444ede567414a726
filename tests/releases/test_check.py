"""``POST /v1/versions/check``: what clients are offered, with a license and without."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlmodel import Session

from licsrv.licensing import changes as licensing
from licsrv.licensing import store as licensing_store
from licsrv.licensing.bearers import Bearer, authenticate
from licsrv.licensing.tables import License
from licsrv.platform.db import reading
from licsrv.releases import changes, rules
from licsrv.releases.changes import Which
from licsrv.releases.versions import Scheme
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, NOW, OTHER_DEVICE, StandingClock
from tests.releases.conftest import Buyer, Vendor


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def read_manifest(text: str, jwks: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a manifest by code of its own; return its header and its claims."""
    head, payload, signature = text.split(".")
    header = json.loads(decoded(head))
    [key] = [key for key in jwks["keys"] if key["kid"] == header["kid"] and key["purpose"] == "release"]
    Ed25519PublicKey.from_public_bytes(decoded(key["x"])).verify(decoded(signature), f"{head}.{payload}".encode())
    return header, json.loads(decoded(payload))


async def test_a_newer_version_is_offered_and_its_manifest_says_the_same(
    vendor: Vendor, buyer: Buyer, client: httpx2.AsyncClient
) -> None:
    vendor.publish("2.0", minimum_version="1.5")

    answer = await buyer.ask()

    document = answer.json()
    manifest = document.pop("manifest")
    assert (answer.status_code, document) == (
        200,
        {
            "available": True,
            "version": "2.0",
            "forced": True,
            "url": "https://downloads.example.com/cad.bin",
            "sha256": "a" * 64,
            "size": 123,
            "notes": {"zh": "新版", "en": "New"},
            "published_at": "2026-03-01T09:30:00Z",
        },
    )
    header, claims = read_manifest(manifest, (await client.get("/.well-known/jwks.json")).json())
    assert header == {"alg": "EdDSA", "kid": header["kid"], "typ": "release+jwt"}
    assert claims == {
        "iss": "licsrv", "product": "OFFI1", "version": "2.0", "channel": "stable", "platform": "linux",
        "url": document["url"], "sha256": "a" * 64, "size": 123, "forced": True,
        "published_at": int(NOW.timestamp()), "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 86400, "running": "1.0",
    }  # fmt: skip


async def test_a_manifest_answers_one_question(vendor: Vendor, buyer: Buyer, client: httpx2.AsyncClient) -> None:
    """What was true yesterday, shown again today, does not fit today's question."""
    vendor.publish("2.0")

    answer = await buyer.ask(nonce="my-random", version="1.7")
    damaged = [(await buyer.ask(nonce=nonce)).status_code for nonce in ("", "x" * 65, "white space", "\u00e4", 7)]

    _, claims = read_manifest(answer.json()["manifest"], (await client.get("/.well-known/jwks.json")).json())
    assert (claims["nonce"], claims["running"]) == ("my-random", "1.7")
    assert damaged == [422] * 5


@pytest.mark.parametrize(
    "members",
    [{"product": "OFFI2"}, {"channel": "beta"}, {"platform": "windows"}, {"version": "2.0"}, {"version": "3"},
     {"product": "OFFI2", "version": "not a version at all"}],
)  # fmt: skip
async def test_where_there_is_nothing_the_answer_says_so(vendor: Vendor, buyer: Buyer, members: dict[str, str]) -> None:
    vendor.publish("2.0")

    answer = await buyer.ask(**members)

    assert (answer.status_code, answer.json()) == (
        200,
        {
            "available": False, "version": None, "forced": False, "url": None, "sha256": None, "size": None,
            "notes": None, "published_at": None, "manifest": None,
        },
    )  # fmt: skip


@pytest.mark.parametrize("version", ["", "newest", "1.0 beta of ours", "x" * 65, "1.0\n"])
async def test_a_version_that_cannot_be_read_is_refused(vendor: Vendor, buyer: Buyer, version: str) -> None:
    vendor.publish("2.0")

    answer = await buyer.ask(version=version)

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


async def test_versions_are_compared_as_the_product_numbers_them(vendor: Vendor, buyer: Buyer) -> None:
    vendor.rules(scheme=Scheme.SEMVER)
    vendor.publish("2.0.0-rc.2", channel="beta")

    assert await buyer.offered(version="2.0.0-rc.1", channel="beta") == "2.0.0-rc.2"
    assert await buyer.offered(version="2.0.0", channel="beta") is None
    assert (await buyer.ask(version="2.0")).status_code == 422


async def test_every_change_is_seen_at_once(vendor: Vendor, buyer: Buyer, clock: StandingClock) -> None:
    assert await buyer.offered() is None
    vendor.publish("1.5")
    assert await buyer.offered() == "1.5"
    vendor.publish("2.0", minimum_version="2.0")
    assert (await buyer.ask()).json()["forced"] is True

    vendor.act(changes.withdraw, Which("OFFI1", "2.0.0"))

    answer = (await buyer.ask()).json()
    assert (answer["version"], answer["forced"]) == ("1.5", False)
    assert await buyer.offered(version="2.0") is None, "nobody is led back"
    vendor.act(changes.roll_out, Which("OFFI1", "1.5"), 50)
    assert await buyer.offered() is None


async def test_a_version_to_come_is_offered_from_its_moment_on(
    vendor: Vendor, buyer: Buyer, clock: StandingClock
) -> None:
    vendor.publish("2.0", published_at=NOW + timedelta(hours=1))
    assert await buyer.offered() is None

    clock.advance(hours=1)

    assert await buyer.offered() == "2.0"


@pytest.mark.parametrize(
    "authorization", ["Bearer nonsense", "Bearer ", "Basic abc", "", "bearer eyJhbGciOiJub25lIn0.e30."]
)
async def test_an_unknown_bearer_is_refused(vendor: Vendor, client: httpx2.AsyncClient, authorization: str) -> None:
    vendor.publish("2.0")
    body = {"product": "OFFI1", "version": "1.0", "channel": "stable", "platform": "linux"}

    answer = await client.post("/v1/versions/check", json=body, headers={"Authorization": authorization})

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("product", ["OFFI2", "OFFI9", "CAD"])
async def test_a_license_of_another_product_is_refused(vendor: Vendor, buyer: Buyer, product: str) -> None:
    vendor.describe("OFFI2", "CAD")
    vendor.publish("2.0", product_id="OFFI2")
    vendor.sell(product_id="OFFI1")

    answer = await buyer.ask(await buyer.string(), product=product)

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


async def test_a_renamed_product_is_found_by_every_name_that_it_had(
    vendor: Vendor, buyer: Buyer, client: httpx2.AsyncClient
) -> None:
    vendor.describe("OFFI1", "CADPRO")
    vendor.publish("2.0")
    vendor.sell()
    string = await buyer.string()
    vendor.rename("OFFI1", "CAD 100%_专业版")
    vendor.rename("OFFI1", "CAD")

    for name in ("OFFI1", "CADPRO", "CAD 100%_专业版", "CAD"):
        answer = await buyer.ask(string, product=name)
        assert answer.json()["version"] == "2.0", name
        assert await buyer.offered(product=name) == "2.0"
        _, claims = read_manifest(answer.json()["manifest"], (await client.get("/.well-known/jwks.json")).json())
        assert claims["product"] == name
    for name in ("CADPR", "CAD 100", "cadpro", '"', "%", "[]", ", "):
        assert (await buyer.ask(string, product=name)).status_code == 403
        assert await buyer.offered(product=name) is None


async def test_a_product_is_found_by_its_name_too(vendor: Vendor, buyer: Buyer, client: httpx2.AsyncClient) -> None:
    vendor.describe("OFFI1", "CAD 专业版")
    vendor.publish("2.0")
    vendor.sell()

    answer = await buyer.ask(await buyer.string(), product="CAD 专业版")

    assert answer.json()["version"] == "2.0"
    _, claims = read_manifest(answer.json()["manifest"], (await client.get("/.well-known/jwks.json")).json())
    assert claims["product"] == "CAD 专业版"
    assert await buyer.offered(product="CAD 专业版") == "2.0"


async def test_of_products_that_share_a_name_the_licenses_own_counts(vendor: Vendor, buyer: Buyer) -> None:
    for product_id in ("MONTHLY", "YEARLY", "FOREVER"):
        vendor.describe(product_id, "CAD")
        vendor.sell(f"C-{product_id}", product_id)
    vendor.publish("2.0", product_id="MONTHLY")
    vendor.publish("3.0", product_id="YEARLY")

    found = {
        product_id: await buyer.offered(await buyer.string(f"C-{product_id}"), product="CAD")
        for product_id in ("MONTHLY", "YEARLY", "FOREVER")
    }

    # Nothing was published for FOREVER itself, so it gets what the first of its namesakes has.
    assert found == {"MONTHLY": "2.0", "YEARLY": "3.0", "FOREVER": "2.0"}


async def test_a_license_gets_what_was_published_while_it_was_maintained(
    vendor: Vendor, buyer: Buyer, clock: StandingClock
) -> None:
    vendor.rules(maintenance_months=1)
    vendor.sell()
    string = await buyer.string()
    clock.move_to(NOW + timedelta(days=31, seconds=-1))  # maintenance ends on 1 April
    vendor.publish("2.0")
    clock.advance(seconds=1)
    vendor.publish("3.0")
    clock.advance(days=400)

    assert await buyer.offered(string) == "2.0"
    assert await buyer.offered() is None, "nobody knows whether one without a license is maintained"
    vendor.rules(maintenance_months=0)
    assert await buyer.offered(string) == "3.0"
    assert await buyer.offered() == "3.0"


def freeze(session: Any, license: License, **circumstances: Any) -> None:
    licensing.set_frozen(session, license, True, stated_at=NOW, **circumstances)


@pytest.mark.parametrize(
    ("use_case", "expected"), [(licensing.revoke, None), (licensing.release, None), (freeze, "2.0")]
)
async def test_a_dead_license_is_offered_nothing(
    vendor: Vendor, buyer: Buyer, use_case: Any, expected: str | None
) -> None:
    vendor.publish("2.0")
    vendor.sell()
    string = await buyer.string()
    assert await buyer.offered(string) == "2.0"

    def change(session: Any, **circumstances: Any) -> None:
        license = licensing_store.license_for_update(session, "C-1")
        use_case(session, license, **circumstances)

    vendor.act(change)

    assert await buyer.offered(string) == expected


async def test_an_expired_license_is_offered_nothing(vendor: Vendor, buyer: Buyer, clock: StandingClock) -> None:
    vendor.publish("2.0")
    vendor.sell(expires_at=NOW + timedelta(days=1))
    string = await buyer.string()
    clock.advance(days=1, seconds=-1)
    assert await buyer.offered(string) == "2.0"

    clock.advance(seconds=1)

    assert await buyer.offered(string) is None


async def test_a_device_that_gave_its_place_back_is_offered_nothing(
    vendor: Vendor, buyer: Buyer, client: httpx2.AsyncClient
) -> None:
    vendor.publish("2.0")
    vendor.sell()
    string = await buyer.string()

    await client.post(
        "/v1/devices/release", headers={"Authorization": f"Bearer {string}"}, json={"device_info": DEVICE}
    )

    assert await buyer.offered(string) is None


def authenticated(session: Session, runtime: Runtime, string: str) -> Bearer:
    return authenticate(session, string, keyring=runtime.keyring())


async def test_a_roll_out_reaches_some_devices_first_and_keeps_them(
    vendor: Vendor, buyer: Buyer, runtime: Runtime
) -> None:
    release_id = vendor.publish("2.0", rollout_percent=0)
    vendor.sell(device_limit=2)
    strings = [await buyer.string(device=device) for device in (DEVICE, OTHER_DEVICE)]
    with reading(runtime.database) as session:
        devices = [bearer.device.id for bearer in (authenticated(session, runtime, string) for string in strings)]
    first_at = [
        next(share for share in range(101) if rules.is_rolled_out(release_id, device_id, percent=share))
        for device_id in devices
    ]

    for percent in sorted({0, *first_at, *(share - 1 for share in first_at), 100}):
        vendor.act(changes.roll_out, Which("OFFI1", "2.0"), percent)
        got = [await buyer.offered(string) for string in strings]
        assert got == ["2.0" if share <= percent else None for share in first_at], percent
        assert await buyer.offered() == ("2.0" if percent == 100 else None)


@pytest.mark.parametrize(
    "body",
    [
        b"{}", b"[]", b"", b"{", b'{"product": "OFFI1", "version": "1.0"}',
        json.dumps({"product": "", "version": "1", "channel": "c", "platform": "p"}).encode(),
        json.dumps({"product": "p" * 129, "version": "1", "channel": "c", "platform": "p"}).encode(),
        json.dumps({"product": "a\x00", "version": "1", "channel": "c", "platform": "p"}).encode(),
        json.dumps({"product": 1, "version": "1", "channel": "c", "platform": "p"}).encode(),
    ],
)  # fmt: skip
async def test_a_body_of_another_form_is_refused(client: httpx2.AsyncClient, body: bytes) -> None:
    answer = await client.post("/v1/versions/check", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
