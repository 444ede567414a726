"""Every JSON document that a command prints is the API's answer to the same question, or the API's model of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel

from licsrv import app as application
from licsrv.audit import Cause
from licsrv.desk.bulk.answers import BulkAnswer
from licsrv.desk.deliveries.answers import DecidedAnswer
from licsrv.desk.keys.answers import Key
from licsrv.desk.licenses.actions.answers import ActionAnswer
from licsrv.desk.licenses.answers import ExplainAnswer, LicenseFactsShown
from licsrv.desk.people.answers import AccountAnswer, MadeToken, TemporaryPassword, TokenAnswer
from licsrv.desk.products.answers import ProductShown
from licsrv.desk.products.policy_answers import PolicyAnswer, PolicyPreview
from licsrv.desk.reconciliation.answers import RunShown, SettledAnswer, StoppedAnswer
from licsrv.desk.releases.answers import ChangedReleases, PublishedAnswer, RulesShown
from licsrv.marketplace.reconciliation import runs
from licsrv.marketplace.reconciliation.tables import Difference
from licsrv.people.roles import GRANTABLE
from licsrv.platform import config
from licsrv.platform.clock import Clock
from tests.cli.conftest import FurnishedHouse, Run
from tests.cli.test_help import LEAVES
from tests.conftest import DEVICE
from tests.heartbeats.copies import remember_copies
from tests.tables import each

Ask = Callable[..., Any]
PUBLISHED = ("OFFI1", "3.3.0", "--platform", "windows", "--url", "https://example.test/x", "--size", 9)
SHA = "ab" * 32

NO_ANSWER_OF_THE_API = {
    "init", "doctor", "backup create", "accounts link", "migrate", "revocations show",
    "revocations export", "revocations after-restore", "audit export", "reports export", "devices file",
    "bulk result", "bulk run", "outbox retry", "keys protect", "keys reseal",
}  # fmt: skip
"""What a program cannot ask for, gets as a file, or asks for one row at a time."""
BEHIND_A_MARKETPLACE = {"reconcile compare", "reconcile repair"}
"""Held to the model in test_reconcile.py."""
OF_SEATS = {"seats list", "seats free"}
"""Held to the models in test_seats.py: they need a product whose places float."""


@pytest.fixture
def ask(licsrv: Run, sqlite_house: FurnishedHouse) -> Iterator[Ask]:
    """Ask the API of this installation, with every permission; a body makes it a POST."""
    scopes = [word for scope in sorted(GRANTABLE) for word in ("--scope", scope)]
    secret = licsrv("tokens", "new", "test", *scopes, "--json").document["secret"]
    runtime = application.build_runtime(config.load(), clock=Clock())
    transport = httpx2.ASGITransport(app=application.create_app(runtime))
    headers = {"Authorization": f"Bearer {secret}"}
    client = httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test/admin/api", headers=headers)
    with asyncio.Runner() as runner:

        def answer(path: str, body: Mapping[str, object] | None = None) -> Any:
            found = runner.run(client.get(path) if body is None else client.post(path, json=body))
            assert found.status_code == 200, found.text
            return found.json()

        yield answer
        runner.run(client.aclose())
        runner.run(runtime.close())


@pytest.fixture
def lived_in(licsrv: Run, sqlite_house: FurnishedHouse, tmp_path: Path) -> FurnishedHouse:
    """A house in which every list has a row."""
    licsrv("products", "set", "OFFI1", "--name", "CAD", "--feature", "3d")
    licsrv("releases", "publish", *PUBLISHED, "--sha256", SHA)
    licsrv("accounts", "add", "bob", "--role", "viewer")
    licsrv("keys", "new", "license")
    licsrv("licenses", "grace", sqlite_house.codes.used, "--until", "none", "--reason", "over", "--yes")
    codes = tmp_path / "listed.txt"
    codes.write_text(sqlite_house.codes.used)
    licsrv("bulk", "prepare", "revoke", codes, "--reason", "not paid")
    now, license_id = Clock().now(), sqlite_house.license(sqlite_house.codes.used).id
    with sqlite_house.writing() as session:
        run, _ = runs.start(session, cause=Cause("staff:bob"), now=now)
        assert run is not None
        session.add(
            Difference(
                id="product", license_id=license_id, kind="PRODUCT", ours="OFFI1", theirs="OFFI9", explained="",
                word={}, asked_at=now, found_at=now,
            )
        )  # fmt: skip
    return sqlite_house


def test_lists_and_pages_are_the_answers_of_the_api(lived_in: FurnishedHouse, licsrv: Run, ask: Ask) -> None:
    used, parked = lived_in.codes.used, lived_in.codes.parked
    row_id = licsrv("outbox", "list", "--state", "parked", "--json").document["deliveries"][0]["id"]
    callback_id = ask("/callbacks")["items"][0]["id"]
    audit = ("audit", "list", "--action", "PRODUCT_CHANGED")
    table: list[tuple[Sequence[object], str, Any]] = [
        (("licenses", "show", used), "page", lambda: ask(f"/licenses/{used}")),
        (("licenses", "list", parked), "licenses", lambda: [ask(f"/licenses/{parked}")["license"]]),
        (("devices", "list", used), "devices", lambda: ask(f"/licenses/{used}/devices")["items"]),
        (("products", "list"), "products", lambda: ask("/products")["items"]),
        (("products", "policy", "OFFI1"), "page", lambda: ask("/products/policy?product=OFFI1")),
        (("releases", "list"), "releases", lambda: ask("/releases")["items"]),
        (("releases", "rules", "OFFI1"), "rules", lambda: ask("/releases/rules?product=OFFI1")),
        (("keys", "list"), "keys", lambda: ask("/keys")["items"]),
        (("outbox", "list"), "deliveries", lambda: ask("/outbox")["items"]),
        (("outbox", "list", "--state", "delivered"), "deliveries", lambda: ask("/outbox?state=delivered")["items"]),
        (("outbox", "show", row_id), "delivery", lambda: ask("/outbox?state=parked")["items"][0]),
        (("callbacks", "list"), "callbacks", lambda: ask("/callbacks")["items"]),
        (("callbacks", "show", callback_id), "callback", lambda: ask("/callbacks")["items"][0]),
        (("reconcile", "status"), "page", lambda: ask("/reconciliation")),
        (("reconcile", "list"), "differences", lambda: ask("/reconciliation/differences")["items"]),
        (audit, "entries", lambda: ask("/audit?action=PRODUCT_CHANGED")["items"]),
        (("audit", "verify"), "page", lambda: ask("/audit/check")),
        (("accounts", "list"), "accounts", lambda: ask("/accounts")["items"]),
        (("accounts", "sessions", "bob"), "sessions", lambda: ask("/accounts/bob/sessions")["items"]),
        (("tokens", "list"), "tokens", lambda: ask("/tokens")["items"]),
        (("bulk", "list"), "jobs", lambda: ask("/bulk")["items"]),
        (("reports", "show", "usage"), "page", lambda: ask("/reports/usage")),
        (("search", used[:8]), "page", lambda: ask("/search", {"text": used[:8]})),
        (("desk",), "page", lambda: ask("/desk")),
    ]

    for row in each(table, names=[" ".join(map(str, words)) for words, _, _ in table]):
        with row as (words, member, answer):
            before = in_order(answer())
            printed = licsrv(*words, "--json").document
            shown = in_order(shared(printed, before) if member == "page" else printed[member])
            assert shown in (before, in_order(answer())), "a sentence may have changed between the two calls"


def shared(printed: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that the API answers as well: the command line may say more."""
    return {name: value for name, value in printed.items() if name in answer}


def in_order(rows: Any) -> Any:
    """Return rows in one order: commands list some of them the other way round."""
    key = "seq" if "seq" in str(rows)[:8] else "id"
    return sorted(rows, key=lambda row: str(row.get(key, row))) if isinstance(rows, list) else rows


def test_what_a_change_prints_is_the_model_of_the_api(lived_in: FurnishedHouse, licsrv: Run, ask: Ask) -> None:
    used, why = lived_in.codes.used, ("--reason", "it is so")
    keys = licsrv("keys", "list", "--json").document["keys"]
    [key_id] = [key["id"] for key in keys if key["state"] == "verifying"]
    device_id = licsrv("devices", "list", used, "--json").document["devices"][0]["id"]
    with lived_in.writing() as session:
        remember_copies(session, device_id, now=Clock().now())
    [parked] = licsrv("outbox", "list", "--state", "parked", "--json").document["deliveries"]
    token_id = ask("/tokens")["items"][0]["id"]
    table: list[tuple[Sequence[object], type[BaseModel], str]] = [
        (("reconcile", "dismiss", "product", *why), SettledAnswer, ""),
        (("explain", used, "--device", DEVICE), ExplainAnswer, ""),
        (("licenses", "add", "PL-NEW"), LicenseFactsShown, "license"),
        (("licenses", "extend", "PL-NEW", "--until", "2037-01-31", *why), ActionAnswer, ""),
        (("licenses", "set", "PL-NEW", "--places", 3, *why), ActionAnswer, ""),
        (("licenses", "revoke", used, *why), ActionAnswer, ""),
        (("licenses", "reinstate", used, *why), ActionAnswer, ""),
        (("licenses", "grace", used, "--until", "none", *why), ActionAnswer, ""),
        (("licenses", "maintenance", used, "--until", "none", *why), ActionAnswer, ""),
        (("licenses", "note", used, "called"), ActionAnswer, ""),
        (("licenses", "reissue", used, *why), ActionAnswer, ""),
        (("devices", "bless", used, device_id, "0000000a", *why), ActionAnswer, ""),
        (("devices", "clock-reset", used, device_id, *why), ActionAnswer, "*"),
        (("devices", "release", used, device_id, *why), ActionAnswer, "*"),
        (("devices", "restore", used, device_id, *why), ActionAnswer, ""),
        (("devices", "release-unseen", used, *why), ActionAnswer, ""),
        (("products", "set", "OFFI2", "--name", "CAM"), ProductShown, "product"),
        (("products", "policy", "OFFI2", "--set", "places.limit=3", *why), PolicyAnswer, ""),
        (("products", "policy", "OFFI2", "--undo", "--dry-run"), PolicyPreview, ""),
        (("releases", "publish", *PUBLISHED[:1], "3.4.0", *PUBLISHED[2:], "--sha256", SHA), PublishedAnswer, ""),
        (("releases", "rollout", "OFFI1", "3.4.0", "--percent", 5), ChangedReleases, ""),
        (("releases", "withdraw", "OFFI1", "3.4.0", *why), ChangedReleases, ""),
        (("releases", "rules", "OFFI1", "--versions", "semver"), RulesShown, "rules"),
        (("keys", "new", "lease"), Key, "key"),
        (("keys", "retire", key_id, "--yes"), Key, "key"),
        (("accounts", "add", "eve", "--role", "support"), TemporaryPassword, ""),
        (("accounts", "change", "eve", "--role", "viewer", *why), AccountAnswer, "account"),
        (("accounts", "reset-password", "eve", *why), TemporaryPassword, ""),
        (("accounts", "disable", "eve", *why), AccountAnswer, "account"),
        (("accounts", "enable", "eve", *why), AccountAnswer, "account"),
        (("accounts", "end-sessions", "eve", *why), AccountAnswer, "account"),
        (("tokens", "new", "two", "--scope", "read_licenses"), MadeToken, ""),
        (("tokens", "revoke", token_id, *why), TokenAnswer, "token"),
        (("reconcile", "start"), RunShown, "run"),
        (("reconcile", "stop", *why), StoppedAnswer, ""),
        (("outbox", "drop", parked["id"], *why), DecidedAnswer, ""),
    ]

    for row in each(table, names=[" ".join(map(str, words)) for words, _, _ in table]):
        with row as (words, model, member):
            ran = licsrv(*words, "--json")
            assert ran.exit_code == 0, ran.err
            document = ran.document
            printed = shared(document, model.model_fields) if member == "*" else document.get(member, document)
            assert model.model_validate(printed).model_dump(mode="json") == printed


def test_what_bulk_work_prints_is_the_model_of_the_api(
    sqlite_house: FurnishedHouse, licsrv: Run, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("LICSRV_BULK_APPROVAL_ABOVE", "1")
    codes = tmp_path / "codes.txt"
    codes.write_text(f"{sqlite_house.codes.used}\n{sqlite_house.codes.frozen}\n")
    why = ("--reason", "it is so")

    for decision in each((("bulk", "approve"), ("bulk", "reject"), ("bulk", "stop"))):
        with decision as words:
            prepared = licsrv("bulk", "prepare", "revoke", codes, *why, "--json").document["job"]
            started = licsrv("bulk", "start", prepared["id"], "--yes", "--json").document["job"]
            environment.setenv("SUDO_UID", "1235")
            decided = licsrv(*words, prepared["id"], *why, "--as", "bob", "--json").document["job"]
            environment.setenv("SUDO_UID", "1234")
            shown = licsrv("bulk", "show", prepared["id"], "--json").document["job"]
            for job in (prepared, started, decided, shown):
                assert BulkAnswer.model_validate(job).model_dump(mode="json") == job


def test_every_command_with_json_is_held_to_the_api() -> None:
    source = Path(__file__).read_text()
    commands = [path for path, command in LEAVES if any("--json" in option.opts for option in command.params)]
    missing = [path for path in commands if '("' + '", "'.join(path) + '"' not in source]

    assert {" ".join(path) for path in missing} == NO_ANSWER_OF_THE_API | BEHIND_A_MARKETPLACE | OF_SEATS
