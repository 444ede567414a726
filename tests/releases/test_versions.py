"""Versions are read and compared as their specifications say."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.errors import InvalidRequestError
from licsrv.releases import versions
from licsrv.releases.versions import Scheme

ORDERED = {
    # PEP 440, "Summary of permitted suffixes and relative ordering"
    Scheme.PEP440: ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0+abc", "1.0.post1", "1.1", "1.10", "1!0.1"],
    # SemVer 2.0 §11
    Scheme.SEMVER: [
        "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
        "1.0.0-rc.1", "1.0.0", "1.0.9", "1.0.10", "2.0.0",
    ],
}  # fmt: skip


@pytest.mark.parametrize("scheme", Scheme)
def test_versions_stand_in_the_order_of_their_specification(scheme: Scheme) -> None:
    ordered = [versions.parse(text, scheme) for text in ORDERED[scheme]]

    assert max(ordered) is ordered[-1]
    assert all(older < newer and newer > older and older != newer for older, newer in pairwise(ordered))


@pytest.mark.parametrize(
    ("scheme", "one", "other"),
    [
        (Scheme.PEP440, "1.0", "1.0.0"),
        (Scheme.PEP440, "1.0", "v1.0"),
        (Scheme.PEP440, "2026.03", "2026.3"),
        (Scheme.PEP440, "1.0-rc.1", "1.0RC1"),
        (Scheme.PEP440, "1.0", " 1.0 "),
        (Scheme.SEMVER, "1.0.0+linux", "1.0.0+windows"),
    ],
)
def test_spellings_of_one_version_are_equal_and_share_the_key(scheme: Scheme, one: str, other: str) -> None:
    first, second = versions.parse(one, scheme), versions.parse(other, scheme)

    assert first == second
    assert hash(first) == hash(second)
    assert first.key == second.key


@pytest.mark.parametrize(
    ("scheme", "text", "is_prerelease"),
    [
        (Scheme.PEP440, "1.0", False), (Scheme.PEP440, "1.0.post1", False), (Scheme.PEP440, "1.0rc1", True),
        (Scheme.PEP440, "1.0.dev3", True), (Scheme.SEMVER, "1.0.0", False), (Scheme.SEMVER, "1.0.0+b", False),
        (Scheme.SEMVER, "1.0.0-0", True),
    ],
)  # fmt: skip
def test_pre_releases_are_known(scheme: Scheme, text: str, *, is_prerelease: bool) -> None:
    assert versions.parse(text, scheme).is_prerelease is is_prerelease


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        *((Scheme.PEP440, text) for text in ("", " ", "newest", "1.0-linux!", "1..0", "1.0\n2", "１.0", "1.0.poſt1")),
        *((Scheme.SEMVER, text) for text in ("", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.٣")),
    ],
)
def test_what_is_no_version_is_refused(scheme: Scheme, text: str) -> None:
    with pytest.raises(InvalidRequestError):
        versions.parse(text, scheme)


@given(text=st.text(max_size=64), scheme=st.sampled_from(Scheme))
def test_any_text_is_a_version_or_refused(text: str, scheme: Scheme) -> None:
    try:
        version = versions.parse(text, scheme)
    except InvalidRequestError:
        return

    assert version == versions.parse(version.key, scheme)
