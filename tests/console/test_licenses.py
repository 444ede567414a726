"""Finding a license and acting on it, page by page: three steps for each thing, and what is refused on the way."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2
import pytest

from licsrv import audit
from licsrv.audit import Action
from licsrv.licensing import store as licensing
from licsrv.people.roles import Role
from licsrv.platform.db import reading, transaction
from tests.conftest import DEVICE
from tests.console.conftest import Reader, reader
from tests.console.furnishing import CODE, THIRD_DEVICE, Furnished, furnish, license_id
from tests.heartbeats.copies import remember_copies
from tests.products import describe
from tests.staff import House
from tests.tables import each

STATE = re.compile(r'name="state" value="([^"]*)"')


@dataclass
class Scene:
    house: House
    license: Furnished
    page: str
    ann: Reader

    async def ask(self, action: str, **fields: str) -> str:
        return (await self.ann.send(f"{self.page}/ask", on=self.page, action=action, **fields)).text

    async def do(self, action: str, reason: str = "Settled on the phone.", **fields: str) -> str:
        """Go the whole way: ask, read, confirm."""
        asked = await self.ask(action, **fields)
        state = STATE.search(asked)
        assert state is not None, asked
        answer = await self.ann.send(
            f"{self.page}/do", on=self.page, action=action, reason=reason, state=html.unescape(state[1]), **fields
        )
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture
async def scene(house: House) -> Scene:
    house.hire("ann", language="en")
    found = await furnish(house)
    return Scene(house, found, f"/admin/licenses/{found.license_id}", reader(house, "ann"))


@pytest.mark.parametrize("sought", [CODE, CODE.lower(), "CS-0123", "eastern", "CAD-WS-07", "{id}"])
async def test_one_search_leads_straight_to_the_page(scene: Scene, sought: str) -> None:
    answer = await scene.ann.send("/admin/search", text=sought.format(id=scene.license.license_id))

    if answer.status_code == 200:  # what is compared as it is written
        assert sought == CODE.lower()
        return
    assert answer.headers["location"] == scene.page


async def test_a_fingerprint_finds_its_license_and_is_not_kept(scene: Scene) -> None:
    answer = await scene.ann.send("/admin/search", text=DEVICE)

    assert CODE in answer.text
    assert "the same device" in answer.text


async def test_a_pasted_license_is_judged(scene: Scene) -> None:
    good = await scene.ann.send("/admin/search", text=scene.license.license_string)
    bad = await scene.ann.send("/admin/search", text=scene.license.license_string[:-6] + "AAAAAA")

    assert "We issued this license, and it is valid now." in good.text
    assert "We did not issue this" in bad.text


async def test_nothing_found_says_so(scene: Scene) -> None:
    answer = await scene.ann.send("/admin/search", text="nowhere")

    assert "Nothing was found." in answer.text


async def test_the_page_tells_everything(scene: Scene) -> None:
    text = (await scene.ann.see(scene.page)).text

    for words in (
        CODE,
        "It may be used until",
        "2 of 2 places taken",
        "CAD-WS-07",
        "Timeline",
        'class="year"',
        "never",
    ):
        assert words in text


async def test_the_page_explains_a_refusal_by_a_pasted_fingerprint(scene: Scene) -> None:
    answer = await scene.ann.send(f"{scene.page}/match", on=scene.page, device_info=THIRD_DEVICE)

    assert "another device" in answer.text
    assert "differs" in answer.text
    assert f"It gets no license for {CODE}. 2 of 2 places are taken, so it gets none." in answer.text


async def test_the_page_explains_what_a_device_would_get_on_a_day(scene: Scene) -> None:
    now = await scene.ann.send(f"{scene.page}/match", on=scene.page, device_info=DEVICE)
    late = await scene.ann.send(f"{scene.page}/match", on=scene.page, device_info=DEVICE, at="2030-01-31")
    wrong = await scene.ann.send(f"{scene.page}/match", on=scene.page, device_info=DEVICE, at="someday")

    assert f"It gets a license for {CODE}." in now.text
    assert "A check-in then gives a lease until" in now.text
    assert "The license has expired; renew it with the vendor." in late.text
    assert wrong.status_code == 422


async def test_a_license_is_revoked_and_that_is_undone(scene: Scene) -> None:
    asked = await scene.ask("revoke")
    done = await scene.do("revoke", "The payment was refunded.")
    undone = await scene.ann.send(f"{scene.page}/do", on=scene.page, action="reinstate", reason="Undone.")

    assert "2 devices will stop at the next check-in" in asked
    assert "The payment was refunded." in asked
    assert "Revoked" in done
    assert ">Undo<" in done
    assert "It may be used until" in undone.text
    entries = scene.house.audited(Action.LICENSE_REVOKED, Action.LICENSE_REINSTATED)
    assert [(row.actor, row.reason) for row in entries] == [
        ("staff:ann", "The payment was refunded."), ("staff:ann", "Undone.")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("action", "fields", "words"),
    [
        ("extend_grace", {"until": "2026-04-15"}, "Grace until"),
        ("set_maintenance", {"until": "2027-01-31"}, "Maintenance until"),
        ("extend", {"until": "2027-01-31"}, "2027-01-31 16:00 UTC"),
        ("set_terms", {"terms": '{"places": 1}'}, "2 devices hold one of 1 places"),
        ("reissue", {}, "Reissue PL2026000123"),
        ("add_note", {"text": "Called twice.\n<b>Wants</b> a call back."}, "&lt;b&gt;Wants&lt;/b&gt; a call back."),
    ],
)
async def test_the_other_actions_go_the_same_way(scene: Scene, action: str, fields: dict[str, str], words: str) -> None:
    done = await scene.do(action, **fields)

    assert words in done


async def test_the_place_of_a_device_is_released(scene: Scene) -> None:
    page = (await scene.ann.see(scene.page)).text
    device = re.search(r'name="device_id" value="(\w+)"', page)
    assert device is not None
    done = await scene.do("release_place", device_id=device[1])

    assert "1 of 2 places taken" in done
    assert "no place" in done
    again = await scene.do("restore_place", device_id=device[1])
    assert "2 of 2 places taken" in again
    assert 'value="restore_place"' in done


async def test_one_of_two_copies_is_let_work_and_that_is_undone(scene: Scene) -> None:
    found = re.search(r'name="device_id" value="(\w+)"', (await scene.ann.see(scene.page)).text)
    assert found is not None
    device, runtime = found[1], scene.house.runtime
    with transaction(runtime.database) as session:
        one, _ = remember_copies(session, device, now=runtime.clock.now())

    today = (await scene.ann.see("/admin")).text
    page = (await scene.ann.see(scene.page)).text
    done = await scene.do("bless", device_id=device, branch=one)
    fields = {"device_id": device, "branch": one, "reason": "Undone."}
    undone = await scene.ann.send(f"{scene.page}/do", on=scene.page, action="unbless", **fields)

    assert "1 machine is in use in two copies" in today
    assert f"{scene.page}#copies-{device}" in today
    assert page.count(">Let this copy work<") == 2
    assert "&lt;time" not in page
    assert ">Undo<" in done
    assert f'name="branch" value="{one}"' in done
    assert "may work</span>" in done
    assert "may work</span>" not in undone.text
    assert "Let this copy work" not in (await scene.ann.see("/admin")).text


async def test_a_seat_is_seen_and_freed(scene: Scene) -> None:
    runtime, license = scene.house.runtime, scene.license
    with transaction(runtime.database, (audit.seal,)) as session:
        describe(session, "CAD-PRO", {"places.floating": True})
    transport = httpx2.ASGITransport(app=scene.house.app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://licsrv.test") as http:
        headers = {"Authorization": f"Bearer {license.license_string}"}
        for program in "abc":
            body = {"session": program * 16, "device_info": DEVICE, "nonce": "n", "queue": True}
            await http.post("/v1/seats/checkout", json=body, headers=headers)

    page = (await scene.ann.see(scene.page)).text
    seat = re.search(r'name="seat_id" value="(\w+)"', page)
    assert seat is not None
    done = await scene.do("free_seat", seat_id=seat[1])

    assert "2 of 2 seats in use" in page
    assert "Waiting for a seat" in page
    assert "1 of 2 seats in use" in done
    assert len(scene.house.audited(Action.SEAT_FREED)) == 1


async def test_the_language_can_be_switched_in_the_middle_of_an_action(scene: Scene) -> None:
    asked = await scene.ask("revoke")
    next = re.search(r'name="next" value="([^"]*)"', asked)

    assert next is not None
    assert next[1] == scene.page


async def test_an_action_without_a_reason_asks_again(scene: Scene) -> None:
    answer = await scene.ann.send(f"{scene.page}/do", on=scene.page, action="revoke", reason="")

    assert answer.status_code == 422
    assert scene.house.audited(Action.LICENSE_REVOKED) == []


async def test_an_action_on_a_license_that_changed_meanwhile_is_not_done(scene: Scene) -> None:
    state = STATE.search(await scene.ask("revoke"))
    assert state is not None
    await scene.do("set_maintenance", until="2027-01-31")
    scene.house.runtime.clock.now()
    answer = await scene.ann.send(
        f"{scene.page}/do", on=scene.page, action="revoke", reason="Refunded.", state=html.unescape(state[1]) + "x"
    )

    assert answer.status_code == 409
    assert scene.house.audited(Action.LICENSE_REVOKED) == []


async def test_a_form_sent_twice_acts_once(scene: Scene) -> None:
    page = (await scene.ann.see(scene.page)).text
    csrf = re.search(r'name="csrf" value="([^"]*)"', page)
    assert csrf is not None
    fields = {"csrf": csrf[1], "key": "once", "action": "add_note", "text": "One.", "reason": "Called."}
    for _ in range(2):
        answer = await scene.ann.post(f"{scene.page}/do", **fields)
        assert answer.status_code == 200

    assert len(scene.house.audited(Action.NOTE_ADDED)) == 1


async def test_a_license_file_is_sent(scene: Scene) -> None:
    page = (await scene.ann.see(scene.page)).text
    device = re.search(r'name="device_id" value="(\w+)"', page)
    assert device is not None
    answer = await scene.ann.send(f"{scene.page}/file", on=scene.page, device_id=device[1], reason="By mail.")

    assert answer.status_code == 200, answer.text
    assert "-----BEGIN LICENSE-----" in answer.text
    assert "attachment" in answer.headers["content-disposition"]


@pytest.mark.parametrize("forged", ["", "wrong"])
async def test_no_action_without_the_pages_own_token(scene: Scene, forged: str) -> None:
    fields = {"csrf": forged, "action": "revoke", "reason": "Because."}
    answer = await scene.ann.post(f"{scene.page}/do", **fields)

    assert answer.status_code == 403
    assert scene.house.audited(Action.LICENSE_REVOKED) == []


async def test_a_viewer_sees_no_action_and_can_take_none(scene: Scene) -> None:
    scene.house.hire("vic", Role.VIEWER, language="en")
    vic = reader(scene.house, "vic")
    page = (await vic.see(scene.page)).text
    answer = await vic.send(f"{scene.page}/do", on=scene.page, action="revoke", reason="Because.")

    assert CODE in page
    assert 'value="revoke"' not in page
    assert "/ask" not in page
    assert answer.status_code == 403
    assert scene.house.audited(Action.LICENSE_REVOKED) == []


NAUGHTY = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7777*3 }}", "{% raw %}", "' OR 1=1 --", "=1+1",
    "\u202eabc", "Ω≈ç√∫", "田中さん", "👩‍👩‍👧", "&lt;b&gt;", "%00", "javascript:alert(1)", "</textarea><b>", "a\u00a0b",
)  # fmt: skip


async def test_whatever_is_stored_comes_back_exactly_and_as_text(scene: Scene) -> None:
    pages = {}
    for number, text in enumerate(NAUGHTY):
        code = f"PL20260009{number:02}"
        await furnish(scene.house, code, customer=text, days=0)
        pages[f"/admin/licenses/{license_id(scene.house, code)}"] = (text,)
        await scene.do("add_note", text=text, reason=f"{text} called.")

    for address, texts in {**pages, scene.page: NAUGHTY, "/admin": (), "/admin/audit": ()}.items():
        shown = (await scene.ann.see(address)).text
        assert not re.search(r"<script>alert|<img src=x|<b>", shown), address
        assert "23331" not in shown
        assert [text for text in texts if text not in html.unescape(shown)] == []
    for row in each(NAUGHTY):
        with row as text:
            found = (await scene.ann.send("/admin/search", text=text)).text
            assert not re.search(r"<script>alert|<img src=x|<b>", found)


@pytest.mark.parametrize("action", ["extend_grace", "set_maintenance"])
async def test_a_typed_day_ends_where_the_next_day_begins_in_the_marketplaces_zone(scene: Scene, action: str) -> None:
    await scene.do(action, until="2026-04-15")

    with reading(scene.house.runtime.database) as session:
        license = licensing.license_by_code(session, CODE)
        assert license is not None
        end = license.grace_until if action == "extend_grace" else license.maintenance_until
    assert end == datetime(2026, 4, 15, 16, tzinfo=UTC)
    page = (await scene.ann.see(scene.page)).text
    assert 'type="date" value="2026-04-15"' in page
    assert "Until the end of this day (Asia/Shanghai); empty: none" in page


async def test_of_the_terms_only_what_was_changed_in_its_field_is_set_and_the_undo_takes_it_back(scene: Scene) -> None:
    page = (await scene.ann.see(scene.page)).text
    kept = {"was_end": "2026-03-21", "end": "2026-03-21", "was_product_id": "CAD-PRO", "product_id": "CAD-PRO"}
    assert all(f'name="{name}"' in page for name in (*kept, "places", "customer", "was_places"))

    asked = await scene.ask(
        "set_terms", **kept, was_places="2", places="3", was_customer="Eastern Tools Ltd.", customer="Eastern & Sons"
    )
    carried = re.search(r'name="terms" value="([^"]*)"', asked)
    assert carried is not None
    done = await scene.do("set_terms", terms=html.unescape(carried[1]))
    back = re.search(r'name="terms" value="([^"]*)"', done)
    assert back is not None
    undone = await scene.ann.send(
        f"{scene.page}/do", on=scene.page, action="set_terms", reason="Undone.", terms=html.unescape(back[1])
    )

    assert json.loads(html.unescape(carried[1])) == {"places": "3", "customer": "Eastern & Sons"}
    assert "2 of 3 places taken" in done
    assert json.loads(html.unescape(back[1])) == {"places": 2, "customer": "Eastern Tools Ltd."}
    assert "2 of 2 places taken" in undone.text


NO_TERMS = ("{", "[]", '{"places": 0}', "null", "1" * 5000, "[" * 3000)


@pytest.mark.parametrize("terms", NO_TERMS, ids=lambda text: text[:9])
async def test_terms_that_are_none_are_refused(scene: Scene, terms: str) -> None:
    answer = await scene.ann.send(f"{scene.page}/ask", on=scene.page, action="set_terms", terms=terms)

    assert answer.status_code == 422 or "terms names what is set" in answer.text
    assert scene.house.audited(Action.LICENSE_CHANGED) == []
