"""The revocation list as pure code: what changes come to, and the bytes that are signed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import KeySet, OKPKey

from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Purpose
from licsrv.licensing.revocation import lists
from licsrv.licensing.revocation.lists import Action, Change, Edition
from tests.conftest import NOW
from tests.licensing.reading import ReadList, license_entry, read_list, read_payload, string_entry

REGISTRY = jws.JWSRegistry(algorithms=["EdDSA"], strict_check_header=False)


def edition(number: int, since: int = 0) -> Edition:
    return Edition("licsrv", number, since, NOW)


def history(toggled: list[int]) -> list[Change]:
    """Return the changes of entries that are listed and taken off in turns."""
    listed: set[int] = set()
    changes = []
    for number, name in enumerate(toggled, start=1):
        action = Action.REMOVE if name in listed else Action.ADD
        listed ^= {name}
        changes.append(Change(number, lists.license_entry(str(name)), str(action), False))
    return changes


def made(changes: list[Change], since: int) -> ReadList:
    wanted = edition(len(changes), since)
    after = changes[since:]
    found = lists.current(after) if since == 0 else lists.difference(after)
    return read_payload(lists.payload(wanted, found))


def test_entries_are_the_beginnings_of_digests() -> None:
    assert bytes.fromhex(lists.license_entry("l1")) == license_entry("l1")
    assert bytes.fromhex(lists.string_entry("j1")) == string_entry("j1")
    assert lists.license_entry("x") != lists.string_entry("x")


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
def test_an_independent_library_verifies_the_list(keys_dir: Path) -> None:
    keyring = KeyFolder(keys_dir).read()
    keys = KeySet([OKPKey.import_key(dict(jwk)) for jwk in keyring.jwks()["keys"]])
    changes = history([1, 2, 3, 2])

    text = lists.signed_list(edition(4), changes, key=keyring.signer(Purpose.LICENSE, now=NOW))

    read = jws.deserialize_compact(text, keys, registry=REGISTRY)
    assert read.headers() == {"alg": "EdDSA", "kid": read.headers()["kid"], "typ": "revocations"}
    listed = sorted([license_entry("1"), license_entry("3")])
    head = {"v": 1, "iss": "licsrv", "iat": int(NOW.timestamp()), "number": 4, "since": 0, "add": 2, "remove": 0}
    assert read.payload == json.dumps(head, separators=(",", ":")).encode() + b"\n" + b"".join(listed)
    assert read_list(text, keyring.jwks()).add == listed


@pytest.mark.parametrize(
    ("toggled", "since", "add", "remove"),
    [
        ([], 0, [], []),
        ([1], 0, [1], []),
        ([1, 1], 0, [], []),
        ([1, 1, 1], 0, [1], []),
        ([1], 1, [], []),
        ([1, 1], 1, [], [1]),
        ([1, 1, 1], 1, [], []),
        ([1, 2, 1, 2, 3], 2, [3], [1, 2]),
        ([1, 2, 2], 1, [], []),
    ],
)
def test_a_delta_says_what_changed_and_nothing_else(
    toggled: list[int], since: int, add: list[int], remove: list[int]
) -> None:
    read = made(history(toggled), since)

    assert read.add == sorted(license_entry(str(name)) for name in add)
    assert read.remove == sorted(license_entry(str(name)) for name in remove)
    assert (read.head["number"], read.head["since"]) == (len(toggled), since)


@given(st.lists(st.integers(0, 6), max_size=40), st.data())
def test_a_delta_leads_from_any_list_to_the_present_one(toggled: list[int], data: st.DataObject) -> None:
    changes = history(toggled)
    since = data.draw(st.integers(0, len(changes)))
    held = set(made(changes[:since], 0).add)
    delta = made(changes, since)

    if since:
        assert held.isdisjoint(delta.add)
        assert held.issuperset(delta.remove)
        held = (held | set(delta.add)) - set(delta.remove)
    else:
        held = set(delta.add)

    assert held == set(made(changes, 0).add)


def test_what_ended_long_ago_is_left_out_of_whole_lists_and_of_no_delta() -> None:
    over, later = (lists.license_entry(name) for name in ("1", "2"))
    changes = [Change(1, over, "add", True), Change(2, later, "add", False)]

    assert lists.current(changes).add == [later]
    assert lists.difference(changes).add == sorted([over, later])


def test_a_whole_list_takes_nothing_away_even_of_what_ended_long_ago() -> None:
    entry = lists.license_entry("1")

    found = lists.current([Change(1, entry, "add", True), Change(2, entry, "remove", False)])

    assert (found.add, found.remove) == ([], [])


@pytest.mark.parametrize(
    ("changed_at", "now", "expected"),
    [
        (None, NOW, datetime(2026, 3, 1, tzinfo=UTC)),
        (NOW - timedelta(hours=1), NOW, NOW - timedelta(hours=1)),
        (NOW - timedelta(days=3), NOW, datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_list_is_dated_by_its_last_change_or_by_the_day(
    changed_at: datetime | None, now: datetime, expected: datetime
) -> None:
    assert lists.issued_at(changed_at, now) == expected


def test_a_hundred_thousand_entries_fit_into_a_mebibyte(keys_dir: Path) -> None:
    keyring = KeyFolder(keys_dir).read()
    changes = [Change(n, lists.license_entry(str(n)), "add", False) for n in range(1, 100_001)]

    text = lists.signed_list(edition(100_000), changes, key=keyring.signer(Purpose.LICENSE, now=NOW))

    assert len(text) < 2**20
    assert len(read_list(text, keyring.jwks()).add) == 100_000
