"""``licsrv licenses``."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from licsrv.audit import Cause
from licsrv.desk.licenses import showing
from licsrv.desk.view import View
from licsrv.licensing import changes
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.policies import Policies
from licsrv.licensing.tables import License
from tests.cli.conftest import ANN, UID, FurnishedHouse, Run
from tests.cli.furnishing import HOSTILE

LICENSE_MEMBERS = {
    "id", "code", "status", "reason", "is_provisional", "is_test", "source", "product_id", "order_id",
    "order_line_id", "customer", "amount", "device_limit", "places", "places_taken", "expires_at", "grace_until",
    "maintenance_until", "created_at",
    "activated_at", "provisional_until", "refused_reason", "frozen_at", "revoked_at", "revoked_by",
    "revoked_reason", "released_at",
}  # fmt: skip


def test_the_list_shows_every_license_newest_first(house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("licenses", "list", "--json")

    licenses = ran.document["licenses"]
    assert ran.exit_code == 0
    assert {one["code"]: one["status"] for one in licenses} == {
        house.codes.used: "ACTIVE",
        house.codes.frozen: "FROZEN",
        house.codes.parked: "RELEASED",
    }
    assert [one["id"] for one in licenses] == sorted((one["id"] for one in licenses), reverse=True)
    assert all(one.keys() >= LICENSE_MEMBERS for one in licenses)


@pytest.mark.parametrize("word", ["FROZEN", "frozen"])
def test_the_list_can_be_kept_to_one_status(house: FurnishedHouse, licsrv: Run, word: str) -> None:
    ran = licsrv("licenses", "list", "--status", word, "--json")

    assert [one["code"] for one in ran.document["licenses"]] == [house.codes.frozen]


def test_the_list_can_be_searched_and_limited(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    used = sqlite_house.codes.used

    assert [one["code"] for one in licsrv("licenses", "list", used[:9], "--json").document["licenses"]] == [used]
    assert len(licsrv("licenses", "list", "--limit", 2, "--json").document["licenses"]) == 2
    assert "there may be more" in licsrv("licenses", "list", "--limit", 2).err
    assert licsrv("licenses", "list", used, "--status", "FROZEN").err == "No license was found.\n"


@pytest.mark.parametrize("width", [80, 120])
def test_the_list_fits_the_terminal(
    sqlite_house: FurnishedHouse, licsrv: Run, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    licsrv("licenses", "add", "C" * 64, "--customer", "=cmd|' /C calc'!A0 " * 5, "--order", "O" * 64)

    ran = licsrv("licenses", "list")

    assert all(len(line) <= width for line in ran.out.splitlines())
    assert sqlite_house.codes.used in ran.out


def test_a_page_tells_everything_of_a_license(house: FurnishedHouse, licsrv: Run) -> None:
    page = licsrv("licenses", "show", house.codes.used, "--json").document

    assert page.keys() >= {
        "summary", "license", "product", "marketplace", "orders", "devices", "deliveries", "audit",
    }  # fmt: skip
    assert page["summary"].startswith("It may be used until ")
    assert page["summary"].endswith(", 2 of 2 places taken.")
    assert page["marketplace"]["status"] == "ALIVE"
    assert [order["scene"] for order in page["orders"]] == ["NEW", "RENEWAL"]
    assert {device["name"] for device in page["devices"]} == {HOSTILE, "本田の机"}
    assert [row["kind"] for row in page["deliveries"]] == ["query_license", "report_usage"]
    assert page["audit"][0]["action"] == "LICENSE_ISSUED"


def test_a_device_on_the_page_has_its_last_contact_and_no_raw_fact(house: FurnishedHouse, licsrv: Run) -> None:
    page = licsrv("licenses", "show", house.codes.used, "--json").document

    by_name = {device["name"]: device for device in page["devices"]}
    assert by_name["本田の机"]["last_contact_at"] is None
    assert by_name[HOSTILE]["last_status"] == "ACTIVE"
    assert by_name[HOSTILE]["known_parts"] == ["board", "cpu", "disk", "mac"]
    assert "parts" not in by_name[HOSTILE]


def test_the_page_for_people_names_the_same(house: FurnishedHouse, licsrv: Run) -> None:
    out = licsrv("licenses", "show", house.codes.used).out

    for words in (
        f"{house.codes.used}  ACTIVE", "2 of 2 places taken", "OFFI1", "Devices", "本田の机", "Orders", "RENEWAL",
        "Asked the marketplace", "ALIVE", "Still to be reported", "query_license", "Last changes", "DEVICE_ACTIVATED",
    ):  # fmt: skip
        assert words in out


def test_a_license_is_found_by_its_id_as_well(house: FurnishedHouse, licsrv: Run) -> None:
    license = house.license(house.codes.used)

    assert licsrv("licenses", "show", license.id, "--json").document["license"]["code"] == license.code


def test_a_released_license_says_so_in_one_sentence(house: FurnishedHouse, licsrv: Run) -> None:
    summary = licsrv("licenses", "show", house.codes.parked, "--json").document["summary"]

    assert summary == "It may not be used: The license was given back to the marketplace and has ended."


def test_an_unknown_code_is_refused_in_one_sentence(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("licenses", "show", "PLNOPE")

    assert (ran.exit_code, ran.out) == (1, "")
    assert ran.err.startswith("licsrv: No license has the code or id 'PLNOPE'.")
    assert ran.err.count("\n") == 1


def test_a_code_is_shown_however_it_is_spelled_and_a_look_alike_is_suggested(
    sqlite_house: FurnishedHouse, licsrv: Run
) -> None:
    code = sqlite_house.codes.used

    for typed in (code.lower(), f" {code[:5]} {code[5:]}-", f"\ufeff{code}\u200b"):
        assert licsrv("licenses", "show", typed, "--json").document["license"]["code"] == code
    assert f"Did you mean {code}?" in licsrv("licenses", "show", "P1" + code[2:]).err


def test_a_code_sold_elsewhere_is_added_and_active(house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv(
        "licenses", "add", "BY-HAND", "--product-id", "OFFI1", "--expires", "2999-01-31", "--devices", 3,
        "--amount", 7, "--order", "4711", "--customer", "ACME", "--test", "--json",
    )  # fmt: skip

    license = ran.document["license"]
    assert ran.exit_code == 0
    assert license["status"] == "ACTIVE"
    assert license["expires_at"] == "2999-01-31T16:00:00Z"
    assert (license["places"], license["amount"], license["is_test"]) == (3, 7, True)
    assert (license["source"], license["order_id"], license["customer"]) == ("manual", "4711", "ACME")
    entry = licsrv("audit", "list", "--of", "BY-HAND", "--json").document["entries"][0]
    assert (entry["action"], entry["actor"], entry["request_id"]) == ("LICENSE_ADDED", ANN, "")


def test_a_code_is_added_once(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("licenses", "add", "BY-HAND")

    ran = licsrv("licenses", "add", " BY-HAND ")

    assert (ran.exit_code, ran.out) == (1, "")
    assert ran.err == "licsrv: A license with this code exists already.\n"


@pytest.mark.parametrize(
    ("text", "expires_at"),
    [
        ("2999-01-31", "2999-01-31T16:00:00Z"),
        ("2999-01-31T16:00:00Z", "2999-01-31T16:00:00Z"),
        ("2999-01-31T16:00+08:00", "2999-01-31T08:00:00Z"),
    ],
)
def test_an_end_is_a_day_or_a_moment(sqlite_house: FurnishedHouse, licsrv: Run, text: str, expires_at: str) -> None:
    ran = licsrv("licenses", "add", "BY-HAND", "--expires", text, "--json")

    assert ran.document["license"]["expires_at"] == expires_at


@pytest.mark.parametrize(
    "options",
    [
        ("--expires", "tomorrow"), ("--expires", "2999-02-30"), ("--expires", "2999-01-31T16:00:00"),
        ("--expires", "32472144000"), ("--devices", 0), ("--amount", -1),
        ("--product-id", "x" * 129), ("--order", "x" * 65), ("--customer", "a\nb"), ("--as", " "), ("--as", "x" * 61),
    ],
)  # fmt: skip
def test_wrong_options_are_usage_errors(sqlite_house: FurnishedHouse, licsrv: Run, options: tuple[object, ...]) -> None:
    ran = licsrv("licenses", "add", "BY-HAND", *options)

    assert (ran.exit_code, ran.out) == (2, "")
    assert "Error:" in ran.err
    assert licsrv("licenses", "show", "BY-HAND").exit_code == 1


@pytest.mark.parametrize("code", ["", "  ", "x" * 65, "a\x1b[31mb"])
def test_a_code_is_short_and_printable(sqlite_house: FurnishedHouse, licsrv: Run, code: str) -> None:
    ran = licsrv("licenses", "add", code)

    assert ran.exit_code == 2
    assert "\x1b" not in ran.err


def test_a_new_license_does_not_end_in_the_past(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("licenses", "add", "BY-HAND", "--expires", "2020-01-01")

    assert (ran.exit_code, ran.err) == (
        1, "licsrv: 2020-01-01 16:00 UTC has passed; a new license must end later.\n",
    )  # fmt: skip


def test_a_revoked_license_keeps_its_tombstone(house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("licenses", "revoke", house.codes.used, "--reason", " Charge-back ", "--as", "bob", "--json")

    license = ran.document["license"]
    assert (ran.exit_code, ran.document["changed"], license["status"]) == (0, True, "REVOKED")
    assert (license["reason"], license["revoked_by"]) == ("Charge-back", f"terminal:{UID} (bob)")
    page = licsrv("licenses", "show", house.codes.used)
    assert f"by terminal:{UID} (bob): “Charge-back”" in page.out
    assert "It may not be used: Charge-back" in page.out
    assert licsrv("audit", "verify").exit_code == 0


def test_revoking_again_changes_nothing(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("licenses", "revoke", house.codes.used, "--reason", "first")

    ran = licsrv("licenses", "revoke", house.codes.used, "--reason", "second")

    assert ran.exit_code == 0
    assert "was already revoked" in ran.out
    assert "“first”" in ran.out
    assert house.license(house.codes.used).revoked_reason == "first"


def test_a_reinstated_license_is_what_it_was(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("licenses", "revoke", house.codes.used, "--reason", "Charge-back")

    ran = licsrv("licenses", "reinstate", house.license(house.codes.used).id, "--reason", "Paid", "--json")

    assert (ran.exit_code, ran.document["changed"], ran.document["license"]["status"]) == (0, True, "ACTIVE")
    entry = licsrv("audit", "list", "--of", house.codes.used, "--json").document["entries"][0]
    assert (entry["action"], entry["reason"]) == ("LICENSE_REINSTATED", "Paid")
    assert entry["detail"]["revoked_reason"] == "Charge-back"
    again = licsrv("licenses", "reinstate", house.codes.used, "--reason", "Paid")
    assert (again.exit_code, "is not revoked" in again.out) == (0, True)


def test_a_released_license_cannot_be_revoked(house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("licenses", "revoke", house.codes.parked, "--reason", "too late")

    assert (ran.exit_code, ran.err) == (1, "licsrv: The license is released; nothing brings it back.\n")


@pytest.mark.parametrize("command", ["revoke", "reinstate"])
@pytest.mark.parametrize("reason", [None, "", "  ", " a ", "x" * 501, "a\nb", "a\x07bc"])
def test_a_reason_is_required_and_readable(
    sqlite_house: FurnishedHouse, licsrv: Run, command: str, reason: str | None
) -> None:
    options = ("--reason", reason) if reason is not None else ()

    ran = licsrv("licenses", command, sqlite_house.codes.used, *options)

    assert (ran.exit_code, ran.out) == (2, "")
    assert "--reason" in ran.err
    assert sqlite_house.license(sqlite_house.codes.used).revoked_at is None


@pytest.mark.parametrize("length", [2, 500])
def test_a_reason_has_2_to_500_characters(sqlite_house: FurnishedHouse, licsrv: Run, length: int) -> None:
    assert licsrv("licenses", "revoke", sqlite_house.codes.used, "--reason", "x" * length).exit_code == 0


NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "It may not be used: The marketplace has not confirmed the license yet."),
        ({"activated_at": NOW}, "It may be used without an end, 0 of 1 place taken."),
        ({"provisional_until": NOW + timedelta(hours=24)},
         ("It may be used provisionally until 2026-03-02 00:00 UTC (in 24 hours), 0 of 1 place taken: "
          "the marketplace has not confirmed it yet.")),
        ({"activated_at": NOW, "expires_at": NOW + timedelta(days=3)},
         "It may be used until 2026-03-04 00:00 UTC (in 3 days), 0 of 1 place taken."),
        ({"activated_at": NOW, "expires_at": NOW},
         "It may not be used: The license has expired; renew it at the marketplace."),
    ],
)  # fmt: skip
def test_one_sentence_says_what_a_license_may_do(facts: dict[str, datetime], words: str) -> None:
    license = License(id="i", code="c", source="marketplace", created_at=NOW, facts_changed_at=NOW, **facts)  # type: ignore[arg-type]

    shown = showing.facts_of(license, showing.Places(1, 0), View(Policies(), NOW)).model_dump(mode="json")

    assert shown["says"]["en"] == words
    assert shown.keys() >= LICENSE_MEMBERS


@pytest.mark.soak
def test_of_two_who_add_a_code_at_once_one_is_refused(postgres_house: FurnishedHouse) -> None:
    with postgres_house.writing() as session:
        changes.add(session, Purchase("BY-HAND", MANUAL), cause=Cause("staff:bob"), now=NOW)
        session.flush()
        other = subprocess.Popen(
            [sys.executable, "-m", "licsrv", "licenses", "add", "BY-HAND"], stderr=subprocess.PIPE, text=True
        )
        with postgres_house.writing() as watching:
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while not watching.scalar(waiting) and other.poll() is None:
                continue
        session.commit()

    _, err = other.communicate(timeout=30)

    assert (other.returncode, err) == (1, "licsrv: A license with this code exists already.\n")


def test_an_own_sale_is_extended_and_changed(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("products", "set", "CAD", "--name", "CAD", "--feature", "draw", "--feature", "export")
    licsrv("licenses", "add", "OWN-1", "--expires", "2030-01-31", "--product-id", "CAD")
    why = ("--reason", "The contract was changed.")

    longer = licsrv("licenses", "extend", "own1", "--until", "2031-01-31", *why, "--yes", "--json").document
    again = licsrv("licenses", "extend", "OWN-1", "--until", "2031-01-31", *why, "--yes")
    shorter = licsrv("licenses", "extend", "OWN-1", "--until", "2030-06-30", *why, "--yes")
    set_once = licsrv(
        "licenses", "set", "OWN-1", "--expires", "2030-06-30", "--places", 3, "--feature", "draw", *why, "--yes"
    )
    never = licsrv(
        "licenses", "set", "OWN-1", "--expires", "never", "--no-places", "--all-features", *why, "--yes", "--json"
    ).document

    assert longer["license"]["expires_at"] == "2031-01-31T16:00:00Z"
    assert (again.exit_code, again.out.splitlines()[0]) == (
        0, "No change needed for OWN-1. It ends then already."
    )  # fmt: skip
    assert (shorter.exit_code, "It ends later already, on 2031-01-31 16:00 UTC." in shorter.err) == (1, True)
    assert "end from 2031-01-31 16:00 UTC to 2030-06-30 16:00 UTC, places from what was bought to 3" in set_once.out
    assert never["undo"]["terms"] == {"expires_at": "2030-06-30T16:00:00Z", "places": 3, "features": ["draw"]}
    shown = never["license"]
    assert (shown["expires_at"], shown["device_limit"], shown["features"]) == (None, None, None)


@pytest.mark.parametrize(
    ("words", "exit_code", "says"),
    [
        (("extend", "OWN-1", "--until", "2027-02-30"), 2, "day is out of range"),
        (("extend", "OWN-1", "--until", "none"), 2, "Write a day"),
        (("extend", "OWN-1"), 2, "--until"),
        (("set", "OWN-1"), 1, "terms names what is set."),
        (("set", "OWN-1", "--places", 0), 2, "greater than or equal to 1"),
        (("set", "OWN-1", "--places", 3, "--no-places"), 2, "Choose one of"),
        (("set", "OWN-1", "--feature", "fly"), 1, "No product has no feature fly."),
        (("set", "OWN-1", "--product-id", "NONE"), 1, "There is no product 'NONE'."),
        (("set", "OWN-1", "--expires", "2001-01-31"), 1, "A license ends after it began."),
        (("extend", "BOUGHT", "--until", "2036-01-31"), 1, "The marketplace decides when this license ends"),
    ],
)
def test_terms_that_cannot_be_are_refused_with_one_sentence(
    sqlite_house: FurnishedHouse, licsrv: Run, words: tuple[object, ...], exit_code: int, says: str
) -> None:
    licsrv("licenses", "add", "OWN-1")
    before = sqlite_house.license("OWN-1")

    meant = [sqlite_house.codes.used if word == "BOUGHT" else word for word in words]
    ran = licsrv("licenses", *meant, "--reason", "because", "--yes")

    assert (ran.exit_code, says in ran.err.replace("\n", " ")) == (exit_code, True), ran.err
    assert "Traceback" not in ran.err
    assert sqlite_house.license("OWN-1") == before
