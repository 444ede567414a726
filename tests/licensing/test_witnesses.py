"""What the server signs, read by the client's own code: files, the revocation list, and any delta of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_stub.trust import revocations as held
from client_stub.trust import verification
from client_stub.trust.errors import VerificationError
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.revocations import Outcome, RevocationList
from licsrv.licensing import fingerprints
from licsrv.licensing.issuing import files
from licsrv.licensing.issuing.files import FileDetails
from licsrv.licensing.issuing.strings import LicenseTerms
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Algorithm, Keyring, Purpose
from licsrv.licensing.revocation import lists
from licsrv.licensing.revocation.lists import Action, Change, Edition
from tests.conftest import DEVICE, NOW, OTHER_DEVICE

TERMS = LicenseTerms(
    issuer="licsrv", issued_id="j" * 23, license_id="l" * 23, code="PL0000000001", product="CAD", features=["export"],
    amount=2, is_test=False, is_provisional=False, issued_at=NOW, starts_at=NOW, ends_at=NOW + timedelta(days=1),
    maintenance_until=NOW + timedelta(days=90),
)  # fmt: skip


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    folder = KeyFolder(tmp_path_factory.mktemp("keys"))
    folder.ensure(now=NOW)
    folder.make(Purpose.LICENSE, now=NOW, algorithm=Algorithm.ML_DSA_65)
    return folder.read()


def file(keyring: Keyring, *, twice: bool) -> bytes:
    signed = files.sign_file(
        TERMS,
        FileDetails("CS1", "许可证.lic", "设计-07"),
        fingerprints.parse(DEVICE),
        salt=b"s" * 12,
        key=keyring.signer(Purpose.LICENSE, now=NOW),
        second=keyring.second_signer(now=NOW) if twice else None,
    )
    return signed.text.encode()


@pytest.mark.parametrize("twice", [False, True])
def test_the_client_believes_a_file_on_its_device(keyring: Keyring, *, twice: bool) -> None:
    keys = PinnedKeys.from_jwks(keyring.jwks())

    believed = verification.verify_license_file(
        file(keyring, twice=twice), keys, device_info=DEVICE, now=NOW, require_both=twice
    )

    assert (believed.license_id, believed.product) == ("l" * 23, "CAD")


def test_the_client_refuses_another_device_and_a_signature_too_few(keyring: Keyring) -> None:
    keys = PinnedKeys.from_jwks(keyring.jwks())

    with pytest.raises(VerificationError):
        verification.verify_license_file(file(keyring, twice=False), keys, device_info=OTHER_DEVICE, now=NOW)
    with pytest.raises(VerificationError):
        verification.verify_license_file(
            file(keyring, twice=False), keys, device_info=DEVICE, now=NOW, require_both=True
        )


@given(toggled=st.lists(st.integers(0, 5), max_size=25), data=st.data())
def test_the_client_keeps_up_with_the_list(keyring: Keyring, toggled: list[int], data: Any) -> None:
    keys = PinnedKeys.from_jwks(keyring.jwks())
    listed: set[int] = set()
    changes = []
    for number, name in enumerate(toggled, start=1):
        action = Action.REMOVE if name in listed else Action.ADD
        listed ^= {name}
        changes.append(Change(number, lists.license_entry(str(name)), str(action), False))

    def published(since: int, number: int) -> str:
        edition = Edition("licsrv", number, since, NOW)
        key = keyring.signer(Purpose.LICENSE, now=NOW)
        return lists.signed_list(edition, changes[since:number], key=key)

    first = data.draw(st.integers(0, len(changes)))
    whole = held.open_update(published(0, first), keys, issuer="licsrv")
    mine, _ = held.apply(RevocationList(), whole)
    delta = held.open_update(published(first, len(changes)), keys, issuer="licsrv")
    mine, outcome = held.apply(mine, delta)

    assert mine.number == len(changes)
    assert outcome in {Outcome.APPLIED, Outcome.KNOWN}
    assert mine.entries == b"".join(sorted(held.entry(f"license:{name}") for name in listed))
