"""``licsrv callbacks``."""

from __future__ import annotations

import pytest

from tests.cli.conftest import FurnishedHouse, Run


def test_callbacks_are_listed_newest_first(house: FurnishedHouse, licsrv: Run) -> None:
    callbacks = licsrv("callbacks", "list", "--json").document["callbacks"]

    assert len(callbacks) == 5
    assert [one["id"] for one in callbacks] == sorted((one["id"] for one in callbacks), reverse=True)
    assert callbacks[0].keys() == {
        "id", "received_at", "activity", "code", "result_code", "message", "is_signed", "is_probe", "key_digest",
        "body", "body_bytes", "request_id",
    }  # fmt: skip


def test_those_of_a_code_and_those_that_failed_can_be_asked_for(house: FurnishedHouse, licsrv: Run) -> None:
    of_code = licsrv("callbacks", "list", "--code", house.codes.frozen, "--json").document["callbacks"]
    failed = licsrv("callbacks", "list", "--failed", "--json").document["callbacks"]

    assert [one["activity"] for one in of_code] == ["updateLicenseCodeStatus"]
    assert sorted(one["is_signed"] for one in failed) == [False, True]
    assert "000000" not in {one["result_code"] for one in failed}
    typed = f"\u200b{house.codes.frozen.lower()} "
    assert licsrv("callbacks", "list", "--code", typed, "--json").document["callbacks"] == of_code
    assert licsrv("licenses", "list", typed, "--json").document["licenses"][0]["code"] == house.codes.frozen
    assert licsrv("callbacks", "list", "--code", "NONE").err == "No such callback was received.\n"


def test_a_callback_is_shown_with_its_body(house: FurnishedHouse, licsrv: Run) -> None:
    (found,) = licsrv("callbacks", "list", "--code", house.codes.frozen, "--json").document["callbacks"]

    shown = licsrv("callbacks", "show", found["id"])

    assert "updateLicenseCodeStatus" in shown.out
    assert house.codes.frozen in shown.out
    assert licsrv("callbacks", "show", found["id"], "--json").document["callback"] == found


def test_an_unknown_callback_is_refused(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("callbacks", "show", "nope")

    assert (ran.exit_code, ran.err.startswith("licsrv: There is no callback 'nope'.")) == (1, True)


def test_the_list_for_people_names_result_and_signature(
    sqlite_house: FurnishedHouse, licsrv: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    out = licsrv("callbacks", "list").out

    for words in ("refreshLicenseCode", sqlite_house.codes.used, "000000", "000002", "success.", "unsigned"):
        assert words in out
