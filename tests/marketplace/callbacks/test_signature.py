"""The callback signature: the vectors, both sides of each edge, and that only the documented answers come out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.errors import CallbackError
from licsrv.marketplace.callbacks.signature import CallbackQuery, Verified, canonical_form, key_digest, sign, verify

VECTORS = json.loads((Path(__file__).parent.parent.parent / "vectors" / "callback_signature.json").read_text("utf-8"))
DEFAULTS = VECTORS["defaults"]
KEY: str = DEFAULTS["access_key"]
NONCE: str = DEFAULTS["nonce"]
TIMESTAMP: str = DEFAULTS["timestamp"]
SIGNED_AT = datetime(2022, 10, 25, 6, 6, 28, 730_000, tzinfo=UTC)
BODY = b'{"activity":"releaseLicenseCode","license":"PL1"}'


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def query_of(vector: dict[str, Any]) -> CallbackQuery:
    given_here = DEFAULTS | vector
    return CallbackQuery(given_here["signature"], given_here["timestamp"], given_here["nonce"])


def signed(
    body: bytes = BODY, *, access_key: str = KEY, nonce: str = NONCE, timestamp: str = TIMESTAMP
) -> CallbackQuery:
    signature = sign(body, access_key=access_key, nonce=nonce, timestamp_ms=int(timestamp))
    return CallbackQuery(signature, timestamp, nonce)


def refusal(body: bytes, query: CallbackQuery, keys: list[str], now: datetime = SIGNED_AT) -> CallbackError:
    with pytest.raises(CallbackError) as refused:
        verify(body, query, keys, now=now)
    return refused.value


@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=named)
def test_a_signature_of_the_vectors_is_accepted(vector: dict[str, Any]) -> None:
    verified = verify(vector["body"].encode(), query_of(vector), [KEY], now=SIGNED_AT)

    assert abs(verified.signed_at - SIGNED_AT) < timedelta(seconds=1)
    assert verified.key_digest == key_digest(KEY)


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=named)
def test_a_signature_of_the_vectors_is_refused(vector: dict[str, Any]) -> None:
    error = refusal(vector["body"].encode(), query_of(vector), [KEY])

    assert error.result_code == vector["result_code"]
    assert KEY not in error.message


@pytest.mark.parametrize("vector", [v for v in VECTORS["accepted"] if "inner" in v], ids=named)
def test_signing_gives_the_signature_of_the_vectors(vector: dict[str, Any]) -> None:
    signature = sign(vector["body"].encode(), access_key=KEY, nonce=NONCE, timestamp_ms=int(TIMESTAMP))

    assert signature == vector["signature"]


@pytest.mark.parametrize("vector", [v for v in VECTORS["accepted"] if "canonical" in v], ids=named)
def test_the_canonical_form_is_that_of_the_vectors(vector: dict[str, Any]) -> None:
    assert canonical_form(vector["body"].encode()) == vector["canonical"].encode()


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"a":1,"a":1}', b'{"a":NaN}', rb'{"a":"\ud800"}'])
def test_a_body_that_does_not_parse_strictly_has_no_canonical_form(body: bytes) -> None:
    assert canonical_form(body) is None


@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\x00", b'{"a":1,"a":2}'])
def test_any_bytes_can_be_signed_as_they_are(body: bytes) -> None:
    assert verify(body, signed(body), [KEY], now=SIGNED_AT).signed_at == SIGNED_AT


@pytest.mark.parametrize(
    ("offset", "accepted"),
    [
        (timedelta(0), True),
        (timedelta(seconds=60), True),
        (timedelta(seconds=60, microseconds=1), False),
        (timedelta(seconds=-60), True),
        (timedelta(seconds=-60, microseconds=-1), False),
        (timedelta(days=-20_000), False),
        (timedelta(days=20_000), False),
    ],
)
def test_the_timestamp_may_be_a_minute_from_now_on_either_side(offset: timedelta, accepted: bool) -> None:
    now = SIGNED_AT + offset

    if accepted:
        assert verify(BODY, signed(), [KEY], now=now).signed_at == SIGNED_AT
    else:
        assert refusal(BODY, signed(), [KEY], now).result_code == "000002"


@pytest.mark.parametrize("timestamp", ["0000000000000", "9999999999999", "0000000000", "9999999999"])
def test_the_ends_of_what_a_timestamp_can_say_are_outside_the_window(timestamp: str) -> None:
    assert refusal(BODY, replace(signed(), timestamp=timestamp), [KEY]).result_code == "000002"


@pytest.mark.parametrize("nonce", ["n", "n" * 512, "a b", "~!", "0" * 64])
def test_a_nonce_of_1_to_512_printable_characters_is_accepted(nonce: str) -> None:
    assert verify(BODY, signed(nonce=nonce), [KEY], now=SIGNED_AT).signed_at == SIGNED_AT


def test_any_of_the_configured_keys_verifies_and_is_told_apart() -> None:
    keys = ["first-key", KEY, "密钥"]

    digests = [verify(BODY, signed(access_key=key), keys, now=SIGNED_AT).key_digest for key in keys]

    assert digests == [key_digest(key) for key in keys]
    assert len(set(digests)) == 3
    assert all(len(digest) == 12 for digest in digests)


@pytest.mark.parametrize("keys", [[], ["another-key"], [""], ["", "another-key"]])
def test_no_key_or_another_key_does_not_verify(keys: list[str]) -> None:
    assert refusal(BODY, signed(), keys).result_code == "000001"


def test_an_empty_key_in_the_settings_does_not_open_the_door() -> None:
    assert refusal(BODY, signed(access_key=""), ["", KEY]).result_code == "000001"


def test_the_signature_may_be_in_either_case() -> None:
    query = signed()
    assert query.signature is not None
    mixed = "".join(c.upper() if i % 2 else c for i, c in enumerate(query.signature))

    verified = verify(BODY, replace(query, signature=mixed), [KEY], now=SIGNED_AT)

    assert verified.signed_at == SIGNED_AT


def test_the_timestamp_is_judged_before_the_nonce_and_the_nonce_before_the_signature() -> None:
    assert "timestamp" in refusal(BODY, CallbackQuery(None, None, None), [KEY]).message
    assert "nonce" in refusal(BODY, CallbackQuery(None, TIMESTAMP, None), [KEY]).message
    assert refusal(BODY, CallbackQuery(None, TIMESTAMP, NONCE), [KEY]).result_code == "000001"


PARAMETERS = st.none() | st.text(st.characters()) | st.sampled_from([TIMESTAMP, NONCE, "\ud800", "授", "0" * 64])


@given(
    st.binary(),
    PARAMETERS,
    PARAMETERS | st.just(TIMESTAMP),
    PARAMETERS | st.just(NONCE),
    st.lists(st.text(st.characters())),
)
def test_nothing_but_the_documented_answers_comes_out(
    body: bytes, signature: str | None, timestamp: str | None, nonce: str | None, keys: list[str]
) -> None:
    assert refusal(body, CallbackQuery(signature, timestamp, nonce), keys).result_code in {"000001", "000002"}


@given(st.binary(), st.text(min_size=1), st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_what_is_signed_verifies(body: bytes, access_key: str, nonce: str) -> None:
    verified = verify(body, signed(body, access_key=access_key, nonce=nonce), [access_key], now=SIGNED_AT)

    assert verified == Verified(SIGNED_AT, key_digest(access_key))
