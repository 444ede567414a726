"""``licsrv keys``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import ANN, FurnishedHouse, Run


def state(licsrv: Run) -> dict[str, tuple[str, str]]:
    return {key["id"]: (key["purpose"], key["state"]) for key in licsrv("keys", "list", "--json").document["keys"]}


def signing(licsrv: Run, purpose: str) -> str:
    (key_id,) = [key_id for key_id, found in state(licsrv).items() if found == (purpose, "signing")]
    return key_id


def test_the_list_says_what_each_key_does(environment: pytest.MonkeyPatch, licsrv: Run) -> None:
    ran = licsrv("keys", "list", "--json")

    assert ran.exit_code == 0
    assert {key["purpose"] for key in ran.document["keys"]} == {"license", "lease", "release"}
    assert {key["state"] for key in ran.document["keys"]} == {"signing"}
    assert "PRIVATE" not in ran.out


def test_the_list_needs_no_database(environment: pytest.MonkeyPatch, licsrv: Run) -> None:
    assert "signing" in licsrv("keys", "list").out


def test_a_new_key_signs_and_the_old_one_verifies(house: FurnishedHouse, licsrv: Run) -> None:
    before = signing(licsrv, "license")

    made = licsrv("keys", "new", "license", "--json").document["key"]

    assert signing(licsrv, "license") == made["id"]
    assert state(licsrv)[before] == ("license", "verifying")
    entry = licsrv("audit", "list", "--of", made["id"], "--json").document["entries"][0]
    assert (entry["action"], entry["actor"], entry["detail"]) == ("KEY_MADE", ANN, {"purpose": "license"})


def test_retiring_a_key_says_how_many_license_strings_stop_counting(house: FurnishedHouse, licsrv: Run) -> None:
    before = signing(licsrv, "license")
    licsrv("keys", "new", "license")

    ran = licsrv("keys", "retire", before, "--yes")

    assert ran.exit_code == 0
    assert "4 license strings in use, of 3 licenses, will no longer be accepted" in ran.out
    assert state(licsrv)[before] == ("license", "retired")
    assert licsrv("audit", "list", "--action", "KEY_RETIRED", "--json").document["entries"][0]["subject"] == before


def test_retiring_is_not_done_without_consent(house: FurnishedHouse, licsrv: Run) -> None:
    before = signing(licsrv, "license")
    licsrv("keys", "new", "license")

    ran = licsrv("keys", "retire", before)

    assert (ran.exit_code, ran.out) == (1, "")
    assert ran.err.endswith("say so with --yes.\n")
    assert state(licsrv)[before] == ("license", "verifying")


def test_retiring_again_changes_nothing(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    before = signing(licsrv, "lease")
    licsrv("keys", "new", "lease")
    first = licsrv("keys", "retire", before, "--yes")

    again = licsrv("keys", "retire", before)

    assert "Every lease that it signed stops counting" in first.out
    assert (again.exit_code, "was already retired" in again.out) == (0, True)


def test_the_only_key_of_a_purpose_is_not_retired(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("keys", "retire", signing(licsrv, "release"), "--yes")

    assert ran.exit_code == 1
    assert "is the only key for release: make a new one first." in ran.err
    assert licsrv("audit", "list", "--action", "KEY_RETIRED", "--json").document["entries"] == []


def test_unknown_keys_and_purposes_are_refused(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    assert licsrv("keys", "retire", "nope", "--yes").err.startswith("licsrv: There is no key 'nope'.")
    assert licsrv("keys", "new", "coffee").exit_code == 2


def test_a_folder_without_keys_says_what_to_do(environment: pytest.MonkeyPatch, licsrv: Run, tmp_path: Path) -> None:
    environment.setenv("LICSRV_KEYS_DIR", str(tmp_path / "nothing"))

    ran = licsrv("keys", "list")

    assert (ran.exit_code, "run `licsrv init`" in ran.err) == (0, True)


def test_a_damaged_folder_is_told_in_one_sentence(sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    next((tmp_path / "keys").glob("*.json")).write_text("{")

    ran = licsrv("keys", "list")

    assert (ran.exit_code, ran.err.count("\n")) == (1, 1)
    assert "is damaged: restore it from a backup." in ran.err


def test_a_second_key_is_made_listed_and_retired(house: FurnishedHouse, licsrv: Run) -> None:
    before = signing(licsrv, "lease")

    made = licsrv("keys", "new", "--purpose", "license", "--algorithm", "ml-dsa-65", "--json").document["key"]

    assert (made["algorithm"], made["state"]) == ("ML-DSA-65", "signing")
    states = [key["state"] for key in licsrv("keys", "list", "--json").document["keys"] if key["purpose"] == "license"]
    assert states == ["signing", "signing"]
    assert signing(licsrv, "lease") == before
    entry = licsrv("audit", "list", "--of", made["id"], "--json").document["entries"][0]
    assert entry["detail"] == {"purpose": "license", "algorithm": "ML-DSA-65"}

    licsrv("products", "set", "OFFI1", "--second-signature")
    refused = licsrv("keys", "retire", made["id"], "--yes")
    licsrv("products", "set", "OFFI1", "--no-second-signature")
    retired = licsrv("keys", "retire", made["id"], "--yes")

    assert (refused.exit_code, "--no-second-signature" in refused.err) == (1, True)
    assert (retired.exit_code, "second signature that it made stops counting" in retired.out) == (0, True)


def test_a_key_can_wait_for_its_moment(house: FurnishedHouse, licsrv: Run) -> None:
    before = signing(licsrv, "lease")

    ran = licsrv("keys", "new", "lease", "--from", "2999-01-31", "--json")

    made = ran.document["key"]
    assert (made["state"], made["signs_from"]) == ("waiting", "2999-01-30T16:00:00Z")
    assert signing(licsrv, "lease") == before
    assert (
        "2999-01-30 16:00 UTC on and is published already" in licsrv("keys", "new", "lease", "--from", "2999-01-31").out
    )
    assert licsrv("keys", "retire", before, "--yes").exit_code == 1


@pytest.mark.parametrize(
    ("options", "exit_code"),
    [
        ((), 2), (("license", "--purpose", "license"), 2), (("license", "--algorithm", "RSA"), 2),
        (("license", "--from", "soon"), 2), (("license", "--from", "2020-01-01"), 1),
        (("lease", "--algorithm", "ML-DSA-65"), 1),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_is_not_made(
    sqlite_house: FurnishedHouse, licsrv: Run, options: tuple[str, ...], exit_code: int
) -> None:
    before = state(licsrv)

    assert licsrv("keys", "new", *options).exit_code == exit_code
    assert state(licsrv) == before


@pytest.mark.parametrize("command", [("keys", "list"), ("keys", "protect"), ("serve", "--port", "0"), ("doctor",)])
def test_a_damaged_private_key_is_named_by_whatever_reads_it(
    environment: pytest.MonkeyPatch, sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    environment.setenv("LICSRV_KEYS_PASSPHRASE", "correct horse")
    licsrv("keys", "protect")
    [path, *_] = sorted((tmp_path / "keys").glob("*.pem"))
    path.write_bytes(path.read_bytes() * 2)

    ran = licsrv(*command)

    assert (ran.exit_code, f"{path.name} holds 2 keys and must hold one" in " ".join((ran.out + ran.err).split())) == (
        1,
        True,
    )
    assert "Traceback" not in ran.out + ran.err


def test_doctor_names_the_damaged_file_of_a_retired_key(
    environment: pytest.MonkeyPatch, sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path
) -> None:
    environment.setenv("LICSRV_KEYS_PASSPHRASE", "correct horse")
    before = signing(licsrv, "lease")
    licsrv("keys", "new", "lease")
    licsrv("keys", "retire", before, "--yes")
    (tmp_path / "keys" / f"{before}.pem").write_bytes(b"")

    ran = licsrv("doctor")

    assert f"{before}.pem is empty: restore it from a backup." in " ".join(ran.out.split())


def test_encrypting_keys_is_audited_once_for_each(
    environment: pytest.MonkeyPatch, house: FurnishedHouse, licsrv: Run
) -> None:
    environment.setenv("LICSRV_KEYS_PASSPHRASE", "correct horse")

    first = licsrv("keys", "protect", "--json").document
    again = licsrv("keys", "protect", "--json").document

    entries = licsrv("audit", "list", "--action", "KEY_PROTECTED", "--json").document["entries"]
    assert sorted(entry["subject"] for entry in entries) == sorted(first["protected"]) == sorted(state(licsrv))
    assert {entry["actor"] for entry in entries} == {ANN}
    assert (first["is_audited"], again) == (True, {"protected": [], "is_audited": False})


@pytest.mark.parametrize("address", ["sqlite:///{}/nowhere.db", "postgresql://x@127.0.0.1:1/x"])
def test_keys_are_encrypted_without_a_database_and_the_command_says_what_is_missing(
    environment: pytest.MonkeyPatch, sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path, address: str
) -> None:
    environment.setenv("LICSRV_KEYS_PASSPHRASE", "correct horse")
    environment.setenv("LICSRV_DATABASE_URL", address.format(tmp_path))

    ran = licsrv("keys", "protect")
    again = licsrv("keys", "protect")

    assert (ran.exit_code, ran.out.startswith("Encrypted 3 keys")) == (0, True)
    assert "The audit does not record this: " in ran.err
    assert (again.exit_code, again.out, again.err) == (0, "No change needed.\n", "")
    assert not (tmp_path / "nowhere.db").exists()


def test_keys_that_cannot_be_opened_leave_no_entry(
    environment: pytest.MonkeyPatch, sqlite_house: FurnishedHouse, licsrv: Run
) -> None:
    ran = licsrv("keys", "protect")

    assert (ran.exit_code, "PASSPHRASE" in ran.err) == (1, True)
    assert licsrv("audit", "list", "--action", "KEY_PROTECTED", "--json").document["entries"] == []
