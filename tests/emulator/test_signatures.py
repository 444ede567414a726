"""The emulator's own signing against the vectors of protocol/authorization-code.md §4.1, §4.2 and §6.7."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest
from huaweicloudsdkcore.sdk_request import SdkRequest  # type: ignore[import-untyped]
from huaweicloudsdkcore.signer.signer import Signer  # type: ignore[import-untyped]

import licsrv.emulator
from licsrv.emulator.aksk import (
    SignedRequest,
    authorization,
    canonical_request,
    is_signed_with,
    parse_authorization,
    signature,
)
from licsrv.emulator.callback_signature import canonical_body, loose_body, sign

PREFIX = "/api/mkp-openapi-public/global"
OWN_HEADERS = {
    "content-type": "application/json",
    "host": "mkt.myhuaweicloud.com",
    "x-sdk-date": "20260101T000000Z",
}

AKSK_VECTORS = [
    pytest.param(
        "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc",
        SignedRequest(
            "GET",
            "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs",
            "limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
            {
                "content-type": "application/json",
                "host": "service.region.example.com",
                "x-sdk-date": "20191115T033655Z",
            },
            b"",
        ),
        "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a",
        "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe",
        id="official",
    ),
    pytest.param(
        "123",
        SignedRequest(
            "POST",
            PREFIX + "/v1/license/activate",
            "",
            {
                "content-type": "application/json",
                "host": "mkt.myhuaweicloud.com",
                "x-sdk-date": "20240317T144237Z",
                "x-stage": "RELEASE",
            },
            b"",
        ),
        "9a33b07351104f6c775075faa7dc0db58ec18bc532feaa8fd0b8fcf7990b1a9e",
        "77595ad624b6e4e49990b8c4e84bf1c287457fca61069c4e60b9b6765b52053d",
        id="third party, activate",
    ),
    *[
        pytest.param("testsecret", SignedRequest("POST", PREFIX + path, "", OWN_HEADERS, body), creq, expected, id=path)
        for path, body, creq, expected in [
            (
                "/v1/license/activate",
                b'{"license":"PL0000000001"}',
                "353b10bf87c67f7f2faf2b5e209414c0c46dcf8e9d815372085b71706be1486f",
                "1ca56ecc3e393d70a9cee53c534967d074a5987227facf5313bd399cb90595cb",
            ),
            (
                "/v2/license/activate",
                b'{"license_list":["PL0000000001","PL0000000002"],"real_effect_time":"20260102153555"}',
                "0fd7bda5b799abe879a3212ce4ad55a0ecc547f353cbda0da4282058f19b7242",
                "d9851937853f5a1f3407ae5ded84f8f33ba51170cff6a138a0d08435b761dfca",
            ),
            (
                "/v1/license/heartbeat",
                b'{"license":"PL0000000001"}',
                "b98c5bdd4527679593ece34135e589ad4a8e786cb1fd4633990c296674e84af1",
                "16e4084437cb4f23925e37cd808ad0b4a7ce705c1f9d6cadf2ba725c71b5a432",
            ),
            (
                "/v2/license/software-usage-info",
                b'{"usage_info":[{"license":"PL0000000001","software_usage_Info":[{"active_num":100}]}]}',
                "84e416eec29606ef5894b41bc7700ff391b03d3e149523a720f024c524b8a0af",
                "453a45cf6bcce5baed8799ea021a1566e3d7fc0a17a1bff6180dc4a064b2420d",
            ),
        ]
    ],
]


@pytest.mark.parametrize(("secret", "request_", "canonical_digest", "expected"), AKSK_VECTORS)
def test_key_pair_signatures_match_the_vectors(
    secret: str, request_: SignedRequest, canonical_digest: str, expected: str
) -> None:
    canonical = canonical_request(request_, sorted(request_.headers))

    assert hashlib.sha256(canonical.encode()).hexdigest() == canonical_digest
    assert signature(secret, request_.headers["x-sdk-date"], canonical) == expected
    claim = parse_authorization(authorization("ANY", secret, request_, request_.headers))
    assert claim.signature == expected
    assert is_signed_with(secret, request_, claim)
    assert not is_signed_with(secret + "x", request_, claim)


def test_the_vendors_own_signer_agrees() -> None:
    class KeyPair:
        ak, sk = "TESTAK", "testsecret"

    headers = {"content-type": "application/json", "host": "mkt.test", "x-sdk-date": "20260101T000000Z"}
    sdk = SdkRequest(
        method="POST",
        schema="https",
        host="mkt.test",
        resource_path="/a b/授权码~x",
        query_params=[("b", "2 3"), ("a", "")],
        header_params=dict(headers),
        body=b"{}",
    )
    Signer(KeyPair()).sign(sdk)

    own = authorization(
        "TESTAK", "testsecret", SignedRequest("POST", "/a b/授权码~x", "b=2%203&a=", headers, b"{}"), headers
    )

    assert parse_authorization(sdk.header_params["Authorization"]).signature == parse_authorization(own).signature


ACCESS_KEY = "d3f1c0de-test-access-key-0001"
NONCE = "RLLUammMSInlrNWb"
TIMESTAMP = "1666677988730"
UNTIDY = b"""{ "testFlag": "1", "status": "UNFREEZE",
  "license": "PL0000000001", "productId": null, "activity": "updateLicenseCodeStatus" }"""
TIDY = b'{"activity":"updateLicenseCodeStatus","license":"PL0000000001","status":"UNFREEZE","testFlag":"1"}'

CALLBACK_VECTORS = [
    pytest.param(
        b'{"activity":"refreshLicenseCode","expireTime":"20230523201932","license":"PL0000000001",'
        b'"orderId":"CS2211181819B4LVS","orderLineId":"CS2211181819B4LVS-000001",'
        b'"productId":"OFFI000000000000000001","scene":"RENEWAL","testFlag":"1"}',
        "6bdc88c55f94f60a6db881d4622472190b1c66be97755977fefa09da1f191f75",
        id="A",
    ),
    pytest.param(
        b'{"activity":"updateLicenseCodeStatus","license":"PL0000000001","status":"FREEZE","testFlag":"1"}',
        "4d8485a29eadf904bbc2538ff13cc3efadac9467298bbb109cf8d3522f6b5e59",
        id="B",
    ),
    pytest.param(
        b'{"activity":"releaseLicenseCode","license":"PL0000000001","orderId":"CS2211181819B4LVS",'
        b'"orderLineId":"CS2211181819B4LVS-000001","testFlag":"1"}',
        "50c562cff92886168e020f3c49a936ef1d9b563034a428332d7cf1e75fec3df5",
        id="C",
    ),
    pytest.param(UNTIDY, "5ad2cfc215175d5d30dd001165ea1ccdb8de01528a34ef5811d3fc2de14dbd9f", id="D raw"),
    pytest.param(TIDY, "119c25598232fab3e88e6f154d04a5e93c03b7cc24efcbe110587a9f0ea19f92", id="D canonical"),
    pytest.param(
        '{"activity":"releaseLicenseCode","license":"PL授权码0001","testFlag":"0"}'.encode(),
        "45dfaeb26497a7a9973f40e37d0247b5e22d0870fb7c201946c3276bcc320e21",
        id="E",
    ),
]


@pytest.mark.parametrize(("body", "expected"), CALLBACK_VECTORS)
def test_callback_signatures_match_the_vectors_in_upper_case(body: bytes, expected: str) -> None:
    assert sign(body, access_key=ACCESS_KEY, nonce=NONCE, timestamp=TIMESTAMP) == expected.upper()


def test_the_canonical_body_is_sorted_compact_and_without_nulls() -> None:
    members = {
        "testFlag": "1",
        "status": "UNFREEZE",
        "license": "PL0000000001",
        "productId": None,
        "activity": "updateLicenseCodeStatus",
    }

    assert canonical_body(members) == TIDY


def test_names_are_sorted_in_javas_order_and_nested_objects_are_not() -> None:
    members: dict[str, object] = {"\uffee": 1, "\U0001f600": 2, "a": {"z": 1, "b": None}}

    assert canonical_body(members) == '{"a":{"z":1,"b":null},"\U0001f600":2,"\uffee":1}'.encode()


def test_a_loose_body_holds_the_same_members_in_another_spelling() -> None:
    members: dict[str, object] = {"a": "1", "b": None, "c": "/授"}

    loose = loose_body(members)

    assert loose != canonical_body(members)
    assert b" : " in loose
    assert loose.index(b'"c"') < loose.index(b'"a"')


AUTHORIZATIONS_REFUSED = [
    "",
    "Bearer x",
    "SDK-HMAC-SHA256",
    "SDK-HMAC-SHA256 Access=a, SignedHeaders=b",
    "SDK-HMAC-SHA256 Access=, SignedHeaders=b, Signature=c",
    "SDK-HMAC-SHA1 Access=a, SignedHeaders=b, Signature=c",
    "SDK-HMAC-SHA256 Access=a, Access=a, SignedHeaders=b, Signature=c",
]


@pytest.mark.parametrize("text", AUTHORIZATIONS_REFUSED)
def test_an_authorization_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Authorization"):
        parse_authorization(text)


def test_the_emulator_imports_nothing_of_the_service() -> None:
    imported = {
        name
        for path in Path(licsrv.emulator.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _imported(node)
    }

    assert {name for name in imported if name.startswith("licsrv") and not name.startswith("licsrv.emulator")} == set()


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []
