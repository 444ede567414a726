"""The emulator's own code against the shared vectors of online licenses and of License 1.0."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from licsrv.emulator.aksk import SignedRequest, authorization, canonical_request, is_signed_with, parse_authorization
from licsrv.emulator.auth_token import BodySign, auth_token, body_sign, judge_body_sign
from licsrv.emulator.callback_signature import canonical_body, sign
from licsrv.emulator.online_license.uploads import read_upload
from licsrv.emulator.product_line import Call
from tests.emulator.conftest import START

VECTORS = Path(__file__).parent.parent / "vectors"
ONLINE: dict[str, Any] = json.loads((VECTORS / "online_license.json").read_text())
V1: dict[str, Any] = json.loads((VECTORS / "license_v1.json").read_text())


def _named(rows: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(row, id=row["name"]) for row in rows]


def _signatures(row: dict[str, Any]) -> set[str]:
    chosen = ONLINE["defaults"] | row
    forms = {row["body"].encode(), canonical_body(json.loads(row["body"]))}
    words = {name: chosen[name] or "" for name in ("access_key", "nonce", "timestamp")}
    return {sign(form, **words) for form in forms}


@pytest.mark.parametrize("row", _named(ONLINE["accepted"]))
def test_accepted_signatures_are_ours(row: dict[str, Any]) -> None:
    assert row["signature"].upper() in _signatures(row)
    if "canonical" in row:
        assert canonical_body(json.loads(row["body"])) == row["canonical"].encode()


@pytest.mark.parametrize("row", _named([row for row in ONLINE["refused"] if row["result_code"] == "000001"]))
def test_refused_signatures_are_not_ours(row: dict[str, Any]) -> None:
    assert (row["signature"] or "").upper() not in _signatures(row)


@pytest.mark.parametrize("row", _named(ONLINE["key_pair_signed"] + ONLINE["unsigned_accepted"]))
def test_key_pair_signatures_are_ours(row: dict[str, Any]) -> None:
    request = SignedRequest(
        row["method"], row["path"], urlencode(dict(row["query"])), row["headers"], row["body"].encode(), True
    )

    claim = parse_authorization(authorization(row["ak"], row["sk"], request, row["headers"]))

    canonical = canonical_request(request, sorted(row["headers"]))
    assert hashlib.sha256(canonical.encode()).hexdigest() == row["canonical_sha256"]
    assert claim.signature == row["signature"]
    assert is_signed_with(row["sk"], request, claim)


@pytest.mark.parametrize("row", _named([row for row in ONLINE["key_pair_signed"] if "upload" in row["name"]]))
def test_the_uploads_of_the_vectors_can_be_read(row: dict[str, Any]) -> None:
    call = Call({"event_id": "evt-0001"}, "", row["headers"]["content-type"], row["body"].encode(), START)

    assert read_upload(call).content in {b"a.b.c", b"-----BEGIN LICENSE-----\n"}


@pytest.mark.parametrize("row", _named(V1["accepted"]))
def test_accepted_tokens_are_ours(row: dict[str, Any]) -> None:
    sent = dict(parse_qsl(row["query"], keep_blank_values=True))

    assert sent.pop("authToken").replace(" ", "+") == row["auth_token"] == auth_token(sent, access_key=V1["access_key"])
    assert sent == row["parameters"]


@pytest.mark.parametrize(
    "row", _named([row for row in V1["refused"] if row["parameters"] and "timeStamp" in row["query"]])
)
def test_refused_tokens_are_not_ours(row: dict[str, Any]) -> None:
    assert row["auth_token"] != auth_token(row["parameters"], access_key=V1["access_key"])


@pytest.mark.parametrize("row", _named(V1["body_sign"]))
def test_body_signs_are_ours(row: dict[str, Any]) -> None:
    content = row["body"].encode()

    assert body_sign(content, access_key=V1["access_key"]) == row["value"]
    assert judge_body_sign(row["header"], content, access_key=V1["access_key"]) is BodySign.RIGHT


@pytest.mark.parametrize("row", _named(V1["body_sign_refused"]))
def test_wrong_body_signs_are_found_out(row: dict[str, Any]) -> None:
    verdict = judge_body_sign(row["header"], row["body"].encode(), access_key=V1["access_key"])

    assert verdict is (BodySign.MISSING if row["header"] is None else BodySign.WRONG)
