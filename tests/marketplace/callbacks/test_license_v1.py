"""License 1.0: GET requests with a token, answers that are signed (protocol/online-license-and-sdk.md §7)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func
from sqlmodel import select

from licsrv.errors import CallbackError
from licsrv.licensing import store as licenses
from licsrv.licensing.tables import License
from licsrv.marketplace.callbacks import auth_token
from licsrv.marketplace.callbacks.routes import _parameters
from licsrv.platform.db import reading
from licsrv.runtime import Runtime
from tests.conftest import ACCESS_KEY, DEVICE, NOW, StandingClock

VECTORS = json.loads((Path(__file__).parent.parent.parent / "vectors" / "license_v1.json").read_text("utf-8"))
KEY: str = VECTORS["access_key"]
ENDS = datetime(2027, 3, 1, tzinfo=UTC)


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def mac(key: str, message: bytes) -> str:
    return base64.b64encode(hmac.new(key.encode(), message, hashlib.sha256).digest()).decode()


def signed(parameters: dict[str, str], at: datetime, key: str = ACCESS_KEY) -> str:
    """Return the query string of a request, signed by code of the tests' own."""
    timestamp = at.strftime("%Y%m%d%H%M%S") + f"{at.microsecond // 1000:03d}"
    parameters = parameters | {"timeStamp": timestamp}
    joined = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    return urlencode(parameters | {"authToken": mac(key + timestamp, joined.encode())}, quote_via=quote)


def purchase(order: str = "CS1", **more: str) -> dict[str, str]:
    return {
        "activity": "getLicense", "customerId": "c1", "customerName": "Ada GmbH", "businessId": "business-1",
        "orderId": order, "productId": "00301-1-0-0", "expireTime": "20270301000000", "amount": "3",
    } | more  # fmt: skip


def later(activity: str, instance: str, **more: str) -> dict[str, str]:
    return {"activity": activity, "instanceId": instance, "orderId": "CS2"} | more


async def ask(client: httpx2.AsyncClient, parameters: dict[str, str], at: datetime = NOW) -> dict[str, Any]:
    """Send a request, require that its answer is signed as the page says, return it."""
    answer = await client.get(f"/marketplace/callback?{signed(parameters, at)}")
    assert answer.status_code == 200
    sign = answer.headers["body-sign"]
    found = re.fullmatch(r'sign_type="HMAC-SHA256", signature= "([^"]+)"', sign)
    assert found is not None
    assert found[1] == mac(ACCESS_KEY, answer.content)
    document: dict[str, Any] = answer.json()
    return document


def license_of(runtime: Runtime, code: str) -> License:
    with reading(runtime.database) as session:
        license = licenses.license_by_code(session, code)
        assert license is not None
        session.expunge(license)
        return license


def count(runtime: Runtime) -> int:
    with reading(runtime.database) as session:
        return session.scalar(select(func.count()).select_from(License)) or 0


def moment_of(vector: dict[str, Any]) -> datetime:
    text = str(vector.get("now") or vector["parameters"]["timeStamp"])[:14]
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=named)
def test_a_token_of_the_vectors_is_the_one_we_would_make(vector: dict[str, Any]) -> None:
    parameters = _parameters(vector["query"].encode())

    assert parameters is not None
    assert parameters.pop("authToken") == vector["auth_token"]
    assert parameters == vector["parameters"]
    assert auth_token.token(parameters, KEY) == vector["auth_token"]


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS["accepted"] if len(v["parameters"]["timeStamp"]) == 17], ids=named
)
def test_a_request_of_the_vectors_is_accepted(vector: dict[str, Any]) -> None:
    parameters = vector["parameters"] | {"authToken": vector["auth_token"]}

    assert auth_token.verify(parameters, ["another", KEY, ""], now=moment_of(vector)).key_digest


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=named)
def test_a_request_of_the_vectors_is_refused(vector: dict[str, Any]) -> None:
    parameters = _parameters(vector["query"].encode())
    if parameters is None:
        return

    with pytest.raises(CallbackError) as refused:
        auth_token.verify(parameters, [KEY], now=datetime(2023, 3, 27, 7, 2, 51, tzinfo=UTC))

    assert refused.value.result_code in {"000001", "000002"}


@pytest.mark.parametrize("vector", VECTORS["body_sign"], ids=named)
def test_a_body_sign_of_the_vectors_is_the_one_we_would_make(vector: dict[str, Any]) -> None:
    assert vector["value"] in auth_token.body_sign(vector["body"].encode(), KEY)


async def test_a_license_is_given_and_works_as_a_code(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    answer = await ask(client, purchase())

    assert answer["resultCode"] == "000000"
    assert answer["license"] == answer["instanceId"] == "business-1"
    license = license_of(runtime, "business-1")
    assert (license.product_id, license.amount, license.expires_at, license.customer) == (
        "00301-1-0-0", 3, ENDS, "Ada GmbH",
    )  # fmt: skip
    request = {"code": answer["license"], "device_info": DEVICE, "nonce": "n"}
    assert (await client.post("/v1/licenses/string", json=request)).status_code == 200


async def test_an_order_has_one_license(client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock) -> None:
    first = await ask(client, purchase())
    clock.advance(hours=1)
    second = await ask(client, purchase(businessId="business-2", expireTime="20300301000000"), clock.now())

    assert second["license"] == first["license"]
    assert count(runtime) == 1
    assert license_of(runtime, first["license"]).expires_at == ENDS


async def test_a_license_that_was_paid_once_does_not_end(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    bought = purchase()
    del bought["expireTime"], bought["amount"]

    assert license_of(runtime, (await ask(client, bought))["license"]).expires_at is None


async def test_renewed_expired_renewed_and_released(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    code = (await ask(client, purchase()))["license"]

    async def done(activity: str, **more: str) -> License:
        clock.advance(seconds=1)
        assert (await ask(client, later(activity, code, **more), clock.now()))["resultCode"] == "000000"
        return license_of(runtime, code)

    assert (await done("refreshLicense", expireTime="20280301000000")).expires_at == ENDS.replace(year=2028)
    assert (await done("expireLicense")).expires_at == clock.now()
    assert (await done("refreshLicense", expireTime="20290301000000")).expires_at == ENDS.replace(year=2029)
    assert (await done("expireLicense")).expires_at == clock.now()
    assert (await done("releaseLicense")).released_at is not None
    assert (await done("releaseLicense")).released_at is not None


@pytest.mark.parametrize("activity", ["refreshLicense", "expireLicense", "releaseLicense"])
async def test_an_unknown_instance_has_its_code(client: httpx2.AsyncClient, activity: str) -> None:
    answer = await ask(client, later(activity, "nobody", expireTime="20280301000000"))

    assert answer["resultCode"] == "000003"


@pytest.mark.parametrize(
    "change",
    [
        {"orderId": ""},
        {"orderId": "o" * 65},
        {"productId": ""},
        {"expireTime": "soon"},
        {"expireTime": "2027030100"},
        {"amount": "many"},
        {"amount": "-1"},
        {"amount": "1e9"},
        {"customerId": ""},
        {"customerId": "c" * 101},
        {"customerName": "c" * 65},
        {"skuCode": "s" * 65},
        {"periodType": "p" * 11},
        {"activity": "newInstance"},
        {"activity": "releaseLicenseCode"},
        {"activity": ""},
        {"testFlag": "2"},
    ],
)
async def test_a_parameter_that_breaks_its_rule_is_named(
    client: httpx2.AsyncClient, runtime: Runtime, change: dict[str, str]
) -> None:
    answer = await ask(client, purchase(**change))

    assert answer["resultCode"] == "000002"
    assert answer["resultMsg"].startswith(next(iter(change)))
    assert count(runtime) == 0


async def test_values_of_exactly_the_documented_length_are_taken(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    longest = {"customerId": 100, "customerName": 64, "businessId": 64, "orderId": 64, "skuCode": 64, "productId": 64}

    answer = await ask(
        client, purchase(**{name: "😀" * length for name, length in longest.items()}, periodType="y" * 10)
    )

    assert answer["resultCode"] == "000000"
    assert license_of(runtime, answer["license"]).customer == "😀" * 64


@pytest.mark.parametrize("change", [{"periodType": "p" * 11}, {"periodNumber": "two"}])
async def test_a_period_of_a_renewal_that_breaks_its_rule_is_named(
    client: httpx2.AsyncClient, runtime: Runtime, change: dict[str, str]
) -> None:
    code = (await ask(client, purchase()))["license"]

    answer = await ask(client, later("refreshLicense", code, expireTime="20280301000000", **change))

    assert answer["resultCode"] == "000002"
    assert answer["resultMsg"].startswith(next(iter(change)))
    assert license_of(runtime, code).expires_at == ENDS


async def test_a_debug_request_gives_a_license_and_changes_nothing(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    answer = await ask(client, purchase(testFlag="1"))

    assert (answer["resultCode"], answer["license"]) == ("000000", "debug-license")
    assert count(runtime) == 0


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "000002"),
        ("activity=getLicense", "000002"),
        (signed(purchase(), NOW).replace("authToken", "token"), "000001"),
        (signed(purchase(), NOW, key="another"), "000001"),
        (signed(purchase(), NOW) + "&amount=9", "000002"),
        (signed(purchase(), NOW) + "&extra=9", "000001"),
        (signed(purchase(), NOW - timedelta(minutes=6)), "000002"),
        (signed(purchase(), NOW + timedelta(minutes=6)), "000002"),
        ("timeStamp=20260301093000000&authToken=%FF%00", "000001"),
        ("&".join(f"p{n}=1" for n in range(65)), "000002"),
    ],
)
async def test_what_the_marketplace_did_not_sign_is_refused_and_not_signed(
    client: httpx2.AsyncClient, runtime: Runtime, query: str, code: str
) -> None:
    answer = await client.get(f"/marketplace/callback?{query}")

    assert (answer.status_code, answer.json()["resultCode"]) == (200, code)
    assert "body-sign" not in answer.headers
    assert count(runtime) == 0


async def test_a_request_that_is_sent_again_to_the_letter_is_a_replay(client: httpx2.AsyncClient) -> None:
    url = f"/marketplace/callback?{signed(purchase(), NOW)}"
    await client.get(url)

    assert (await client.get(url)).json()["resultCode"] == "000001"


async def test_the_activities_of_one_method_do_not_count_for_the_other(client: httpx2.AsyncClient) -> None:
    from tests.marketplace.sending import send

    answer = await send(client, purchase(), at=NOW)

    assert answer.json()["resultCode"] == "000002"


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=6))
def test_whatever_comes_in_only_the_documented_codes_come_out(parameters: dict[str, str]) -> None:
    with pytest.raises(CallbackError):
        auth_token.verify(parameters, [KEY], now=NOW)


def joined(parameters: dict[str, str]) -> str:
    return "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))


def folded(parameters: dict[str, str], into: str, name: str) -> dict[str, str]:
    """Return other parameters that sign the same text: ``name`` hides in the value of ``into``, its neighbour."""
    rest = {key: value for key, value in parameters.items() if key != name}
    other = rest | {into: f"{parameters[into]}&{name}={parameters[name]}"}
    assert joined(other) == joined(parameters)
    return other


async def test_a_probe_cannot_be_turned_into_an_order(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    timestamp = NOW.strftime("%Y%m%d%H%M%S") + "000"
    probe = purchase(skuCode="S", testFlag="1", sx="2") | {"timeStamp": timestamp}
    token = mac(ACCESS_KEY + timestamp, joined(probe).encode())
    in_a_name = {key: value for key, value in probe.items() if key not in {"sx", "testFlag"}} | {"sx=2&testFlag": "1"}
    assert joined(in_a_name) == joined(probe)

    for other in (folded(probe, "sx", "testFlag"), in_a_name):
        query = urlencode(other | {"authToken": token}, quote_via=quote)
        answer = (await client.get(f"/marketplace/callback?{query}")).json()
        assert answer["resultCode"] == "000002", other
    assert count(runtime) == 0


async def test_signs_in_a_customers_name_are_no_harm(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    for number, name in enumerate(("R&D GmbH", "A & B & C", "a=b", "=", "&", "x==", "50%+")):
        answer = await ask(client, purchase(f"CS-{number}", customerName=name), NOW + timedelta(milliseconds=number))
        assert answer["resultCode"] == "000000", name


_PIECES = st.sampled_from(["a", "&", "=", "skuCode", "testFlag", "sx", "tx"])
_TEXTS = st.lists(_PIECES, max_size=7).map("".join)


@given(_TEXTS)
def test_a_text_is_the_token_of_one_set_of_documented_parameters(text: str) -> None:
    taken = {
        frozenset((name, value) for name, value in found.items() if name == "testFlag")
        for found in readings(text)
        if auth_token.is_unambiguous(found)
    }

    assert len(taken) <= 1


def readings(text: str) -> list[dict[str, str]]:
    """Return all parameters that sign this text."""
    pieces = text.split("&")
    found = []
    for cuts in range(2 ** max(len(pieces) - 1, 0)):
        parts = [pieces[0]]
        for number, piece in enumerate(pieces[1:]):
            if cuts >> number & 1:
                parts.append(piece)
            else:
                parts[-1] += "&" + piece
        pairs = [part.partition("=") for part in parts]
        parameters = {name: value for name, _, value in pairs}
        if len(parameters) == len(parts) and joined(parameters) == text:
            found.append(parameters)
    return found


def test_the_readings_of_a_text_are_found() -> None:
    assert {"skuCode": "S", "testFlag": "1"} in readings("skuCode=S&testFlag=1")
    assert {"skuCode": "S&testFlag=1"} in readings("skuCode=S&testFlag=1")
