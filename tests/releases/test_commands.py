"""``licsrv releases``."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.cli.conftest import ANN, Run

FILE = ("--platform", "linux", "--url", "https://downloads.example.com/cad.bin")
STATED = (*FILE, "--size", 5, "--sha256", "AB" * 32)


@pytest.fixture(autouse=True)
def installation(environment: pytest.MonkeyPatch, database_url: str) -> None:
    environment.setenv("LICSRV_DATABASE_URL", database_url)


def test_a_version_is_published_and_listed(licsrv: Run, tmp_path: Path) -> None:
    (tmp_path / "cad.bin").write_bytes(b"x" * 3_000_000)
    (tmp_path / "zh.txt").write_text("第一行\n第二行\n")

    ran = licsrv(
        "releases", "publish", "OFFI1", "3.2.1", *FILE, "--file", tmp_path / "cad.bin", "--minimum-version", "3.0",
        "--percent", 25, "--notes-zh", f"@{tmp_path / 'zh.txt'}", "--notes-en", "First", "--channel", "beta",
        "--published-at", "2026-02-01", "--json",
    )  # fmt: skip

    release = ran.document["release"]
    assert ran.exit_code == 0
    assert release["sha256"] == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert release["notes"] == {"zh": "第一行\n第二行", "en": "First"}
    assert {name: release[name] for name in ("size", "channel", "minimum_version", "rollout_percent", "state")} == {
        "size": 3_000_000, "channel": "beta", "minimum_version": "3.0", "rollout_percent": 25, "state": "published",
    }  # fmt: skip
    assert (release["published_at"], release["created_by"]) == ("2026-01-31T16:00:00Z", ANN)
    assert licsrv("releases", "list", "--json").document == {"releases": [release]}
    shown = licsrv("releases", "list", "OFFI1").out
    assert all(word in shown for word in ("3.2.1", "beta", "linux", "25 %", "2026-01-31 16:00"))


def test_the_sentence_says_for_whom(licsrv: Run) -> None:
    ran = licsrv("releases", "publish", "OFFI1", "1.0", *STATED)
    assert ran.out == "Published OFFI1 1.0 for stable, linux; offered to everyone.\n"
    assert "No product OFFI1 is described" in ran.err

    ran = licsrv("releases", "publish", "OFFI1", "2.0", *STATED, "--percent", 5, "--published-at", "2999-01-01")
    assert ran.out == (
        "Published OFFI1 2.0 for stable, linux; offered to 5 % of the devices from 2998-12-31T16:00:00Z on.\n"
    )
    assert "scheduled" in licsrv("releases", "list").out


def test_a_product_may_be_called_by_its_name(licsrv: Run) -> None:
    licsrv("products", "set", "OFFI1", "--name", "CAD")

    ran = licsrv("releases", "publish", "CAD", "1.0", *STATED, "--json")

    assert (ran.document["release"]["product_id"], ran.err) == ("OFFI1", "")
    assert len(licsrv("releases", "list", "CAD", "--json").document["releases"]) == 1


def test_a_name_of_several_products_must_be_made_clear(licsrv: Run) -> None:
    licsrv("products", "set", "OFFI1", "--name", "CAD")
    licsrv("products", "set", "OFFI2", "--name", "CAD")

    ran = licsrv("releases", "publish", "CAD", "1.0", *STATED)

    assert (ran.exit_code, ran.err) == (1, "licsrv: 2 products are called CAD. Say which: OFFI1, OFFI2.\n")


def test_the_same_version_again_is_refused(licsrv: Run) -> None:
    licsrv("releases", "publish", "OFFI1", "1.0", *STATED)

    ran = licsrv("releases", "publish", "OFFI1", "1.0.0", *STATED)

    assert (ran.exit_code, ran.err.startswith("licsrv: Version 1.0.0 was published for stable and linux")) == (1, True)


def test_a_version_is_withdrawn_once_and_stays_listed(licsrv: Run) -> None:
    licsrv("releases", "publish", "OFFI1", "1.0", *STATED)
    withdraw = ("releases", "withdraw", "OFFI1", "1.0", "--reason", "It breaks files.", "--yes")

    ran = licsrv(*withdraw)

    assert (ran.exit_code, ran.out) == (0, "OFFI1 1.0 stable linux: withdrawn.\n")
    assert licsrv(*withdraw).out == "No change needed.\n"
    assert licsrv(*withdraw, "--json").document == {"releases": []}
    [release] = licsrv("releases", "list", "--json").document["releases"]
    assert (release["state"], release["withdrawn_by"]) == ("withdrawn", ANN)
    assert release["withdrawn_reason"] == "It breaks files."
    assert licsrv("releases", "list", "--offered", "--json").document == {"releases": []}
    entry = licsrv("audit", "list", "--of", "OFFI1", "--json").document["entries"][0]
    assert (entry["action"], entry["reason"]) == ("RELEASE_WITHDRAWN", "It breaks files.")


def test_a_version_is_rolled_out_further(licsrv: Run) -> None:
    licsrv("releases", "publish", "OFFI1", "1.0", *STATED, "--percent", 5)

    ran = licsrv("releases", "rollout", "OFFI1", "1.0", "--percent", 50)

    assert (ran.exit_code, ran.out) == (0, "OFFI1 1.0 stable linux: now offered to 50 % of the devices.\n")
    again = licsrv("releases", "rollout", "OFFI1", "1.0", "--percent", 50)
    assert again.out == "No change needed.\n"
    licsrv("releases", "rollout", "OFFI1", "1.0", "--percent", 100, "--reason", "Nobody complained.")
    reasons = [entry["reason"] for entry in licsrv("audit", "list", "--of", "OFFI1", "--json").document["entries"]]
    assert reasons == ["Nobody complained.", "", ""]


def test_rules_are_shown_and_set(licsrv: Run) -> None:
    assert licsrv("releases", "rules", "OFFI1", "--json").document == {
        "rules": {"product_id": "OFFI1", "version_scheme": "pep440", "maintenance_months": None}
    }
    ran = licsrv("releases", "rules", "OFFI1", "--versions", "semver", "--maintenance-months", 12)
    assert [line.rstrip() for line in ran.out.splitlines()] == [
        "The rules of OFFI1 are set:", "version_scheme      pep440 -> semver", "maintenance_months  none -> 12",
    ]  # fmt: skip
    assert "12 months from activation" in licsrv("releases", "rules", "OFFI1").out
    assert "No change needed" in licsrv("releases", "rules", "OFFI1", "--versions", "semver").out

    document = licsrv("releases", "rules", "OFFI1", "--no-maintenance-months", "--json").document

    assert document["changes"] == {"maintenance_months": {"before": 12, "after": None}}
    assert "as long as the license lasts" in licsrv("releases", "rules", "OFFI1").out


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (("publish", "OFFI1", "1.0", *FILE), 2),
        (("publish", "OFFI1", "1.0", *FILE, "--size", 5), 2),
        (("publish", "OFFI1", "1.0", *STATED, "--file", __file__), 2),
        (("publish", "OFFI1", "1.0", *FILE, "--file", "/no/such/file"), 2),
        (("publish", "OFFI1", "1.0", *STATED, "--percent", 101), 2),
        (("publish", "OFFI1", "1.0", *STATED, "--published-at", "soon"), 2),
        (("publish", "OFFI1", "1.0", *STATED, "--notes-en", "@/no/such/file"), 1),
        (("publish", "OFFI1", "newest", *STATED), 1),
        (("publish", "OFFI1", "1.0", *STATED, "--url", "http://a.example/"), 1),
        (("publish", "OFFI1", "1.0", *STATED, "--sha256", "xyz"), 1),
        (("withdraw", "OFFI1", "1.0", "--reason", "It breaks files."), 1),
        (("withdraw", "OFFI1", "1.0", "--reason", "x"), 2),
        (("rollout", "OFFI1", "1.0", "--percent", 5), 1),
        (("rules", "OFFI1", "--maintenance-months", 0), 2),
        (("rules", "OFFI1", "--versions", "calver"), 2),
        (("rules", "OFFI1", "--maintenance-months", 1, "--no-maintenance-months"), 2),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(licsrv: Run, words: tuple[object, ...], exit_code: int) -> None:
    ran = licsrv("releases", *words)

    assert (ran.exit_code, ran.out) == (exit_code, "")
    assert ran.err
    assert licsrv("audit", "list", "--json").document["entries"] == []


def test_notes_in_another_encoding_are_refused(licsrv: Run, tmp_path: Path) -> None:
    (tmp_path / "zh.txt").write_bytes("新版".encode("gb18030"))

    ran = licsrv("releases", "publish", "OFFI1", "1.0", *STATED, "--notes-zh", f"@{tmp_path / 'zh.txt'}")

    assert (ran.exit_code, "is not UTF-8" in ran.err) == (2, True)


def test_an_empty_list_says_what_to_do(licsrv: Run) -> None:
    ran = licsrv("releases", "list")

    assert (ran.exit_code, ran.out, "licsrv releases publish" in ran.err) == (0, "", True)
