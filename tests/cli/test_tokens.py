"""``licsrv tokens``."""

from __future__ import annotations

import pytest

from licsrv.people import credentials
from tests.cli.conftest import FurnishedHouse, Run


def test_a_token_is_shown_once_listed_and_revoked(house: FurnishedHouse, licsrv: Run) -> None:
    made = licsrv(
        "tokens", "new", "nightly", "--scope", "read_reports", "--scope", "read_licenses", "--days", 7, "--json"
    ).document
    listed = licsrv("tokens", "list", "--json")
    revoked = licsrv("tokens", "revoke", made["token"]["id"], "--reason", "Leaked.", "--json").document

    assert credentials.is_api_token(made["secret"])
    assert made["secret"] not in listed.out
    assert listed.document["tokens"] == [made["token"]]
    assert made["token"]["scopes"] == ["read_licenses", "read_reports"]
    assert (made["token"]["state"], made["token"]["owner"]) == ("good", None)
    assert revoked["token"]["state"] == "revoked"
    entries = licsrv("audit", "list", "--of", f"token:{made['token']['id']}", "--json").document["entries"]
    assert [(entry["action"], entry["reason"]) for entry in entries] == [
        ("TOKEN_REVOKED", "Leaked."),
        ("TOKEN_MADE", ""),
    ]
    assert made["secret"] not in str(entries)


def test_words_for_people(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    assert licsrv("tokens", "list").err.startswith("There is no API token")

    made = licsrv("tokens", "new", "nightly report", "--scope", "read_reports")

    assert made.out.startswith("Made the token nightly report, shown this once and good until ")
    assert credentials.is_api_token(made.out.splitlines()[-1])
    assert "nightly report" in licsrv("tokens", "list").out


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("new", "x"), 2), (("new", "", "--scope", "read_reports"), 2),
        (("new", "a\x1b", "--scope", "read_reports"), 2),
        (("new", "x", "--scope", "everything"), 2), (("new", "x", "--scope", "own_account"), 2),
        (("new", "x", "--scope", "read_reports", "--days", "0"), 2),
        (("new", "x", "--scope", "read_reports", "--days", "367"), 2),
        (("revoke", "nothing", "--reason", "Leaked."), 1), (("revoke", "a\nb", "--reason", "Leaked."), 1),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_a_sentence(
    sqlite_house: FurnishedHouse, licsrv: Run, arguments: tuple[str, ...], exit_code: int
) -> None:
    ran = licsrv("tokens", *arguments)

    assert (ran.exit_code, "Traceback" in ran.err) == (exit_code, False)
    assert licsrv("tokens", "list", "--json").document == {"tokens": []}
