"""A page that needs a fresh proof asks for it, keeps what was typed, and goes on."""

from __future__ import annotations

import html
import re

import httpx2

from tests.conftest import StandingClock
from tests.console.conftest import reader
from tests.staff import PASSWORD, House

HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def kept(page: httpx2.Response) -> dict[str, list[str]]:
    """Return the hidden fields of the form that asks for a proof."""
    form = page.text.partition("<h1>")[2]
    fields: dict[str, list[str]] = {}
    for name, value in HIDDEN.findall(form):
        fields.setdefault(name, []).append(html.unescape(value))
    return fields


async def test_a_token_is_made_after_a_proof_with_what_was_typed_before(house: House, clock: StandingClock) -> None:
    house.hire("ann", language="en")
    ann = reader(house, "ann")
    clock.advance(minutes=6)
    typed = {"name": "Nightly <1>", "scopes": ["read_licenses", "read_reports"], "expires_on": "2026-06-30"}

    asked = await ann.send("/admin/tokens", **typed, reason="A report.")
    again = await ann.post("/admin/tokens", **kept(asked), proof="000000")
    made = await ann.post("/admin/tokens", **kept(again), proof=house.code())

    assert (asked.status_code, again.status_code, made.status_code) == (403, 403, 200)
    assert "Is it you?" in asked.text
    assert "The code is wrong." in again.text
    assert "lsat_" in made.text
    listed = (await ann.see("/admin/tokens")).text
    assert "Nightly &lt;1&gt;" in listed
    assert "lsat_" not in asked.text + again.text + listed


async def test_a_typed_password_is_not_written_into_the_page(house: House, clock: StandingClock) -> None:
    house.hire("ann")
    ann = reader(house, "ann", language="zh")
    clock.advance(minutes=6)

    asked = await ann.send("/admin/account/recovery-codes", on="/admin/account", password=PASSWORD)
    given = await ann.post("/admin/account/recovery-codes", **kept(asked), password=PASSWORD, proof=house.code())

    assert "是您本人吗？" in asked.text
    assert PASSWORD not in asked.text
    assert 'name="password" type="password"' in asked.text
    assert given.status_code == 200


async def test_without_our_own_form_no_proof_is_taken(house: House, clock: StandingClock) -> None:
    house.hire("ann")
    ann = reader(house, "ann")
    clock.advance(minutes=6)

    foreign = await ann.post("/admin/account/recovery-codes", password=PASSWORD, proof=house.code())

    assert foreign.status_code == 403
    assert (await ann.see("/admin/account")).status_code == 200
