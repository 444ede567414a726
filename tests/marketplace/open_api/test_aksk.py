"""AK/SK signing: the vectors, the refusals, and agreement with the vendor's own signer on arbitrary requests."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huaweicloudsdkcore.sdk_request import SdkRequest  # type: ignore[import-untyped]
from huaweicloudsdkcore.signer.signer import Signer  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from licsrv.marketplace.open_api.aksk import KeyPair, authorization, canonical_query, canonical_request, date_header

VECTORS = json.loads((Path(__file__).parent.parent.parent / "vectors" / "aksk.json").read_text("utf-8"))
PAIR = KeyPair("TESTAK", "testsecret")


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def request_of(vector: dict[str, Any]) -> dict[str, Any]:
    return {
        "method": vector["method"],
        "path": vector["path"],
        "query": [(name, value) for name, value in vector["query"]],
        "headers": vector["headers"],
        "body": vector["body"].encode(),
    }


@pytest.mark.parametrize("vector", VECTORS["signed"], ids=named)
def test_a_request_of_the_vectors_is_signed_as_published(vector: dict[str, Any]) -> None:
    header = authorization(KeyPair(vector["ak"], vector["sk"]), **request_of(vector))

    names = ";".join(sorted(name.lower() for name in vector["headers"]))
    assert header == (f"SDK-HMAC-SHA256 Access={vector['ak']}, SignedHeaders={names}, Signature={vector['signature']}")


@pytest.mark.parametrize("vector", [v for v in VECTORS["signed"] if "canonical_sha256" in v], ids=named)
def test_the_canonical_request_of_the_vectors_has_the_published_hash(vector: dict[str, Any]) -> None:
    assert canonical_request(**request_of(vector)).digest == vector["canonical_sha256"]


def test_the_canonical_request_reads_as_in_the_guide() -> None:
    vector = next(v for v in VECTORS["signed"] if v["name"] == "activate v1")

    assert canonical_request(**request_of(vector)).text == (
        "POST\n/api/mkp-openapi-public/global/v1/license/activate/\n\n"
        "content-type:application/json\nhost:mkt.myhuaweicloud.com\nx-sdk-date:20260101T000000Z\n\n"
        "content-type;host;x-sdk-date\n87ba18bfbe3751bbd6ae8704e716d7ea3577aec9fe70e15fe1094bc7de1d90c4"
    )


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=named)
def test_headers_that_cannot_be_signed_safely_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"x-sdk-date|header"):
        authorization(PAIR, method="GET", path="/", query=[], headers=vector["headers"], body=b"")


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ([], ""),
        ([("a", "")], "a="),
        ([("b", "1"), ("a", "2")], "a=2&b=1"),
        ([("a", "b+c/d e")], "a=b%2Bc%2Fd%20e"),
        ([("a", "AZaz09-_.~")], "a=AZaz09-_.~"),
        ([("单", "许可")], "%E5%8D%95=%E8%AE%B8%E5%8F%AF"),
    ],
)
def test_the_query_is_written_as_it_is_signed(query: list[tuple[str, str]], written: str) -> None:
    assert canonical_query(query) == written


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-5, minutes=-30))])
def test_the_signed_date_is_in_utc(zone: timezone) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC).astimezone(zone)

    assert date_header(moment) == "20260101T000000Z"


def test_the_secret_key_is_not_printed() -> None:
    assert "testsecret" not in f"{PAIR!r} {PAIR}"


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
HEADER_NAMES = st.from_regex(r"x-[A-Za-z0-9-]{1,12}", fullmatch=True).filter(
    lambda name: name.lower() not in {"x-sdk-date", "x-sdk-content-sha256"}
)
HEADER_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc"]), max_size=12)
HEADERS = st.dictionaries(HEADER_NAMES, HEADER_VALUES, max_size=4).filter(
    lambda headers: len({name.lower() for name in headers}) == len(headers)
)


@given(
    method=st.sampled_from(["GET", "post", "PUT", "DELETE"]),
    path=st.lists(WORDS | st.sampled_from(["", "a%20b", "%2F", "%ff", "~"]), max_size=4).map(
        lambda p: "/" + "/".join(p)
    ),
    query=st.lists(st.tuples(WORDS, WORDS), max_size=5),
    extra=HEADERS,
    body=st.binary(max_size=64),
)
def test_the_vendors_signer_agrees(
    method: str, path: str, query: list[tuple[str, str]], extra: dict[str, str], body: bytes
) -> None:
    headers = {"host": "h:8443", "x-sdk-date": "20260101T000000Z", "content-type": "application/json", **extra}
    request = SdkRequest(method, "https", "h:8443", path, "", list(query), dict(headers), body)

    Signer(SimpleNamespace(ak=PAIR.ak, sk=PAIR.sk)).sign(request)

    ours = authorization(PAIR, method=method, path=path, query=query, headers=headers, body=body)
    assert ours == request.header_params["Authorization"]
