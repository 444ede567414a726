"""``licsrv accounts`` and the set-up link of ``licsrv init``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from licsrv.cli.workplace import open_workplace
from licsrv.people import passwords
from licsrv.people.tables import Account, StaffSession
from licsrv.platform.db import open_database, reading
from tests.cli.conftest import ANN, FurnishedHouse, Run
from tests.conftest import NOW

LINK = re.compile(r"^http://127\.0\.0\.1:8000/admin/setup\?token=[A-Za-z0-9_-]{43}$", re.MULTILINE)


def account(house: FurnishedHouse, name: str) -> Account:
    database = open_database(house.url)
    with reading(database) as session:
        found = session.get_one(Account, name)
        session.expunge(found)
    database.dispose()
    return found


def test_a_person_is_added_with_a_password_shown_once(house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("accounts", "add", "Ann", "--role", "support", "--called", "安娜", "--language", "en", "--json")

    shown = ran.document["account"]
    assert (shown["name"], shown["role"], shown["display_name"], shown["language"]) == ("ann", "support", "安娜", "en")
    assert (shown["has_temporary_password"], shown["created_by"]) == (True, ANN)
    assert passwords.is_password(ran.document["password"], account(house, "ann").password)
    assert licsrv("accounts", "list", "--json").document["accounts"] == [shown]
    entry = licsrv("audit", "list", "--of", "account:ann", "--json").document["entries"][0]
    assert (entry["action"], entry["actor"]) == ("ACCOUNT_ADDED", ANN)


def test_words_for_people(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("accounts", "add", "boss", "--role", "operator")
    added = licsrv("accounts", "add", "ann", "--role", "viewer")
    listed = licsrv("accounts", "list")

    assert added.out.startswith("Added ann as viewer. The password, shown this once and good until ")
    assert re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", added.out.splitlines()[-1])
    assert [line.split()[0] for line in listed.out.splitlines()[2:]] == ["ann", "boss"]


def test_a_persons_role_name_and_language_are_changed(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("accounts", "add", "boss", "--role", "operator")
    licsrv("accounts", "add", "ann", "--role", "viewer", "--called", "Ann")

    ran = licsrv("accounts", "change", "Ann", "--role", "support", "--language", "en", "--reason", "Joined", "--json")

    shown = ran.document["account"]
    assert (shown["role"], shown["display_name"], shown["language"]) == ("support", "Ann", "en")
    entry = licsrv("audit", "list", "--of", "account:ann", "--json").document["entries"][0]
    assert (entry["action"], entry["reason"]) == ("ACCOUNT_CHANGED", "Joined")
    last = licsrv("accounts", "change", "boss", "--role", "viewer", "--reason", "Left")
    assert (last.exit_code, "the last operator" in last.err) == (1, True)
    assert licsrv("accounts", "change", "ann", "--role", "king", "--reason", "Why not").exit_code == 2


def test_a_person_is_disabled_and_enabled(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("accounts", "add", "ann", "--role", "viewer")
    with house.writing() as session:
        session.add(StaffSession(id="s", digest="d", account="ann", opened_at=NOW, seen_at=NOW, expires_at=NOW))

    first = licsrv("accounts", "disable", "ann", "--reason", "Left the company.", "--json").document
    again = licsrv("accounts", "disable", "ann", "--reason", "Left the company.")
    back = licsrv("accounts", "enable", "ann", "--reason", "Came back.", "--json").document

    assert (first["changed"], bool(first["account"]["disabled_at"])) == (True, True)
    assert again.out == "ann is already disabled. No change needed.\n"
    assert (back["changed"], back["account"]["disabled_at"]) == (True, None)
    actions = [e["action"] for e in licsrv("audit", "list", "--of", "account:ann", "--json").document["entries"]]
    assert actions == ["ACCOUNT_ENABLED", "ACCOUNT_DISABLED", "SESSIONS_ENDED", "ACCOUNT_ADDED"]


def test_a_password_is_reset(house: FurnishedHouse, licsrv: Run) -> None:
    old = licsrv("accounts", "add", "ann", "--role", "viewer", "--json").document["password"]
    with open_workplace() as place, place.writing() as session:  # sealed as the server does
        session.get_one(Account, "ann").totp_sealed = "sealed"

    first = licsrv("accounts", "reset-password", "ann", "--reason", "Forgot it.", "--json")
    kept = first.document
    taken = licsrv("accounts", "reset-password", "ann", "--reason", "Lost it.", "--second-factor", "--json").document

    assert len({old, kept["password"], taken["password"]}) == 3
    assert (kept["account"]["has_second_factor"], taken["account"]["has_second_factor"]) == (True, False)
    assert passwords.is_password(taken["password"], account(house, "ann").password)
    assert first.err == "API tokens of this account stay valid: `licsrv tokens list`.\n"


def test_sessions_are_ended(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("accounts", "add", "ann", "--role", "viewer")
    with house.writing() as session:
        session.add(StaffSession(id="s", digest="d", account="ann", opened_at=NOW, seen_at=NOW, expires_at=NOW))

    assert licsrv("accounts", "end-sessions", "ann", "--reason", "Stolen laptop.").out == "Ended 1 session of ann.\n"
    assert licsrv("accounts", "end-sessions", "ann", "--reason", "Stolen laptop.", "--json").document["ended"] == 0


def test_the_last_operator_stays(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("accounts", "add", "boss", "--role", "operator")

    ran = licsrv("accounts", "disable", "boss", "--reason", "Left the company.")

    assert (ran.exit_code, ran.err) == (
        1,
        "licsrv: This is the last operator. Make another account an operator first.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("add", "an n", "--role", "viewer"), 1), (("add", "", "--role", "viewer"), 1),
        (("add", "ann", "--role", "king"), 2), (("add", "ann", "--role", "viewer", "--language", "xx"), 2),
        (("add", "ann", "--role", "viewer", "--called", "a\x1bb"), 2), (("add", "ann"), 2),
        (("disable", "nobody", "--reason", "Left the company."), 1), (("disable", "nobody"), 2),
        (("enable", "a\nb", "--reason", "Came back."), 1), (("enable", "nobody", "--reason", "x"), 2),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_a_sentence(
    sqlite_house: FurnishedHouse, licsrv: Run, arguments: tuple[str, ...], exit_code: int
) -> None:
    ran = licsrv("accounts", *arguments)

    assert ran.exit_code == exit_code
    assert "Traceback" not in ran.err
    assert licsrv("accounts", "list").err.startswith("There is no account yet")


def test_a_name_is_given_once(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("accounts", "add", "ann", "--role", "viewer")

    ran = licsrv("accounts", "add", "ANN", "--role", "operator")

    assert (ran.exit_code, account(house, "ann").role) == (1, "viewer")


def test_a_link_is_made_on_request_until_there_is_an_account(house: FurnishedHouse, licsrv: Run) -> None:
    first, second, third = licsrv("accounts", "link"), licsrv("accounts", "link", "--json"), licsrv("init", "--json")
    licsrv("accounts", "add", "boss", "--role", "operator")
    after, after_json = licsrv("accounts", "link"), licsrv("init", "--json")

    [link] = LINK.findall(first.out)
    assert LINK.fullmatch(second.document["setup_url"])
    assert len({link, second.document["setup_url"], third.document["setup_url"]}) == 3
    assert (after.exit_code, LINK.findall(after.out), after_json.document["setup_url"]) == (1, [], None)


def test_init_prints_no_link_into_a_log(house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("init")

    assert LINK.findall(ran.out + ran.err) == []
    assert "`licsrv accounts link`" in ran.err


def test_the_link_leads_to_the_public_address(
    sqlite_house: FurnishedHouse, environment: pytest.MonkeyPatch, licsrv: Run
) -> None:
    environment.setenv("LICSRV_PUBLIC_URL", "https://licenses.example.com")

    url = licsrv("init", "--json").document["setup_url"]

    assert url.startswith("https://licenses.example.com/admin/setup?token=")


@pytest.mark.parametrize(
    "address",
    ["licenses.example.com", "https://a.test/path", "https://u:p@a.test", "ftp://a.test", "https://a.test?x=1"],
)
def test_a_public_address_is_one(environment: pytest.MonkeyPatch, licsrv: Run, address: str) -> None:
    environment.setenv("LICSRV_PUBLIC_URL", address)

    ran = licsrv("init")

    assert (ran.exit_code, "LICSRV_PUBLIC_URL: must be an address" in ran.err) == (1, True)


def test_the_sessions_of_a_person_are_listed_as_long_as_they_are_good(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("accounts", "add", "ann", "--role", "viewer")
    now = datetime.now(UTC)
    with house.writing() as session:
        for number, seen_at in enumerate((now, now - timedelta(minutes=5), now - timedelta(days=2))):
            session.add(
                StaffSession(
                    id=f"session{number}", digest=f"{number}", account="ann", opened_at=seen_at, seen_at=seen_at,
                    expires_at=now + timedelta(hours=1), address=f"192.0.2.{number}", client="Firefox \x1b[31m",
                )
            )  # fmt: skip

    ran = licsrv("accounts", "sessions", "Ann", "--json")
    shown = licsrv("accounts", "sessions", "ann")

    assert ran.document["account"] == "ann"
    assert [one["id"] for one in ran.document["sessions"]] == ["session0", "session1"]
    assert set(ran.document["sessions"][0]) == {
        "id",
        "opened_at",
        "seen_at",
        "expires_at",
        "address",
        "client",
        "is_this",
    }
    assert ("192.0.2.1" in shown.out, "192.0.2.2" in shown.out, "\x1b" in shown.out) == (True, False, False)
    assert licsrv("accounts", "end-sessions", "ann", "--reason", "Lost laptop", "--json").document["ended"] == 3
    assert licsrv("accounts", "sessions", "ann").err == "ann is signed in nowhere.\n"
    assert licsrv("accounts", "sessions", "nobody").exit_code == 1
