"""The benchmarks' own reading of what the server signs: it believes nothing that a client would not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.leases import require_good_lease, require_good_string
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Keyring, Purpose


@pytest.fixture
def keyring(keys_dir: Path) -> Keyring:
    return KeyFolder(keys_dir).read()


def signed(keyring: Keyring, purpose: Purpose, **claims: Any) -> str:
    return keyring.signer(purpose).sign(json.dumps(claims).encode())


def answer(**members: str) -> bytes:
    return json.dumps(members).encode()


def test_a_lease_of_this_request_is_good(keyring: Keyring) -> None:
    lease = signed(keyring, Purpose.LEASE, nonce="n-1", status="ACTIVE")

    require_good_lease(answer(lease=lease), keyring.jwks(), nonce="n-1")


@pytest.mark.parametrize(("nonce", "status"), [("n-2", "ACTIVE"), ("n-1", "FROZEN")])
def test_a_lease_of_another_request_or_status_is_not(keyring: Keyring, nonce: str, status: str) -> None:
    lease = signed(keyring, Purpose.LEASE, nonce=nonce, status=status)

    with pytest.raises(BenchmarkError, match="another request"):
        require_good_lease(answer(lease=lease), keyring.jwks(), nonce="n-1")


def test_a_lease_signed_by_a_license_key_is_not(keyring: Keyring) -> None:
    lease = signed(keyring, Purpose.LICENSE, nonce="n-1", status="ACTIVE")

    with pytest.raises(BenchmarkError, match="no published key"):
        require_good_lease(answer(lease=lease), keyring.jwks(), nonce="n-1")


def test_a_lease_with_another_signature_is_not(keyring: Keyring) -> None:
    lease, other = (signed(keyring, Purpose.LEASE, nonce=nonce, status="ACTIVE") for nonce in ("n-1", "n-2"))
    forged = ".".join([*lease.split(".")[:2], other.split(".")[2]])

    with pytest.raises(BenchmarkError, match="does not verify"):
        require_good_lease(answer(lease=forged), keyring.jwks(), nonce="n-1")


def test_a_license_string_must_be_for_the_code(keyring: Keyring) -> None:
    body = answer(license_string=signed(keyring, Purpose.LICENSE, code="PL1"))

    require_good_string(body, keyring.jwks(), code="PL1")
    with pytest.raises(BenchmarkError, match="another code"):
        require_good_string(body, keyring.jwks(), code="PL2")
