"""Every page as it looks, wide and narrow, light and dark: looked at by people, and measured by this test.

Set ``LICSRV_SCREENSHOTS`` to a folder to keep the pictures.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from licsrv.marketplace.reconciliation.rules import Kind
from licsrv.people.roles import Role
from licsrv.platform.db import transaction
from tests.console import chromium
from tests.console.conftest import listening
from tests.console.furnishing import furnish
from tests.console.test_browser import sign_in
from tests.marketplace.reconciliation.differing import differ, expiry
from tests.products import describe
from tests.staff import House

PAGES = {
    "desk": "/admin", "license": "/admin/licenses/{id}", "search": "/admin/search", "outbox": "/admin/outbox",
    "callbacks": "/admin/callbacks", "reconciliation": "/admin/reconciliation",
    "audit": "/admin/audit", "releases": "/admin/releases", "keys": "/admin/keys",
    "bulk": "/admin/bulk", "report": "/admin/reports/active-devices", "refusals": "/admin/reports/refusals",
    "accounts": "/admin/accounts", "account": "/admin/accounts/bob", "tokens": "/admin/tokens",
    "own-account": "/admin/account", "products": "/admin/products", "policy": "/admin/products?product=CAD-PRO",
}  # fmt: skip


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kept = Path(os.environ.get("LICSRV_SCREENSHOTS") or tmp_path)
    kept.mkdir(parents=True, exist_ok=True)
    return kept


@pytest.mark.soak
async def test_no_page_is_wider_than_its_screen(house: House, tmp_path: Path, folder: Path) -> None:
    house.hire("ann")
    house.hire("bob", Role.SUPPORT)
    found = await furnish(house)
    with transaction(house.runtime.database) as session:
        describe(session, "CAD-PRO", {"places.floating": False, "places.overdraft": 1})
    expiry(house.runtime, found.license_id)
    differ(house.runtime, found.license_id, Kind.UNKNOWN, "ACTIVE", "no such license", number=1)
    with listening(house.app) as site, chromium.running(tmp_path / "browser") as browser:
        browser.go(f"{site}/admin/sign-in")
        browser.picture(folder / "sign-in-zh-wide.png")
        sign_in(browser, site, house)
        for language in ("zh", "en"):
            if language == "en":
                browser.click("header button", "English")
            for name, path in PAGES.items():
                for form, size in (("wide", chromium.WIDE), ("narrow", chromium.NARROW)):
                    browser.size(*size)
                    browser.dark(on=form == "narrow")
                    browser.go(site + path.format(id=found.license_id))
                    browser.picture(folder / f"{name}-{language}-{form}.png")
                    width = browser.run("document.documentElement.scrollWidth")
                    assert width <= size[0], f"{path} is {width} wide on {form}"
        assert browser.complaints == []
