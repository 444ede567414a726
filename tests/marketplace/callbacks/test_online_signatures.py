"""The signature vectors of the online product line: callbacks and open API calls (online-license-and-sdk.md §8)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from licsrv.errors import CallbackError
from licsrv.marketplace.callbacks.signature import CallbackQuery, verify

VECTORS = json.loads((Path(__file__).parent.parent.parent / "vectors" / "online_license.json").read_text("utf-8"))
DEFAULTS = VECTORS["defaults"]


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def judged(vector: dict[str, Any]) -> None:
    members = DEFAULTS | vector
    stamp = str(members.get("now") or DEFAULTS["timestamp"])
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(stamp))
    query = CallbackQuery(members["signature"], members["timestamp"], members["nonce"])
    verify(members["body"].encode(), query, [DEFAULTS["access_key"]], now=now)


@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=named)
def test_a_signature_of_the_vectors_is_accepted(vector: dict[str, Any]) -> None:
    judged(vector)


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=named)
def test_a_signature_of_the_vectors_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(CallbackError):
        judged(vector)
