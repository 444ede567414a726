"""``docs/people.md`` says what the table of roles and the operations are."""

from __future__ import annotations

import re

from licsrv.desk.people import accounts, own_session, tokens
from licsrv.people.roles import GRANTABLE, GRANTED, Permission, Role
from tests.docs.pages import ROOT, text

PAGE = ROOT / "docs" / "people.md"
ASKED = {
    Permission.SIGN_IN: {"nothing", "the link's token"},
    Permission.WHO_AM_I: {"any credential"},
    Permission.OWN_ACCOUNT: {"a session"},
}


def test_every_call_is_named_with_what_it_asks_for() -> None:
    rows = re.findall(r"^\| `([A-Z]+ /admin/api\S*)` \| `?([^|`]+?)`? \|", text(PAGE), re.MULTILINE)
    operations = [*own_session.operations(), *accounts.operations(), *tokens.operations()]
    found = {f"{operation.method} {operation.path}": operation.permission for operation in operations}

    assert {call for call, _ in rows} == set(found)
    for call, asked in rows:
        assert asked in ASKED.get(found[call], {str(found[call])}), call


def test_the_table_of_roles_is_the_code() -> None:
    table = text(PAGE).split("## Who may do what")[1].split("\n\n")[1].splitlines()
    roles = [Role(word.strip()) for word in table[0].split("|")[2:-1]]
    said: dict[Role, set[str]] = {role: set() for role in roles}
    for line in table[2:]:
        cells = line.split("|")
        for role, cell in zip(roles, cells[2:-1], strict=True):
            said[role] |= set(re.findall(r"`(\w+)`", cells[1])) if cell.strip() == "yes" else set()

    assert said == {role: {str(permission) for permission in GRANTED[role]} for role in Role}
    assert set().union(*said.values()) == {str(permission) for permission in GRANTABLE}


def test_daily_tasks_stay_within_three_clicks_or_two_calls() -> None:
    """The table says so; that the clicks are those is seen by the browser's tests."""
    tasks = re.findall(r"^\| ([^|]+) \| [^|]+ \| (\d+) \| (\d+) \|$", text(ROOT / "docs" / "support.md"), re.MULTILINE)
    find = next(int(clicks) for name, clicks, _ in tasks if name.startswith("Find by code"))

    for name in ("Find", "Explain", "Revoke", "Take it back", "Release", "Reissue", "Extend", "Compare"):
        assert any(task.startswith(name) for task, _, _ in tasks), name
    for name, clicks, calls in tasks:
        is_found_first = not name.startswith("Find")
        assert int(clicks) + find * is_found_first <= 3, name
        assert int(calls) <= 2, name
