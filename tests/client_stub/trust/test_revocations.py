"""The revocation list: what is believed, what is applied to what, and what is looked up."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_stub.trust import errors, revocations
from client_stub.trust.claims import License, read_license
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.revocations import Outcome, RevocationList, RevocationUpdate
from client_stub.trust.tokens import Token
from tests.client_stub.signing import (
    NOW,
    SigningKey,
    Vendor,
    base64url,
    encode,
    license_claims,
    list_entry,
    list_payload,
)
from tests.soak import rounds, sample
from tests.tables import each

VENDOR = Vendor()
KEYS = PinnedKeys.from_jwks(VENDOR.jwks)
ENTRIES = [list_entry(f"license:lic_{number}") for number in range(50)]


def license_called(license_id: str, string_id: str) -> License:
    return read_license(Token("kid", license_claims(sub=license_id, jti=string_id)))


def held_after(*updates: RevocationUpdate) -> tuple[RevocationList, list[Outcome]]:
    held, outcomes = RevocationList(), []
    for update in updates:
        held, outcome = revocations.apply(held, update)
        outcomes.append(outcome)
    return held, outcomes


def full(number: int, *owners: str) -> RevocationUpdate:
    return RevocationUpdate("i", NOW, number, 0, b"".join(sorted(map(list_entry, owners))), b"")


def delta(since: int, number: int, add: list[str], remove: list[str] | None = None) -> RevocationUpdate:
    added, removed = (b"".join(sorted(map(list_entry, owners))) for owners in (add, remove or []))
    return RevocationUpdate("i", NOW, number, since, added, removed)


# -- looking up ----------------------------------------------------------------------------------------------------


def test_a_license_is_named_by_its_id_or_by_its_string() -> None:
    held, _ = held_after(full(1, "license:lic_3", "string:ls_7"))

    assert held.names(license_called("lic_3", "ls_1"))
    assert held.names(license_called("lic_1", "ls_7"))
    assert not held.names(license_called("lic_7", "ls_3"))
    assert not held.names(license_called("ls_7", "lic_3"))


def test_an_empty_list_names_nothing() -> None:
    assert not RevocationList().names(license_called("lic_1", "ls_1"))
    assert len(RevocationList()) == 0


@given(st.sets(st.integers(0, 400)), st.integers(0, 400))
def test_a_license_is_named_when_its_entry_is_there(listed: set[int], asked: int) -> None:
    held, _ = held_after(full(1, *(f"license:{number}" for number in listed)))

    assert held.names(license_called(str(asked), "ls")) == (asked in listed)


def test_an_entry_is_the_beginning_of_a_digest() -> None:
    assert revocations.entry("license:lic_1") == hashlib.sha256(b"license:lic_1").digest()[:7]


# -- what is applied to what ---------------------------------------------------------------------------------------


def test_a_full_list_replaces_the_one_at_hand() -> None:
    held, outcomes = held_after(full(3, "license:a"), full(5, "license:b"))

    assert outcomes == [Outcome.APPLIED, Outcome.APPLIED]
    assert (held.number, held.entries) == (5, list_entry("license:b"))


def test_a_list_with_a_lower_number_is_ignored() -> None:
    held, outcomes = held_after(full(5, "license:a"), full(4), delta(3, 4, []))

    assert outcomes[1:] == [Outcome.OLDER, Outcome.OLDER]
    assert (held.number, len(held)) == (5, 1)


def test_the_same_number_is_known_already() -> None:
    _, outcomes = held_after(full(5, "license:a"), full(5, "license:a"), delta(4, 5, ["license:b"]))

    assert outcomes[1:] == [Outcome.KNOWN, Outcome.KNOWN]


def test_a_delta_changes_exactly_the_list_that_it_was_made_from() -> None:
    held, outcomes = held_after(full(5, "license:a", "license:b"), delta(5, 7, ["string:c"], ["license:a"]))

    assert outcomes[1] is Outcome.APPLIED
    assert held.number == 7
    assert held.entries == b"".join(sorted([list_entry("license:b"), list_entry("string:c")]))


def test_a_delta_made_from_another_list_is_a_gap() -> None:
    for row in each([3, 4, 6]):
        with row as since:
            held, outcomes = held_after(full(5, "license:a"), delta(since, 7, ["license:b"]))

            assert outcomes[1] is Outcome.GAP
            assert held.number == 5


def test_a_delta_without_a_list_is_a_gap() -> None:
    assert held_after(delta(1, 2, ["license:a"]))[1] == [Outcome.GAP]


def test_a_first_list_that_is_empty_is_a_list() -> None:
    held, outcomes = held_after(full(0))

    assert outcomes == [Outcome.APPLIED]
    assert held.issued_at == NOW


@given(st.lists(st.tuples(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))))
def test_deltas_one_after_the_other_come_to_the_same_as_sets(steps: list[tuple[set[int], set[int]]]) -> None:
    held, expected = RevocationList(1, NOW), set[int]()
    for number, (add, remove) in enumerate(steps, start=1):
        names = [[f"license:{one}" for one in sorted(group)] for group in (add, remove)]
        held, _ = revocations.apply(held, delta(number, number + 1, *names))
        expected = (expected | add) - remove

    assert held.entries == b"".join(sorted(list_entry(f"license:{one}") for one in expected))


# -- what is believed ----------------------------------------------------------------------------------------------


def open_list(text: str | bytes, keys: PinnedKeys) -> RevocationUpdate:
    return revocations.open_update(text, keys)


def test_a_list_is_read(vendor: Vendor, keys: PinnedKeys) -> None:
    update = open_list(vendor.revocation_list(ENTRIES[:3], ENTRIES[3:5], number=9, since=7).encode(), keys)

    assert (update.number, update.since, update.issuer) == (9, 7, "https://license.example")
    assert update.added == b"".join(sorted(ENTRIES[:3]))
    assert update.removed == b"".join(sorted(ENTRIES[3:5]))
    assert update.issued_at == NOW


def test_entries_may_hold_line_ends(vendor: Vendor, keys: PinnedKeys) -> None:
    entries = [b"\n" * 7, b"\n\n{}\n\n\n"]

    assert open_list(vendor.revocation_list(entries), keys).added == b"".join(sorted(entries))


def test_a_list_of_a_hundred_thousand_fits_into_one_mebibyte(vendor: Vendor, keys: PinnedKeys) -> None:
    entries = {list_entry(f"license:lic_{number}") for number in range(100_000)}

    text = vendor.revocation_list(entries)
    held, _ = held_after(open_list(text, keys))

    assert len(text) < 1024 * 1024
    assert held.names(license_called("lic_77777", "ls"))
    assert not held.names(license_called("lic_100000", "ls"))


def test_a_list_that_makes_no_sense_is_refused_even_when_signed(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            b"",
            b"{}",
            b"\n",
            list_payload([])[:-1],
            list_payload([]) + b"\n",
            list_payload(ENTRIES[:2]) + ENTRIES[2],
            list_payload(ENTRIES[:2])[:-1],
            list_payload(ENTRIES[:2], add=1),
            list_payload(ENTRIES[:2], add=3),
            list_payload(ENTRIES[:2], add=1, remove=1),
            list_payload(ENTRIES[:2], [ENTRIES[3]]),
            list_payload([ENTRIES[0], ENTRIES[0]]),
            list_payload([], add=2) + b"".join(sorted(ENTRIES[:2], reverse=True)),
            list_payload([], number=3, since=2, remove=2) + b"".join(sorted(ENTRIES[:2], reverse=True)),
            list_payload([], number=1, since=2),
            list_payload([], v=2),
            list_payload([], v=True),
            list_payload([], v=None),
            list_payload([], iss=""),
            list_payload([], iss=None),
            list_payload([], iat=-1),
            list_payload([], iat="now"),
            list_payload([], number=-1),
            list_payload([], number=1.0),
            list_payload([], number=2**53),
            list_payload([], number=None),
            list_payload([], since=None),
            list_payload([], add=-1),
            list_payload([], add=10**30),
            list_payload([], remove=None),
            b"[]\n",
            b'{"v":1,"v":1}\n',
        ]
    ):
        with row as payload:
            text = vendor.sign_list(payload) if payload else vendor.sign_list(b"\0")

            with pytest.raises(errors.VerificationError):
                open_list(text, keys)


def test_the_order_is_looked_at_byte_by_byte(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(range(8)):
        with row as position:
            lower, higher = bytearray(7), bytearray(7)
            if position < 7:
                higher[position] = 1
            pair = [bytes(lower), bytes(higher)]

            if position < 7:
                assert open_list(vendor.sign_list(list_payload([], add=2) + b"".join(pair)), keys).added == b"".join(
                    pair
                )
            with pytest.raises(errors.BadClaimsError, match="ascending"):
                open_list(vendor.sign_list(list_payload([], add=2) + b"".join(reversed(pair))), keys)


BYTES_THAT_BORROW = st.sampled_from([0, 1, 127, 128, 255])


@given(st.lists(st.lists(BYTES_THAT_BORROW, min_size=7, max_size=7).map(bytes), max_size=6), st.booleans())
def test_the_order_is_that_of_the_entries_compared_one_by_one(entries: list[bytes], is_sorted: bool) -> None:
    chosen = sorted(entries) if is_sorted else entries
    is_ascending = all(earlier < later for earlier, later in pairwise(chosen))
    text = VENDOR.sign_list(list_payload([], add=len(chosen)) + b"".join(chosen))

    if is_ascending:
        assert open_list(text, KEYS).added == b"".join(chosen)
    else:
        with pytest.raises(errors.BadClaimsError, match="ascending"):
            open_list(text, KEYS)


def test_another_header_is_refused(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            ({"typ": "license+jwt"}, errors.WrongTypeError),
            ({"alg": "none"}, errors.WrongTypeError),
            ({"kid": "x"}, errors.UnknownKeyError),
        ]
    ):
        with row as (changes, error), pytest.raises(error):
            open_list(vendor.sign_list(list_payload([]), **changes), keys)


def test_only_a_license_key_makes_a_list(vendor: Vendor, keys: PinnedKeys) -> None:
    key: SigningKey = vendor.lease_key
    header = encode({"alg": "EdDSA", "kid": key.kid, "typ": "revocations"})

    with pytest.raises(errors.WrongKeyPurposeError):
        open_list(key.sign_parts(header, base64url(list_payload([]))), keys)


def test_a_license_is_no_list_and_a_list_is_no_license(vendor: Vendor, keys: PinnedKeys) -> None:
    for text in (vendor.license_string(), vendor.lease(), vendor.license_file()):
        with pytest.raises(errors.VerificationError):
            open_list(text, keys)


def test_the_issuer_has_to_be_the_expected_one(vendor: Vendor, keys: PinnedKeys) -> None:
    with pytest.raises(errors.WrongIssuerError):
        revocations.open_update(vendor.revocation_list(), keys, issuer="https://other.example")


@rounds(everyday=80, short=300, whole=10_000)
def test_every_changed_character_of_a_list_is_noticed(vendor: Vendor, keys: PinnedKeys, rounds: int) -> None:
    text = vendor.revocation_list(ENTRIES[:4])
    for position in sample(range(len(text)), short=rounds):
        for other in "Aa0_.":
            if other != text[position]:
                with pytest.raises(errors.VerificationError):
                    open_list(text[:position] + other + text[position + 1 :], keys)


def test_the_date_of_a_list_is_a_moment(vendor: Vendor, keys: PinnedKeys) -> None:
    assert open_list(vendor.revocation_list(iat=int((NOW + timedelta(days=1)).timestamp())), keys).issued_at > NOW
