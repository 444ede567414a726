"""Every page, in both languages, for every role: it is there for whoever may see it and explains itself to others."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from licsrv import audit
from licsrv.console.navigation import MENU
from licsrv.console.pages import all_pages
from licsrv.desk.api import admin_operations
from licsrv.desk.bulk import jobs
from licsrv.desk.bulk.rules import FOR_LISTS, Task
from licsrv.people.actors import at_the_terminal
from licsrv.people.roles import Permission, Role, permissions_of
from licsrv.platform.db import transaction
from tests.console.conftest import Reader, reader
from tests.console.furnishing import furnish
from tests.staff import House

WEB = Path(str(files("licsrv.console")))
# A page, and the operation that it asks for first.
READ = {
    "/admin/licenses/{license}": "/admin/api/licenses/{license}",
    "/admin/accounts/{name}": "/admin/api/accounts/{name}",
    "/admin/reports/{name}": "/admin/api/reports/{name}",
    "/admin/bulk/{id}": "/admin/api/bulk/{id}",
    **{f"/admin/{name}": f"/admin/api/{name}" for name in (
        "outbox", "callbacks", "audit", "reconciliation", "products", "releases", "keys", "bulk", "reports",
        "accounts", "tokens",
    )},
}  # fmt: skip
OPEN = {"/admin", "/admin/account", "/admin/search", "/admin/sign-in", "/admin/setup", "/admin/account/finish"}
PERMISSIONS = {(one.method, one.path): one.permission for one in admin_operations()}


def test_no_page_is_forgotten_here() -> None:
    assert {page.path for page in all_pages() if page.method == "GET"} == {*READ, *OPEN}


@pytest.mark.parametrize("role", list(Role))
async def test_a_page_is_there_for_exactly_the_roles_that_may_read_it(house: House, role: Role) -> None:
    license = await furnish(house)
    house.hire("bob")
    for language in ("zh", "en"):
        name = f"{role}-{language}"
        house.hire(name, role, language=language)
        ann = reader(house, name)
        for path, operation in READ.items():
            permission = PERMISSIONS[("GET", operation)]
            address = path.format(
                license=license.license_id, name="refusals" if "reports" in path else "bob", id="none"
            )
            answer = await ann.see(address)

            allowed = permission in permissions_of(role)
            expected = {200, 303} if allowed and path != "/admin/bulk/{id}" else {404 if allowed else 403}
            assert answer.status_code in expected, f"{role} {address}"
            if answer.status_code != 303:
                assert f'lang="{"zh-CN" if language == "zh" else "en"}"' in answer.text
                check_page(answer.text)


# A form, the permission that it asks for, and what it is sent besides.
_LICENSE = "/admin/licenses/{license}"
FORMS: dict[str, tuple[Permission, dict[str, str]]] = {
    "/admin/search": (Permission.READ_LICENSES, {}),
    f"{_LICENSE}/match": (Permission.READ_LICENSES, {}),
    f"{_LICENSE}/compare": (Permission.RECONCILE, {}),
    f"{_LICENSE}/file": (Permission.CHANGE_LICENSES, {"device_id": "none"}),
    f"{_LICENSE}/ask": (Permission.CHANGE_LICENSES, {"action": "revoke"}),
    f"{_LICENSE}/do": (Permission.CHANGE_LICENSES, {"action": "revoke"}),
    f"{_LICENSE}/differences/{{id}}/repair": (Permission.RECONCILE, {}),
    f"{_LICENSE}/differences/{{id}}/dismiss": (Permission.RECONCILE, {}),
    "/admin/reconciliation/start": (Permission.RECONCILE, {}),
    "/admin/reconciliation/stop": (Permission.RECONCILE, {}),
    "/admin/reconciliation/repair": (Permission.RECONCILE, {"id": "0"}),
    "/admin/reconciliation/differences/{id}/repair": (Permission.RECONCILE, {}),
    "/admin/reconciliation/differences/{id}/dismiss": (Permission.RECONCILE, {}),
    "/admin/outbox/{id}/retry": (Permission.MANAGE_OUTBOX, {}),
    "/admin/outbox/{id}/drop": (Permission.MANAGE_OUTBOX, {}),
    "/admin/products/policy/preview": (Permission.READ_LICENSES, {"product": "CAD-PRO"}),
    "/admin/products/policy/save": (Permission.MANAGE_PRODUCTS, {"product": "CAD-PRO"}),
    "/admin/products/policy/undo": (Permission.MANAGE_PRODUCTS, {"product": "CAD-PRO", "reason": "It is so."}),
    "/admin/releases/rollout": (Permission.MANAGE_RELEASES, {}),
    "/admin/releases/withdraw": (Permission.MANAGE_RELEASES, {}),
    "/admin/bulk": (Permission.START_BULK, {}),
    "/admin/bulk/{id}/list": (Permission.START_BULK, {}),
    "/admin/bulk/{id}/start": (Permission.START_BULK, {}),
    "/admin/bulk/{id}/stop": (Permission.START_BULK, {}),
    "/admin/bulk/{id}/approve": (Permission.APPROVE_BULK, {}),
    "/admin/bulk/{id}/reject": (Permission.APPROVE_BULK, {}),
    "/admin/accounts": (Permission.MANAGE_ACCOUNTS, {}),
    "/admin/accounts/{name}": (Permission.MANAGE_ACCOUNTS, {}),
    "/admin/accounts/{name}/reset-password": (Permission.MANAGE_ACCOUNTS, {}),
    "/admin/accounts/{name}/disable": (Permission.MANAGE_ACCOUNTS, {}),
    "/admin/tokens": (Permission.MANAGE_TOKENS, {}),
    "/admin/tokens/{id}/revoke": (Permission.MANAGE_TOKENS, {}),
}
OWN_FORMS = {
    "/admin/setup", "/admin/sign-in", "/admin/sign-out", "/admin/language", "/admin/account/password",
    "/admin/account/second-factor", "/admin/account/second-factor/confirm", "/admin/account/profile",
    "/admin/account/recovery-codes", "/admin/account/sessions/{id}/end",
}  # fmt: skip


def test_no_form_is_forgotten_here() -> None:
    forms = {page.path for page in all_pages() if page.method == "POST"}

    def as_page(path: str) -> str:
        """Return the page that a form is sent to; one page may take several words."""
        for word in ("decision", "action"):
            if (page := f"{path.rpartition('/')[0]}/{{{word}}}") in forms and path not in forms:
                return page
        return path

    assert {as_page(path) for path in FORMS} | OWN_FORMS == forms


@pytest.mark.parametrize("role", list(Role))
async def test_a_form_does_something_for_exactly_the_roles_that_may(house: House, role: Role) -> None:
    license = await furnish(house, days=0)
    house.hire("bob")
    house.hire("ann", role)
    visitor = house.signed_in("ann")
    hers = at_the_terminal("staff:ann")
    with transaction(house.runtime.database, (audit.seal,)) as session:
        now = house.runtime.clock.now()
        job = jobs.make(session, Task(FOR_LISTS["revoke"]), actor=hers, cause=hers.cause(reason="Refunded"), now=now).id
    for path, (permission, fields) in FORMS.items():
        address = path.format(license=license.license_id, name="bob", id=job if "bulk" in path else "0")

        answer = await Reader(visitor.http).post(address, csrf=visitor.csrf, **fields)

        assert answer.status_code < 500, path
        assert (answer.status_code == 403) == (permission not in permissions_of(role)), f"{role} {path}"
        forged = await Reader(visitor.http).post(address, csrf=visitor.csrf[::-1], **fields)
        assert forged.status_code == 403, path


@pytest.mark.parametrize("role", list(Role))
async def test_the_menu_holds_what_a_role_may_see_and_nothing_else(house: House, role: Role) -> None:
    house.hire("ann", role, language="en")
    ann = reader(house, "ann")
    menu = re.findall(r'<a href="(/admin[^"]*)"(?: aria-current="page")?>[A-Z]', (await ann.see("/admin")).text)

    expected = {
        entry.address
        for entry in MENU
        if entry.permission in permissions_of(role) and (entry.method, entry.operation) in PERMISSIONS
    }
    assert set(menu) == expected
    for address in menu:
        assert (await ann.see(address)).status_code in {200, 303}


async def test_accounts_and_tokens_are_looked_after(house: House) -> None:
    house.hire("ann", language="en")
    ann = reader(house, "ann")
    made = await ann.send(
        "/admin/accounts", name="Bob", role="support", display_name="<Bob>", language="en", reason="New colleague."
    )
    changed = await ann.send(
        "/admin/accounts/bob", role="viewer", display_name="Bob", language="zh", reason="Another job."
    )
    reset = await ann.send("/admin/accounts/bob/reset-password", on="/admin/accounts/bob", reason="Forgotten.")
    off = await ann.send("/admin/accounts/bob/disable", on="/admin/accounts/bob", reason="Left.")
    own = await ann.send("/admin/accounts/ann/disable", on="/admin/accounts/ann", reason="Mistake.")
    token = await ann.send(
        "/admin/tokens",
        name="nightly",
        scopes=["read_licenses", "read_reports"],
        expires_on="2026-12-31",
        reason="Job.",
    )
    listed = await ann.see("/admin/tokens")
    id = re.search(r"/admin/tokens/(\w+)/revoke", listed.text)
    assert id is not None
    revoked = await ann.send(f"/admin/tokens/{id[1]}/revoke", on="/admin/tokens", reason="Over.")

    assert "&lt;Bob&gt;" in made.text
    assert re.search(r'class="secret">[a-z2-9-]{23}<', made.text)
    assert changed.headers["location"] == "/admin/accounts/bob"
    assert reset.text.count('class="secret"') == 1
    assert (off.status_code, house.account("bob").disabled_at is not None) == (303, True)
    assert (own.status_code, "You cannot disable your own account." in own.text) == (409, True)
    assert "lsat_" in token.text
    assert "lsat_" not in listed.text.replace("lsat_…", "")
    assert revoked.headers["location"] == "/admin/tokens"


def test_the_files_of_the_console_ask_nobody_else_for_anything() -> None:
    for file in [*(WEB / "templates").iterdir(), *(WEB / "static").iterdir()]:
        text = file.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?://|//[a-z]+\.|@import|url\(", text), file.name


VOID = {"meta", "link", "input", "img", "br", "hr", "rect", "path"}


class Checker(HTMLParser):
    """Finds what a screen reader or a strict parser would stumble over."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []
        self.ids: list[str] = []
        self.unlabelled: list[str] = []
        self.labels: set[str | None] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if "id" in given:
            self.ids.append(str(given["id"]))
        if tag == "label":
            self.labels.add(given.get("for"))
        if tag in {"input", "select", "textarea"} and given.get("type") != "hidden":
            named = "label" in self.open or "aria-label" in given or given.get("id") in self.labels
            self.unlabelled += [] if named else [str(given)]
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(tag)
        if tag == "img":
            assert "alt" in given
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open, f"</{tag}> too many"
            assert self.open.pop() == tag, f"</{tag}> does not close {self.open}"


def check_page(text: str) -> None:
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert checker.headings.count("h1") == 1
    assert checker.headings[0] == "h1"
    assert checker.unlabelled == []
    assert len(checker.ids) == len(set(checker.ids)), checker.ids
