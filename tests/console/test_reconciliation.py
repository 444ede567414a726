"""The page for the comparison with the marketplace: over HTTP on both engines, and once in a real browser."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from licsrv.emulator.emulator import Emulator
from licsrv.marketplace.reconciliation import rules
from licsrv.marketplace.reconciliation.rules import Kind, Missing, Ours, Said, Silent, Word
from licsrv.people.roles import Role
from licsrv.platform.config import Settings
from licsrv.words.texts import TEXTS
from tests.conftest import DEVICE, NOW, StandingClock, make_settings
from tests.console import chromium
from tests.console.chromium import Chromium
from tests.console.conftest import Reader, listening, reader
from tests.console.furnishing import license_id
from tests.console.test_browser import assert_content, sign_in
from tests.console.test_pages import check_page
from tests.marketplace.reconciliation.differing import differ, expiry
from tests.marketplace.reconciliation.reconciling import differences, license_of, name_of, reconciler, seed
from tests.staff import House

PAGE = "/admin/reconciliation"
NAUGHTY = '<script>alert(1)</script>"><img src=x onerror=alert(1)> {{ 7*7 }}  \u202e本田 👩‍👧 %00 &lt;b&gt;'


@pytest.fixture
def ann(house: House) -> Reader:
    house.hire("ann", Role.SUPPORT, language="en")
    return reader(house, "ann")


async def test_a_run_is_started_watched_and_stopped(house: House, ann: Reader) -> None:
    seed(house.runtime, 3)
    started = await ann.send(f"{PAGE}/start", on=PAGE)
    during = await ann.see(PAGE)
    unexplained = await ann.send(f"{PAGE}/stop", on=PAGE)
    stopped = await ann.send(f"{PAGE}/stop", on=PAGE, reason="The shop is closed today.")
    after = await ann.see(PAGE)

    assert (started.status_code, started.headers["location"]) == (303, PAGE)
    assert "The comparison has started." in during.text
    assert "0 of 3 compared" in during.text
    assert (unexplained.status_code, "reason" in unexplained.text) == (422, True)
    assert stopped.status_code == 303
    assert "The shop is closed today." in after.text
    check_page(during.text)
    check_page(after.text)


async def test_a_difference_says_what_repairing_it_changes_and_is_repaired_with_one_click(
    house: House, ann: Reader
) -> None:
    seed(house.runtime, 2)
    ids = [expiry(house.runtime, license_of(house.runtime, number).id, number=number) for number in (1, 2)]
    page = await ann.see(f"{PAGE}?kind=EXPIRY")
    form = re.search(rf'action="({PAGE}/differences/{ids[0]}/repair[^"]*)".*?name="reason" value="([^"]*)"', page.text)
    assert form is not None
    action, reason = html.unescape(form[1]), html.unescape(form[2])

    repaired = await ann.send(action, on=PAGE, reason=reason)
    dismissed = await ann.send(f"{PAGE}/differences/{ids[1]}/dismiss?kind=EXPIRY", on=PAGE, reason="Sold by hand.")
    left = await ann.see(f"{PAGE}?state=dismissed")
    over = await ann.see(f"{PAGE}?state=closed")

    assert "The license will end when the marketplace says." in page.text
    assert repaired.headers["location"] == dismissed.headers["location"] == f"{PAGE}?kind=EXPIRY"
    assert [one.id for one in differences(house.runtime, closed=True)] == ids[:1]
    assert "Sold by hand." in left.text
    assert name_of(1) in over.text
    for shown in (page, left, over):
        check_page(shown.text)


async def test_all_of_a_kind_on_the_page_are_repaired_and_what_is_left_says_why(house: House, ann: Reader) -> None:
    seed(house.runtime, 2)
    for number in (1, 2):
        differ(
            house.runtime, license_of(house.runtime, number).id, Kind.UNKNOWN, "ACTIVE", "no such code", number=number
        )
    page = await ann.see(f"{PAGE}?kind=UNKNOWN")
    ids = re.findall(r'name="id" value="(\w+)"', page.text)
    await ann.send(f"{PAGE}/differences/{ids[0]}/repair", on=PAGE, reason="Deleted.")

    done = await ann.send(f"{PAGE}/repair?kind=UNKNOWN", on=PAGE, id=[*ids, "0" * 23], reason="Deleted there.")

    assert "check that first" in page.text
    assert license_of(house.runtime, 2).revoked_at is not None
    assert "2 repaired; these could not be:" in done.text
    check_page(done.text)


async def test_a_refusal_stands_on_the_page_that_was_used(house: House, ann: Reader) -> None:
    seed(house.runtime, 1)
    license = license_of(house.runtime, 1)
    silent = differ(house.runtime, license.id, Kind.UNANSWERED, "ACTIVE", NAUGHTY)
    on = f"/admin/licenses/{license.id}"

    for page, address in ((PAGE, PAGE), (on, on)):
        refused = await ann.send(f"{address}/differences/{silent}/repair", on=page, reason="Try it.")
        assert refused.status_code == 409
        assert "there is no value to adopt." in refused.text
        check_page(refused.text)
    left = await ann.send(f"{on}/differences/{silent}/dismiss", on=on, reason="They know.")
    lost = await ann.send(f"{PAGE}/differences/{silent}/burn", on=PAGE, reason="Why not.")
    page_text = (await ann.see(on)).text

    assert (left.status_code, left.headers["location"], lost.status_code) == (303, on, 404)
    assert "They know." in page_text
    assert NAUGHTY in html.unescape(page_text)
    assert "<script>alert" not in page_text


async def test_a_viewer_sees_what_differs_and_can_change_nothing(house: House) -> None:
    house.hire("bob", Role.VIEWER, language="en")
    bob = reader(house, "bob")
    seed(house.runtime, 1)
    one = expiry(house.runtime, license_of(house.runtime, 1).id)

    page, desk = await bob.see(PAGE), await bob.see("/admin")
    refused = await bob.send(f"{PAGE}/differences/{one}/repair", on=PAGE, reason="Because.")

    assert name_of(1) in page.text
    assert f'action="{PAGE}' not in page.text
    assert f'href="{PAGE}">Show' in desk.text
    assert refused.status_code == 403
    assert len(differences(house.runtime)) == 1


class TestWithoutAKeyPair:
    @pytest.fixture
    def settings(self, database_url: str, keys_dir: Path) -> Settings:
        return make_settings(database_url, keys_dir, MARKETPLACE_AK="", MARKETPLACE_SK="")

    async def test_starting_is_refused_on_the_page(self, house: House, ann: Reader) -> None:
        page = await ann.see(PAGE)
        refused = await ann.send(f"{PAGE}/start", on=PAGE)

        assert "Compare every license now" not in page.text
        assert refused.status_code == 409
        assert "No key pair (AK/SK) for the marketplace is configured." in refused.text


def _ours() -> Iterator[Ours]:
    for ends, frozen, amount in itertools.product(
        (None, NOW - timedelta(days=9), NOW + timedelta(days=9)), (None, NOW), (2, 4)
    ):
        yield Ours(NOW - timedelta(days=30), ends, frozen, None, "OFFI1", amount)


def _said() -> Iterator[Said]:
    yield Missing("gone")
    yield Silent("busy")
    for status in ("", "ALIVE", "EXPIRED", "RELEASED", "UNKNOWN", rules.NOT_ACTIVATED, rules.NOT_RECEIVED):
        for days in (-20, 20):
            yield Word(status, NOW + timedelta(days=days), "OFFI2", 3)


def test_every_explanation_is_there_in_chinese() -> None:
    said = {
        one.explained
        for ours, word, unfreezes in itertools.product(_ours(), _said(), (True, False))
        for one in rules.compare(ours, word, alive_unfreezes=unfreezes, now=NOW).found
    }

    assert len(said) >= 14
    assert {sentence for sentence in said if sentence not in TEXTS} == set()


class TestInABrowser:
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url

    async def test_drift_is_seen_explained_repaired_and_left(
        self, house: House, emulator: Emulator, clock: StandingClock, tmp_path: Path
    ) -> None:
        house.hire("ann", Role.SUPPORT, language="en")
        renewed, grown = [emulator.codes.buy(product_id="OFFI1", amount=2, days=30, received=True) for _ in range(2)]
        http = house.visitor().http
        for one in (renewed, grown):
            body = {"code": one.code, "device_info": DEVICE, "nonce": "n"}
            assert (await http.post("/v1/licenses/string", json=body)).status_code == 200
        emulator.set_fault("callbacks", "reorder", 9)  # held until nine of them wait: they never arrive
        await emulator.codes.renew(renewed.code, days=365)
        grown.product_id = naughty = "".join(sign for sign in NAUGHTY if sign.isprintable())
        clock.advance(minutes=1)

        with listening(house.app) as site, chromium.running(tmp_path / "browser") as browser:
            sign_in(browser, site, house)
            browser.click("nav.menu a", "Reconciliation")
            browser.click("button", "Compare every license now")
            await reconciler(house.runtime, clock).work()
            browser.click("a", "Refresh")
            english = browser.text
            browser.click("header button", "中文")
            chinese = browser.text
            browser.click("nav.menu a", "对账")
            in_narrow = _in_narrow(browser)
            row = f"main tr:has(a[href$='{license_id(house, renewed.code)}'])"
            browser.click(f"{row} button", "采用云商店的内容")
            repaired = browser.text
            browser.poke("summary", "保留原样")
            browser.type("main td details[open] input[name=reason]", "商品名称有误，已联系云商店。")
            browser.enter()
            settled = browser.text
            assert_content(browser, site)

        assert "a renewal did not arrive" in english
        assert naughty in english
        assert "有一次续费未送达" in chinese
        assert in_narrow
        assert "已采用云商店的内容。" in repaired
        assert "已保留原样" in settled
        assert [(one.kind, one.theirs, one.reason) for one in differences(house.runtime)] == [
            ("PRODUCT", naughty, "商品名称有误，已联系云商店。")
        ]


def _in_narrow(browser: Chromium) -> bool:
    """Whether nothing is wider than a phone."""
    browser.size(*chromium.NARROW)
    is_narrow = bool(browser.run("document.documentElement.scrollWidth <= innerWidth"))
    browser.size(*chromium.WIDE)
    return is_narrow
