"""What may be published, and what no client could use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from licsrv.errors import InvalidRequestError
from licsrv.releases import publication
from licsrv.releases.publication import Publication
from licsrv.releases.versions import Scheme

GOOD = Publication(
    "OFFI1", "3.2.1", "stable", "windows-x86_64", "https://downloads.example.com/cad-3.2.1.exe", 1, "0" * 64
)


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"minimum_version": "3.2.1"}, {"minimum_version": "1.0"}, {"rollout_percent": 0}, {"channel": "beta.2-x_y"},
        {"notes_zh": "新\n\t版", "notes_en": "x" * 16_000}, {"size": 2**53 - 1}, {"product_id": "p" * 128},
        {"url": "https://[2001:db8::1]:8443/a?b=%20&c#d"}, {"url": "https://a/" + "x" * 2038},
    ],
)  # fmt: skip
def test_what_clients_can_use_is_accepted(changes: dict[str, Any]) -> None:
    assert publication.require_sound(replace(GOOD, **changes), Scheme.PEP440).text == "3.2.1"


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "newest"}, {"version": "1" * 65}, {"minimum_version": "3.2.2"}, {"minimum_version": ""},
        {"minimum_version": "x"}, {"product_id": ""}, {"product_id": " "}, {"product_id": "a\nb"},
        {"product_id": "p" * 129}, {"channel": ""}, {"channel": "Stable"}, {"channel": "c" * 33}, {"channel": "-a"},
        {"channel": "a\n"}, {"platform": "a b"}, {"platform": "p" * 65}, {"rollout_percent": -1},
        {"rollout_percent": 101}, {"size": 0}, {"size": 2**53}, {"sha256": "0" * 63}, {"sha256": "G" * 64},
        {"sha256": "A" * 64}, {"sha256": "0" * 64 + "\n"}, {"notes_zh": "x" * 16_001}, {"notes_en": "a\x00"},
        {"notes_en": "a\x1b[31m"}, {"notes_en": "\ud800"},
    ],
)  # fmt: skip
def test_what_no_client_could_use_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        publication.require_sound(replace(GOOD, **changes), Scheme.PEP440)


@pytest.mark.parametrize(
    "url",
    [
        "", "http://a.example/f", "HTTPS", "https://", "https:///f", "ftp://a.example/f", "//a.example/f",
        "https://good.example@evil.example/f", "https://a.example/f f", "https://a.example/\nf", "https://ä.example/",
        "https://a.example:99999/f", "https://a.example:0/f", "https://[::1/f", "https://a/" + "x" * 2039,
        "javascript:alert(1)", " https://a.example/f",
    ],
)  # fmt: skip
def test_only_https_addresses_are_handed_out(url: str) -> None:
    assert not publication.is_https(url)
    with pytest.raises(InvalidRequestError, match="https"):
        publication.require_sound(replace(GOOD, url=url), Scheme.PEP440)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        publication.require_sound(replace(GOOD, url="http://a", size=0, channel="X"), Scheme.PEP440)

    assert [word in refused.value.detail for word in ("https", "size", "channel")] == [True] * 3
