"""``licsrv reconcile``, with a marketplace behind a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from licsrv.desk.licenses.answers import CompareAnswer
from licsrv.desk.reconciliation.answers import RepairedAnswer
from tests.cli.conftest import ANN, FurnishedHouse, Run

DIFFERENCE_MEMBERS = {
    "id", "code", "license_id", "kind", "ours", "theirs", "explained", "found_at", "asked_at", "dismissed_at",
    "dismissed_by", "closed_at", "closed_by", "reason",
}  # fmt: skip


class Marketplace(ThreadingHTTPServer):
    """Answers questions about codes from a table; about others it knows nothing."""

    daemon_threads = True
    codes: dict[str, dict[str, Any]]
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Marketplace

    def do_POST(self) -> None:
        code = json.loads(self.rfile.read(int(self.headers["content-length"])))["license"]
        self.server.asked.append(code)
        told = self.server.codes.get(code)
        answer = {"error_code": "92020000", "data": told} if told else {"error_code": "92020005"}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def marketplace(environment: pytest.MonkeyPatch) -> Iterator[Marketplace]:
    server = Marketplace(("127.0.0.1", 0), Handler)
    server.codes, server.asked = {}, []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    environment.setenv("LICSRV_MARKETPLACE_URLS", f"http://127.0.0.1:{server.server_port}")
    environment.setenv("LICSRV_ALLOW_INSECURE_MARKETPLACE", "1")
    environment.setenv("LICSRV_RECONCILE_PER_SECOND", "1000")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def agree(house: FurnishedHouse, marketplace: Marketplace) -> None:
    """Let the marketplace say what is known here of the licenses that are live."""
    for code in (house.codes.used, house.codes.frozen):
        license = house.license(code)
        status = "EXPIRED" if license.frozen_at else "ALIVE"
        assert license.expires_at is not None
        marketplace.codes[code] = {
            "status": status, "product_id": license.product_id, "amount": license.amount,
            "expire_time": license.expires_at.strftime("%Y%m%d%H%M%S"),
        }  # fmt: skip


def listed(licsrv: Run, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = licsrv("reconcile", "list", "--json", *options).document["differences"]
    return found


def test_where_both_agree_nothing_is_found(house: FurnishedHouse, licsrv: Run, marketplace: Marketplace) -> None:
    agree(house, marketplace)

    ran = licsrv("reconcile", "start", "--here", "--json")

    run = ran.document["run"]
    assert (ran.exit_code, run["state"], run["compared"], run["found"]) == (0, "FINISHED", 2, 0)
    assert sorted(marketplace.asked) == sorted([house.codes.used, house.codes.frozen]), "what is released is not asked"
    assert listed(licsrv) == []


def test_a_difference_is_found_shown_and_repaired(house: FurnishedHouse, licsrv: Run, marketplace: Marketplace) -> None:
    agree(house, marketplace)
    marketplace.codes[house.codes.used]["amount"] = 7

    ran = licsrv("reconcile", "start", "--here")
    [difference] = listed(licsrv)
    table = licsrv("reconcile", "list").out
    repaired = licsrv("reconcile", "repair", difference["id"], "--reason", "seller center says so", "--json")

    assert ran.out == "FINISHED: 2 of 2 compared, 1 new difference.\n"
    assert difference.keys() >= DIFFERENCE_MEMBERS
    assert (difference["code"], difference["kind"], difference["theirs"]) == (house.codes.used, "AMOUNT", "7")
    assert house.codes.used in table
    assert RepairedAnswer.model_validate(repaired.document).model_dump(mode="json") == repaired.document
    assert repaired.document == {"repaired": [difference["id"]], "left": [], "next": None}
    assert house.license(house.codes.used).amount == 7
    assert [row["closed_by"] for row in listed(licsrv, "--closed")] == [ANN]
    entry = licsrv("audit", "list", "--action", "DIFFERENCE_REPAIRED", "--json").document["entries"][0]
    assert (entry["actor"], entry["reason"]) == (ANN, "seller center says so")
    assert licsrv("audit", "verify").exit_code == 0


def test_everything_is_repaired_but_what_the_marketplace_does_not_know(
    house: FurnishedHouse, licsrv: Run, marketplace: Marketplace
) -> None:
    agree(house, marketplace)
    marketplace.codes[house.codes.used] |= {"amount": 7, "product_id": "OFFI9"}
    del marketplace.codes[house.codes.frozen]
    licsrv("reconcile", "start", "--here")

    first = licsrv("reconcile", "repair", "--all", "--reason", "all of them", "--json")
    left = listed(licsrv)
    second = licsrv("reconcile", "repair", "--all", "--kind", "unknown", "--reason", "deleted there")

    assert len(first.document["repaired"]) == 2
    assert [(row["code"], row["kind"]) for row in left] == [(house.codes.frozen, "UNKNOWN")]
    assert second.out == "1 of 1 repaired.\n"
    assert house.license(house.codes.frozen).revoked_by == ANN
    assert licsrv("reconcile", "repair", "--all", "--reason", "again").out == "Nothing is to be repaired.\n"


def test_a_difference_is_dismissed(house: FurnishedHouse, licsrv: Run, marketplace: Marketplace) -> None:
    agree(house, marketplace)
    marketplace.codes[house.codes.used]["amount"] = 7
    licsrv("reconcile", "start", "--here")
    [difference] = listed(licsrv)

    ran = licsrv("reconcile", "dismiss", difference["id"], "--reason", "agreed with the customer", "--json")

    assert ran.document == {"changed": True, "id": difference["id"]}
    assert listed(licsrv) == []
    assert [row["reason"] for row in listed(licsrv, "--dismissed")] == ["agreed with the customer"]
    again = licsrv("reconcile", "dismiss", difference["id"], "--reason", "agreed with the customer")
    assert (again.exit_code, "No change needed" in again.out) == (0, True)


def test_one_license_is_compared_now(house: FurnishedHouse, licsrv: Run, marketplace: Marketplace) -> None:
    agree(house, marketplace)

    nothing = licsrv("reconcile", "compare", house.codes.used)
    marketplace.codes[house.codes.used]["status"] = "RELEASED"
    document = licsrv("reconcile", "compare", house.codes.used, "--json").document
    assert CompareAnswer.model_validate(document).model_dump(mode="json") == document
    released = document["differences"]

    assert nothing.out == "Nothing differs.\n"
    assert [(row["kind"], row["ours"], row["theirs"]) for row in released] == [("STATUS", "ACTIVE", "RELEASED")]
    assert set(marketplace.asked) == {house.codes.used}


def test_a_run_is_left_to_a_server_and_can_be_stopped(
    house: FurnishedHouse, licsrv: Run, marketplace: Marketplace
) -> None:
    assert licsrv("reconcile", "start").out == "Started; a server asks.\n"
    assert licsrv("reconcile", "start").out == "A comparison is under way already.\n"
    status = licsrv("reconcile", "status", "--json").document
    stopped = licsrv("reconcile", "stop", "--reason", "not today", "--json").document

    assert [run["state"] for run in status["runs"]] == ["RUNNING"]
    assert status["open"] == {}
    assert (stopped["changed"], stopped["run"]["state"], stopped["run"]["note"]) == (True, "STOPPED", "not today")
    assert licsrv("reconcile", "stop", "--reason", "not today").out.startswith("No comparison is under way")
    assert "Open differences: none." in licsrv("reconcile", "status").err
    assert marketplace.asked == []


def test_without_a_key_pair_nothing_can_be_asked(
    sqlite_house: FurnishedHouse, licsrv: Run, environment: pytest.MonkeyPatch
) -> None:
    for name in ("LICSRV_MARKETPLACE_AK", "LICSRV_MARKETPLACE_SK"):
        environment.delenv(name)

    for words in (("start",), ("compare", sqlite_house.codes.used)):
        ran = licsrv("reconcile", *words)
        assert (ran.exit_code, "No key pair" in ran.err) == (1, True)


@pytest.mark.parametrize(
    "words",
    [("repair",), ("repair", "--reason", "none"), ("repair", "x", "--all", "--reason", "both"), ("dismiss", "x"),
     ("repair", "x", "--kind", "status", "--reason", "both"), ("list", "--kind", "odd"),
     ("list", "--closed", "--dismissed")],
)  # fmt: skip
def test_wrong_words_are_usage_errors(sqlite_house: FurnishedHouse, licsrv: Run, words: tuple[str, ...]) -> None:
    assert licsrv("reconcile", *words).exit_code == 2


@pytest.mark.parametrize("command", ["repair", "dismiss"])
def test_an_unknown_difference_is_refused(sqlite_house: FurnishedHouse, licsrv: Run, command: str) -> None:
    ran = licsrv("reconcile", command, "none", "--reason", "there is none")

    assert (ran.exit_code, "There is no difference none" in ran.err) == (1, True)
