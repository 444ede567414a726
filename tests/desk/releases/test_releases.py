"""``/admin/api/releases``: a pipeline publishes with a token of one scope; what it does is noted, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from licsrv.audit import Action
from licsrv.licensing.tables import Product
from licsrv.people.roles import Permission, Role
from licsrv.platform.db import transaction
from tests.console.conftest import reader
from tests.console.test_pages import check_page
from tests.staff import House, Visitor

PATH = "/admin/api/releases"
VERSION = {
    "product": "OFFI1", "version": "2.0", "platform": "linux", "url": "https://downloads.example.com/cad.bin",
    "size": 123, "sha256": "AB" * 32, "minimum_version": "1.5", "percent": 5, "notes_zh": "新版", "notes_en": "New",
}  # fmt: skip
MEANT = {"product": "OFFI1", "version": "2.0"}
WHY = {"reason": "It breaks files."}


def pipeline(house: House) -> Visitor:
    return house.program(frozenset({Permission.MANAGE_RELEASES}))


async def done(visitor: Visitor, method: str, path: str, body: object, **headers: str) -> Any:
    answer = await visitor.call(method, f"{PATH}{path}", body, **headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def listed(house: House) -> Any:
    return await done(house.program(frozenset({Permission.READ_LICENSES})), "GET", "", None)


async def offered(house: House) -> str | None:
    body = {"product": "OFFI1", "version": "1.0", "channel": "stable", "platform": "linux"}
    version: str | None = (await house.visitor().call("POST", "/v1/versions/check", body)).json()["version"]
    return version


async def test_a_pipeline_publishes_rolls_out_and_withdraws(house: House) -> None:
    program = pipeline(house)

    published = await done(program, "POST", "", VERSION | {"reason": "Built."})
    rolled = await done(program, "POST", "/rollout", MEANT | {"percent": 100})
    again = await done(program, "POST", "/rollout", MEANT | {"percent": 100})
    before = await offered(house)
    withdrawn = await done(program, "POST", "/withdraw", MEANT | {"channel": "stable"} | WHY)
    twice = await done(program, "POST", "/withdraw", MEANT | WHY)

    release = published["release"]
    assert (published["is_described"], release["state"], release["rollout_percent"]) == (False, "published", 5)
    assert (release["sha256"], release["notes"]) == ("ab" * 32, {"zh": "新版", "en": "New"})
    assert [one["rollout_percent"] for one in rolled["releases"]] == [100]
    assert (again, twice) == ({"releases": []}, {"releases": []})
    assert (before, await offered(house)) == ("2.0", None)
    [one] = (await listed(house))["items"]
    assert [one] == withdrawn["releases"]
    assert (one["state"], one["withdrawn_reason"], one["withdrawn_by"]) == (
        "withdrawn", WHY["reason"], release["created_by"],
    )  # fmt: skip
    assert release["created_by"].startswith("token:program#")
    entries = house.audited(Action.RELEASE_PUBLISHED, Action.RELEASE_CHANGED, Action.RELEASE_WITHDRAWN)
    assert [(entry.action, entry.actor, entry.reason) for entry in entries] == [
        ("RELEASE_PUBLISHED", release["created_by"], "Built."),
        ("RELEASE_CHANGED", release["created_by"], ""),
        ("RELEASE_WITHDRAWN", release["created_by"], WHY["reason"]),
    ]


async def test_a_call_that_comes_again_publishes_once(house: House) -> None:
    program, key = pipeline(house), {"Idempotency-Key": "build-4711"}

    first = await done(program, "POST", "", VERSION, **key)
    again = await done(program, "POST", "", VERSION, **key)
    without = await program.call("POST", PATH, VERSION)

    assert first == again
    assert (without.status_code, without.json()["code"]) == (409, "CONFLICT")
    assert len(house.audited(Action.RELEASE_PUBLISHED)) == 1


async def test_rules_are_set_and_shown_and_a_product_may_be_named(house: House) -> None:
    with transaction(house.runtime.database) as session:
        session.add(Product(product_id="OFFI1", name="CAD", features=[]))
    program, reader = pipeline(house), house.program(frozenset({Permission.READ_LICENSES}))
    wanted = {"product": "CAD", "version_scheme": "semver", "maintenance_months": 12}

    first = await done(reader, "GET", "/rules?product=CAD", None)
    changed = await done(program, "PUT", "/rules", wanted | {"reason": "New terms."})
    same = await done(program, "PUT", "/rules", wanted)
    published = await done(
        program, "POST", "", VERSION | {"product": "CAD", "version": "2.0.0", "minimum_version": None}
    )
    without = await done(program, "PUT", "/rules", {"product": "OFFI1", "maintenance_months": 0})

    set_now = {"product_id": "OFFI1", "version_scheme": "semver", "maintenance_months": 12}
    assert first == {"product_id": "OFFI1", "version_scheme": "pep440", "maintenance_months": None}
    assert (changed, same) == ({"changed": True, "rules": set_now}, {"changed": False, "rules": set_now})
    assert (published["is_described"], published["release"]["product_id"]) == (True, "OFFI1")
    assert without == {"changed": True, "rules": set_now | {"maintenance_months": None}}
    assert [entry.reason for entry in house.audited(Action.PRODUCT_CHANGED)] == ["New terms.", ""]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("", VERSION | {"url": "http://downloads.example.com/cad.bin"}, 422),
        ("", VERSION | {"sha256": "ab"}, 422),
        ("", VERSION | {"size": 0}, 422),
        ("", VERSION | {"channel": "Stable"}, 422),
        ("", VERSION | {"minimum_version": "3.0"}, 422),
        ("", VERSION | {"version": "first"}, 422),
        ("", VERSION | {"notes_en": "\x00"}, 422),
        ("", VERSION | {"product": "\x00"}, 422),
        ("", VERSION | {"published_at": "2026-01-01T00:00:00"}, 422),
        ("/rollout", MEANT | {"percent": 101}, 422),
        ("/rollout", MEANT | {"percent": 50}, 404),
        ("/withdraw", MEANT, 422),
        ("/withdraw", MEANT | WHY, 404),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_noted(
    house: House, path: str, body: dict[str, Any], status: int
) -> None:
    answer = await pipeline(house).call("POST", f"{PATH}{path}", body)

    assert answer.status_code == status, answer.text
    assert house.audited(Action.RELEASE_PUBLISHED, Action.RELEASE_CHANGED, Action.RELEASE_WITHDRAWN) == []


async def test_long_notes_in_both_languages_fit(house: House) -> None:
    notes = "\u2603" * 16_000

    made = await done(pipeline(house), "POST", "", VERSION | {"notes_zh": notes, "notes_en": notes})

    assert made["release"]["notes"] == {"zh": notes, "en": notes}


async def test_the_console_rolls_out_and_withdraws_and_says_what_that_changes(house: House) -> None:
    house.hire("ann", language="en")
    house.hire("bob", Role.SUPPORT, language="en")
    ann, bob = reader(house, "ann"), reader(house, "bob")
    await done(pipeline(house), "POST", "", VERSION)
    await done(pipeline(house), "POST", "", VERSION | {"platform": "windows"})
    one = MEANT | {"channel": "stable", "platform": "linux"}

    shown = (await ann.see("/admin/releases")).text
    of_bob = (await bob.see("/admin/releases")).text
    unexplained = await ann.send("/admin/releases/rollout", on="/admin/releases", percent="50", **one)
    no_share = await ann.send("/admin/releases/rollout", on="/admin/releases", percent="", **one, **WHY)
    rolled = await ann.send("/admin/releases/rollout", on="/admin/releases", percent="50", **one, **WHY)
    said = (await ann.see("/admin/releases")).text
    withdrawn = await ann.send("/admin/releases/withdraw", on="/admin/releases", **one, **WHY)
    after = (await ann.see("/admin/releases")).text

    assert "Version 2.0 (stable, linux) is offered to 5 % of the devices." in shown
    assert "This cannot be undone." in shown
    assert "/admin/releases/" not in of_bob
    assert [answer.status_code for answer in (unexplained, no_share, rolled, withdrawn)] == [422, 422, 303, 303]
    assert "is offered to that share of the devices from now on" in said
    assert ("is offered to 50 % of the devices." in said, "The version was withdrawn" in after) == (True, True)
    assert WHY["reason"] in after
    states = {(row["platform"], row["state"], row["rollout_percent"]) for row in (await listed(house))["items"]}
    assert states == {("linux", "withdrawn", 50), ("windows", "published", 5)}
    check_page(shown)
    check_page(after)
