"""What each ``error_code`` means, whatever the HTTP status."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.errors import (
    MarketplaceAuthenticationError,
    MarketplaceError,
    MarketplaceRefusedError,
    MarketplaceUnansweredError,
)
from licsrv.marketplace.open_api.codes import MAX_ANSWER_BYTES, REFUSALS, check, read_envelope
from tests.tables import each


def judged(status: int, **members: object) -> MarketplaceError:
    envelope = read_envelope(json.dumps(members).encode())
    assert envelope is not None
    with pytest.raises(MarketplaceError) as failed:
        check(envelope, http_status=status)
    return failed.value


@pytest.mark.parametrize("status", [200, 400, 403, 500])
@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_a_documented_no_is_a_refusal_whatever_the_http_status(code: str, status: int) -> None:
    error = judged(status, error_code=code, error_msg="no")

    assert (type(error), error.error_code) == (MarketplaceRefusedError, code)


@pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 500])
def test_a_success_is_one_whatever_the_http_status(status: int) -> None:
    envelope = read_envelope(b'{"error_code":"92020000","new_member":1}')

    assert envelope is not None
    check(envelope, http_status=status)


SPELLINGS = {
    "MKT.0100": MarketplaceRefusedError,
    "MKT.0101": MarketplaceRefusedError,
    "MKT.0150": MarketplaceRefusedError,
    "MKT.0199": MarketplaceRefusedError,
    "MKT. 0150": MarketplaceRefusedError,
    " mkt.0150 ": MarketplaceRefusedError,
    "CBC. 0150": MarketplaceRefusedError,
    "MKT.0151": MarketplaceAuthenticationError,
    "MKT.0154": MarketplaceAuthenticationError,
    "MKT.0250": MarketplaceUnansweredError,
    "MKT. 0250": MarketplaceUnansweredError,
    "MKT.0999": MarketplaceUnansweredError,
    "MKT.9001": MarketplaceUnansweredError,
    "XMKT.0150": MarketplaceUnansweredError,
}


def test_the_same_table_is_read_under_both_of_its_prefixes() -> None:
    for row in each([(code, status) for code in SPELLINGS for status in (200, 400, 401, 406, 500)]):
        with row as (code, status):
            error = judged(status, resultCode=code, resultMsg="no")
            assert type(error) is SPELLINGS[code]
            assert error.error_code == code.replace(" ", ""), "kept as it came, for support"


@pytest.mark.parametrize("code", ["MKT.0000", "CBC.0000", "mkt.0000", "MKT. 0000"])
def test_a_success_is_one_under_both_prefixes(code: str) -> None:
    envelope = read_envelope(json.dumps({"resultCode": code}).encode())

    assert envelope is not None
    check(envelope, http_status=200)


IAM = "Incorrect IAM authentication information: "


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "locked"),
    [
        (200, "92020001", "internal error", MarketplaceUnansweredError, None),
        (500, "92020001", "internal error", MarketplaceUnansweredError, None),
        (403, "92020001", "Unauthorized", MarketplaceAuthenticationError, False),
        (401, "92020001", "Unauthorized", MarketplaceAuthenticationError, False),
        (200, "92029999", "new", MarketplaceUnansweredError, None),
        (400, "92029999", "new", MarketplaceUnansweredError, None),
        (403, "CBC.0150", "Illegal operation", MarketplaceRefusedError, None),
        (401, "CBC.0150", "another seller's", MarketplaceRefusedError, None),
        (400, "CBC.0101", "Invalid parameter", MarketplaceRefusedError, None),
        (500, "CBC.0100", "out of range", MarketplaceRefusedError, None),
        (400, "CBC.0199", "other", MarketplaceRefusedError, None),
        (401, "CBC.0151", "no authority", MarketplaceAuthenticationError, False),
        (401, "CBC.0154", "illegal token", MarketplaceAuthenticationError, False),
        (406, "CBC.0250", "too many", MarketplaceUnansweredError, None),
        (500, "CBC.0999", "internal", MarketplaceUnansweredError, None),
        (200, "91381033", "License resource invalid", MarketplaceRefusedError, None),
        (200, "91381035", "no remain amount", MarketplaceRefusedError, None),
        (200, "91381036", "inner error", MarketplaceUnansweredError, None),
        (200, "91380150", "Role permission denied", MarketplaceRefusedError, None),
        (401, "APIGW.0301", IAM + "verify aksk signature fail, ...", MarketplaceAuthenticationError, False),
        (401, "APIG.0301", IAM + "Get secretKey failed,ak:*,err:ak not exist", MarketplaceAuthenticationError, False),
        (401, "APIG.0303", "app not found", MarketplaceAuthenticationError, False),
        (200, "APIG.0303", "signature expired", MarketplaceAuthenticationError, False),
        (403, "APIG.0302", "not authorised", MarketplaceAuthenticationError, False),
        (
            401,
            "APIGW.0301",
            IAM + "AK access failed to reach the limit,forbidden.",
            MarketplaceAuthenticationError,
            True,
        ),
        (429, "APIG.0308", "throttling", MarketplaceUnansweredError, None),
        (504, "APIG.0201", "backend timeout", MarketplaceUnansweredError, None),
    ],
)
def test_other_codes_mean_what_the_protocol_says(
    status: int, code: str, message: str, kind: type[MarketplaceError], locked: bool | None
) -> None:
    error = judged(status, error_code=code, error_msg=message, request_id="1")

    assert (type(error), error.error_code, getattr(error, "locked", None)) == (kind, code, locked)


def test_a_code_that_is_a_number_is_read() -> None:
    assert judged(200, error_code=92020005).error_code == "92020005"


def test_foreign_text_is_one_short_line_in_the_message() -> None:
    error = judged(200, error_code="APIG.0201", error_msg="a\r\nb\x1b[31m" + "x" * 5000)

    assert "a b [31mx" in error.message
    assert len(error.message) < 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        b"{}",
        b'{"error_code":null}',
        b'{"error_code":true}',
        b'{"error_code":1.5}',
        b'{"error_code":""}',
        b'{"error_code":"two words"}',
        b'{"error_code":"' + b"9" * 65 + b'"}',
        b'{"error_code":"92020000","error_code":"92020005"}',
        b'{"error_code":"92020000"}' + b" " * MAX_ANSWER_BYTES,
    ],
)
def test_what_has_no_readable_code_is_not_an_envelope(body: bytes) -> None:
    assert read_envelope(body) is None


ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())


@given(
    st.binary()
    | st.dictionaries(st.sampled_from(["error_code", "error_msg", "data"]), ODD).map(json.dumps).map(str.encode)
)
def test_any_bytes_are_an_envelope_or_none(body: bytes) -> None:
    envelope = read_envelope(body)

    assert envelope is None or envelope.error_code
