"""The console in a real browser, as a person works with it: every page by its links and buttons, nothing typed in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from licsrv import audit
from licsrv.audit import Cause
from licsrv.people import setup, totp
from licsrv.people.roles import Role
from licsrv.platform.config import Settings
from licsrv.platform.db import transaction
from tests.conftest import make_settings
from tests.console import chromium
from tests.console.chromium import Chromium
from tests.console.conftest import listening
from tests.console.furnishing import CODE, THIRD_DEVICE, furnish, furnish_many
from tests.staff import PASSWORD, House

STRONG = "seven green bottles on a wall"


@pytest.fixture
def site(house: House) -> Iterator[str]:
    with listening(house.app) as address:
        yield address


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with chromium.running(tmp_path / "browser") as found:
        yield found


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough: what differs between them lies far below the pages."""
    return sqlite_url


@pytest.fixture
def settings(database_url: str, keys_dir: Path) -> Settings:
    return make_settings(database_url, keys_dir, BULK_APPROVAL_ABOVE="10")


def sign_in(browser: Chromium, site: str, house: House, name: str = "ann") -> None:
    browser.go(f"{site}/admin")
    browser.type("input[name=name]", name)
    browser.type("input[name=password]", PASSWORD)
    browser.type("input[name=code]", house.code())
    browser.enter()


def assert_content(browser: Chromium, site: str) -> None:
    """The browser found nothing wrong, and asked nobody else for anything."""
    assert browser.complaints == []
    own = (f"{site}/", "data:")  # the second are the browser's own, as in a field for a day
    assert {one for one in browser.asked if not one.startswith(own)} == set()


async def test_the_first_operator_comes_in_by_the_set_up_link(house: House, site: str, browser: Chromium) -> None:
    now = house.runtime.clock.now()
    with transaction(house.runtime.database, (audit.seal,)) as session:
        link = setup.make_link(session, site, cause=Cause("test"), now=now)
    assert link is not None

    browser.go(link)
    browser.type("input[name=name]", "ann")
    browser.type("input[name=display_name]", "安小姐")
    browser.type("input[name=password]", STRONG)
    browser.type("input[name=again]", STRONG)
    browser.click("main button", "Create the account")
    browser.type("input[name=password]", STRONG)
    browser.click("main button", "Show the code to scan")
    assert browser.run("document.querySelector('.qr svg').getBoundingClientRect().width") > 150
    secret = str(browser.run("document.getElementById('secret').textContent"))
    browser.type("input[name=code]", totp.code_of(totp.secret_of(secret), totp.step_at(now)))
    browser.enter()
    codes = re.findall(r"^[a-z2-7]{4}(?:-[a-z2-7]{4}){3}$", browser.text, re.MULTILINE)
    browser.click("main a", "I have stored them")

    assert len(codes) == 10
    assert "安小姐" in browser.text
    assert_content(browser, site)


@pytest.mark.soak
async def test_both_languages_and_the_keyboard(house: House, site: str, browser: Chromium) -> None:
    house.hire("ann")
    sign_in(browser, site, house)
    chinese = browser.text
    browser.click("header button", "English")
    english = browser.text
    browser.press("Tab")
    skip = browser.run("document.activeElement.textContent")

    assert "您好" in chinese
    assert "Good day" in english
    assert skip == "Skip to the content"
    assert_content(browser, site)


async def test_everything_works_without_a_script(house: House, site: str, browser: Chromium) -> None:
    house.hire("ann")
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    sign_in(browser, site, house)

    browser.send("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.address == f"{site}/admin"


async def test_a_customer_on_the_phone_is_helped(house: House, site: str, browser: Chromium) -> None:
    house.hire("ann", language="en")
    await furnish(house)
    sign_in(browser, site, house)

    browser.poke("h1")
    browser.press("/")  # the search box, by its key
    assert browser.run("document.activeElement.id") == "search"
    browser.send("Input.insertText", text=CODE)
    browser.enter()  # 1: found
    assert "It may be used until" in browser.text
    browser.poke("summary", "Compare with a fingerprint")
    browser.type("input[name=device_info]", THIRD_DEVICE)
    browser.enter()
    assert "another device" in browser.text  # why it is refused
    browser.click("button", "Revoke")  # 2: what it would change
    assert "2 devices will stop at the next check-in" in browser.text
    browser.poke("button[data-reason]", "The payment was refunded.")
    browser.click("main form button", "Revoke")  # 3: done
    assert "It may not be used: The payment was refunded." in browser.text
    browser.click("button", "Undo")
    assert "It may be used until" in browser.text
    assert_content(browser, site)


async def test_a_list_is_worked_off_after_a_second_persons_word(house: House, site: str, browser: Chromium) -> None:
    house.hire("ann", Role.SUPPORT, language="en")
    house.hire("bob", Role.SUPERVISOR, language="en")
    codes = [f"PL20260001{number:02}" for number in range(12)]
    await furnish_many(house, codes)
    sign_in(browser, site, house)

    browser.click("nav a", "Bulk")
    browser.run("document.querySelector('main details').open = true")
    browser.type("textarea[name=list]", "\n".join([*codes, "PL-nowhere"]))
    browser.type("input[name=reason]", "The reseller did not pay.")
    browser.click("button", "Start the dry run")
    assert "Dry run done" in browser.text
    assert "PL-nowhere" in browser.text
    browser.type("input[name=reason]", "Please have a look.")
    browser.click("button", "Ask for approval")
    assert "Waiting" in browser.text
    address = browser.address
    browser.click("header button", "Sign out")
    house.runtime.clock.advance(minutes=1)  # type: ignore[attr-defined]
    sign_in(browser, site, house, "bob")
    browser.go(address)
    browser.type("input[name=reason]", "All of them are theirs.")
    browser.click("button", "Approve")

    assert "Running" in browser.text
    assert_content(browser, site)


@pytest.mark.soak
async def test_reports_are_looked_at(house: House, site: str, browser: Chromium) -> None:
    house.hire("ann", language="en")
    await furnish(house)
    sign_in(browser, site, house)

    browser.click("nav a", "Reports")
    bars = browser.run("document.querySelectorAll('svg.bars rect').length")
    browser.click("main nav a", "Devices that were refused")

    assert bars == 30
    assert "Every place is taken" in browser.text
    assert_content(browser, site)
