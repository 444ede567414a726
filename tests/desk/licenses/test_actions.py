"""Every action says first what it changes, asks for a reason, is audited, and can be undone where that makes sense."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from client_stub.trust import clock_resets, verification
from client_stub.trust.devices import parse
from client_stub.trust.errors import DeviceMismatchError
from client_stub.trust.keys import PinnedKeys
from licsrv import audit
from licsrv.audit import Action
from licsrv.desk.licenses.actions import ACTIONS
from licsrv.desk.licenses.actions.staff_action import Takes
from licsrv.licensing.issuing import strings
from licsrv.people.roles import Permission
from licsrv.platform.db import transaction
from tests.conftest import DEVICE, NOW, OTHER_DEVICE
from tests.products import describe
from tests.sales import Desk


def claims_of(license_string: str) -> dict[str, Any]:
    payload = license_string.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def claims_of_file(text: str) -> dict[str, Any]:
    body = text.split("-----BEGIN LICENSE-----")[1].split("-----END", maxsplit=1)[0]
    return claims_of(f".{json.loads(base64.b64decode(body))['payload']}.")


async def undo(desk: Desk, code: str, done: dict[str, Any], **more: Any) -> dict[str, Any]:
    arguments = {name: value for name, value in done["undo"].items() if name != "action" and value is not None}
    return await desk.act(code, done["undo"]["action"], **arguments, **more)


def floating(desk: Desk) -> str:
    """Describe a product whose places float; return its id."""
    with transaction(desk.house.runtime.database, (audit.seal,)) as session:
        describe(session, "FLOATS", {"places.floating": True, "floating.borrow_days": 3, "places.overdraft": 1})
    return "FLOATS"


async def seat_call(desk: Desk, path: str, text: str, program: str = "a", **body: Any) -> dict[str, Any]:
    known = {"session": program * 16, "device_info": DEVICE, "nonce": "n", **body}
    headers = {"Authorization": f"Bearer {text}"}
    answer = await desk.visitor.http.post(f"/v1/seats/{path}", json=known, headers=headers)
    document: dict[str, Any] = answer.json()
    return document


async def take_seat(desk: Desk, text: str, program: str = "a") -> str:
    return str((await seat_call(desk, "checkout", text, program))["seat_id"])


@pytest.mark.parametrize("name", [name for name, one in ACTIONS.items() if Takes.BRANCH not in one.takes])
async def test_a_preview_says_what_changes_in_both_languages_and_changes_nothing(desk: Desk, name: str) -> None:
    code = desk.sell(product_id=floating(desk) if name == "free_seat" else "")
    text = await desk.string(code)
    seat = await take_seat(desk, text) if name == "free_seat" else None
    before = await desk.get(f"/licenses/{code}")
    arguments = {
        "seat_id": seat,
        "device_id": before["devices"][0]["id"] if name in {"release_place", "restore_place", "clock_reset"} else None,
        "until": (NOW + timedelta(days=40)).isoformat() if ACTIONS[name].takes == {Takes.UNTIL} else None,
        "terms": {"places": 3} if name == "set_terms" else None,
        "text": "a note" if name == "add_note" else None,
    }

    preview = await desk.post(f"/licenses/{code}/actions/{name}/preview", arguments)

    assert preview["is_possible"] is True
    assert code in preview["says"]["en"]
    assert code in preview["says"]["zh"]
    assert preview["reasons"]
    assert await desk.get(f"/licenses/{code}") == before


@pytest.mark.parametrize("name", ACTIONS)
async def test_an_action_needs_a_reason(desk: Desk, name: str) -> None:
    code = desk.buy()
    await desk.string(code)

    for reason in ("", "  ", "a\nb c", "x" * 501):
        await desk.act(code, name, reason=reason, status=422)


async def test_revoking_and_undoing_it_is_audited_with_who_and_why(desk: Desk) -> None:
    code = desk.buy()
    license_string = await desk.string(code)

    done = await desk.act(code, "revoke", reason="The payment was refunded.")
    told = (await desk.beat(license_string))["status"]
    again = await desk.act(code, "revoke")
    undone = await undo(desk, code, done)

    assert (done["changed"], done["license"]["status"], told) == (True, "REVOKED", "REVOKED")
    assert (again["changed"], again["undo"]) == (False, None)
    assert undone["license"]["status"] == "ACTIVE"
    assert undone["undo"] == {
        "action": "revoke", "device_id": None, "branch": None, "until": None, "reason": "The payment was refunded.",
        "terms": None,
    }  # fmt: skip
    revoked = desk.house.audited(Action.LICENSE_REVOKED)
    assert [(row.actor.partition("#")[0], row.reason) for row in revoked] == [
        ("token:program", "The payment was refunded.")
    ]


async def test_an_action_is_refused_when_the_license_is_not_what_was_shown(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    state = (await desk.post(f"/licenses/{code}/actions/revoke/preview", {}))["state"]
    await desk.string(code, OTHER_DEVICE)

    await desk.act(code, "revoke", state=state, status=409)

    assert (await desk.get(f"/licenses/{code}"))["license"]["status"] == "ACTIVE"


async def test_an_action_with_a_key_happens_once(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    path, body = f"/licenses/{code}/actions/add_note/do", {"reason": "because", "text": "once"}

    first = await desk.post(path, body, **{"Idempotency-Key": "k1"})
    second = await desk.post(path, body, **{"Idempotency-Key": "k1"})

    assert first == second
    items = (await desk.get(f"/licenses/{code}/timeline"))["items"]
    assert [item["text"] for item in items if item["kind"] == "note"] == ["once"]


async def test_a_released_place_can_be_taken_by_another_device(desk: Desk) -> None:
    code = desk.buy(amount=1)
    license_string = await desk.string(code)
    assert (await desk.ask(code, OTHER_DEVICE)).status_code == 409
    device = (await desk.get(f"/licenses/{code}"))["devices"][0]["id"]

    done = await desk.act(code, "release_place", device_id=device)
    again = await desk.act(code, "release_place", device_id=device)

    assert (done["changed"], done["license"]["places_taken"], again["changed"]) == (True, 0, False)
    assert (await desk.ask(code, OTHER_DEVICE)).status_code == 200
    assert (await desk.beat(license_string))["status"] == "RELEASED"
    undone = await undo(desk, code, done, status=409)  # another one has taken it
    assert undone["code"] == "CONFLICT"
    [other] = [one["id"] for one in (await desk.get(f"/licenses/{code}"))["devices"] if one["has_place"]]
    await desk.act(code, "release_place", device_id=other)
    restored = await undo(desk, code, done)
    assert (restored["changed"], restored["undo"]["action"]) == (True, "release_place")
    fresh = await desk.string(code)
    assert (await desk.beat(fresh))["status"] == "ACTIVE"
    await desk.act(code, "release_place", device_id="nobody", status=404)
    await desk.act(code, "release_place", status=422)


async def test_devices_that_were_not_seen_for_long_are_released_in_one_click(desk: Desk) -> None:
    with transaction(desk.house.runtime.database, (audit.seal,)) as session:
        describe(session, "MOVES", {"moves.unseen_days": 10})
    code = desk.sell(product_id="MOVES", places=2)
    await desk.string(code)
    early = await desk.act(code, "release_unseen")
    desk.clock.advance(days=10)
    assert (await desk.ask(code, OTHER_DEVICE)).status_code == 200

    preview = await desk.post(f"/licenses/{code}/actions/release_unseen/preview", {})
    done = await desk.act(code, "release_unseen")
    again = await desk.act(code, "release_unseen")

    assert (early["changed"], preview["changes"], again["changed"]) == (False, True, False)
    assert "1 device" in preview["says"]["en"]
    assert (done["changed"], done["license"]["places_taken"]) == (True, 1)
    [entry] = desk.house.audited(Action.DEVICE_RELEASED)
    assert [step["rule"] for step in json.loads(entry.detail)["trace"]] == ["unseen"]
    other = desk.buy()
    await desk.string(other)
    assert (await desk.act(other, "release_unseen"))["changed"] is False  # its policy says no number of days


async def test_an_expired_license_goes_on_in_its_grace_and_not_beyond(desk: Desk) -> None:
    code = desk.buy(days=3)
    license_string = await desk.string(code)
    desk.clock.advance(days=4)
    assert (await desk.beat(license_string))["status"] == "EXPIRED"
    until = desk.clock.now() + timedelta(days=10)

    done = await desk.act(code, "extend_grace", until=until.isoformat())
    leased = await desk.beat(license_string)
    fresh = await desk.string(code)

    assert done["license"]["status"] == "ACTIVE"
    assert "grace" in done["license"]["says"]["en"]
    assert leased["status"] == "ACTIVE"
    assert claims_of(leased["lease"])["license_exp"] == strings.seconds(until)
    assert claims_of(fresh)["exp"] == strings.seconds(until)
    desk.clock.move_to(until)
    assert (await desk.beat(fresh))["status"] == "EXPIRED"


async def test_a_grace_overrides_neither_a_freeze_nor_a_revocation(desk: Desk) -> None:
    code = desk.buy(days=3)
    license_string = await desk.string(code)
    desk.clock.advance(days=4)
    until = (desk.clock.now() + timedelta(days=10)).isoformat()
    done = await desk.act(code, "extend_grace", until=until)

    await desk.act(code, "revoke")
    revoked = (await desk.beat(license_string))["status"]
    await desk.act(code, "reinstate")
    undone = await undo(desk, code, done)

    assert revoked == "REVOKED"
    assert (undone["license"]["status"], undone["license"]["grace_until"]) == ("EXPIRED", None)


@pytest.mark.parametrize(
    ("days", "status"), [(-1, 422), (0, 422), (29, 422), (31, 200), (90, 200), (91, 422)], ids=str
)  # fmt: skip
async def test_a_grace_ends_after_the_license_and_within_90_days(desk: Desk, days: int, status: int) -> None:
    code = desk.buy(days=30)
    await desk.string(code)

    await desk.act(code, "extend_grace", until=(NOW + timedelta(days=days)).isoformat(), status=status)


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00", 253402300799])
async def test_a_moment_at_the_end_of_the_calendar_is_refused(desk: Desk, until: object) -> None:
    code = desk.buy()
    await desk.string(code)

    for action in ("set_maintenance", "extend_grace"):
        await desk.post(f"/licenses/{code}/actions/{action}/preview", {"until": until}, status=422)
        await desk.act(code, action, until=until, status=422)

    assert desk.house.audited(Action.MAINTENANCE_CHANGED, Action.GRACE_CHANGED) == []


async def test_a_grace_that_is_asked_for_again_and_earlier_is_shortened_and_the_preview_says_so(desk: Desk) -> None:
    code = desk.buy(days=30)
    await desk.string(code)
    far, near = [(NOW + timedelta(days=days)).isoformat() for days in (60, 40)]
    await desk.act(code, "extend_grace", until=far)

    preview = await desk.post(f"/licenses/{code}/actions/extend_grace/preview", {"until": near})
    done = await desk.act(code, "extend_grace", until=near)
    undone = await undo(desk, code, done)

    assert preview["changes"] is True
    assert "shortens its grace" in preview["says"]["en"]
    assert "缩短宽限期" in preview["says"]["zh"]
    assert done["license"]["grace_until"] == "2026-04-10T09:30:00Z"
    assert undone["license"]["grace_until"] == "2026-04-30T09:30:00Z"


async def test_a_preview_says_when_nothing_needs_to_change(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)

    preview = await desk.post(f"/licenses/{code}/actions/reinstate/preview", {})
    done = await desk.act(code, "reinstate")

    assert (preview["is_possible"], preview["changes"], done["changed"]) == (True, False, False)
    assert preview["says"] == done["says"]
    assert done["says"]["en"] == f"No change needed for {code}. It is not revoked."


async def test_a_preview_says_why_something_cannot_be_done(desk: Desk) -> None:
    code = desk.buy(days=30)
    await desk.string(code)

    until = (NOW + timedelta(days=91)).isoformat()
    preview = await desk.post(f"/licenses/{code}/actions/extend_grace/preview", {"until": until})

    assert (preview["is_possible"], preview["changes"]) == (False, False)
    assert "within 90 days" in preview["says"]["en"]
    assert "90 天" in preview["says"]["zh"]


async def test_the_end_of_maintenance_is_set_and_undone(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    until = (NOW + timedelta(days=100)).isoformat()

    done = await desk.act(code, "set_maintenance", until=until)
    undone = await undo(desk, code, done)

    assert done["license"]["maintenance_until"] == "2026-06-09T09:30:00Z"
    assert undone["license"]["maintenance_until"] is None
    detail = json.loads(desk.house.audited(Action.MAINTENANCE_CHANGED)[0].detail)
    assert detail["maintenance_until"]["before"] is None


async def test_a_license_issued_anew_leaves_the_old_one_on_the_revocation_list(desk: Desk) -> None:
    code = desk.buy()
    old = await desk.string(code)
    assert await desk.string(code) == old

    done = await desk.act(code, "reissue")
    new = await desk.string(code)

    assert done["changed"] is True
    assert new != old
    assert (await desk.search(old))["judged"]["counts"] is False
    assert (await desk.search(new))["judged"]["counts"] is True
    assert (await desk.get(f"/licenses/{code}"))["license"]["places_taken"] == 1
    assert (await desk.beat(old))["status"] == "ACTIVE", "who works goes on until it asks"


@pytest.mark.parametrize("text", [None, "", " \n", "\x00", "x" * 2001])
async def test_a_note_has_something_to_say(desk: Desk, text: str | None) -> None:
    code = desk.buy()
    await desk.string(code)

    await desk.act(code, "add_note", text=text, status=422)


async def test_a_file_is_made_for_a_device_that_is_not_there(desk: Desk) -> None:
    code = desk.buy()
    license_string = await desk.string(code)
    device = (await desk.get(f"/licenses/{code}"))["devices"][0]["id"]
    path = f"/admin/api/licenses/{code}/devices/{device}/file"

    files = [await desk.visitor.call("POST", path, {"reason": "by mail"}) for _ in range(2)]
    told = await desk.visitor.call("POST", path, {"reason": "by mail", "device_info": DEVICE})
    wrong = await desk.visitor.call("POST", path, {"reason": "by mail", "device_info": OTHER_DEVICE})

    assert [answer.status_code for answer in (*files, told, wrong)] == [200, 200, 200, 409]
    for file in files:
        assert claims_of_file(file.text)["dev"] == claims_of(license_string)["dev"]
        judged = (await desk.search(file.text))["judged"]
        assert (judged["kind"], judged["counts"]) == ("license_file", True)
    assert len(desk.house.audited(Action.LICENSE_DOWNLOADED)) == 3


async def test_no_file_is_made_for_a_device_without_a_place_or_a_license_that_may_not_be_used(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    device = (await desk.get(f"/licenses/{code}"))["devices"][0]["id"]
    path = f"/licenses/{code}/devices/{device}/file"

    await desk.act(code, "revoke")
    await desk.post(path, {"reason": "by mail"}, status=403)
    await desk.act(code, "reinstate")
    await desk.act(code, "release_place", device_id=device)
    await desk.post(path, {"reason": "by mail"}, status=409)
    await desk.post(f"/licenses/{code}/devices/nobody/file", {"reason": "by mail"}, status=404)


async def test_a_clock_reset_is_bound_to_its_device_and_works_once_in_the_client(desk: Desk) -> None:
    code = desk.buy()
    text = await desk.string(code)
    other = desk.buy()
    await desk.string(other)
    device = (await desk.get(f"/licenses/{code}"))["devices"][0]["id"]
    path = f"/admin/api/licenses/{code}/devices/{device}/clock-reset"
    keys = PinnedKeys.from_jwks((await desk.visitor.http.get("/.well-known/jwks.json")).json())
    license = verification.authenticate_license(text, keys)

    assert (await desk.visitor.call("GET", path)).status_code == 404
    desk.clock.advance(days=1)
    done = await desk.act(code, "clock_reset", device_id=device, reason="The battery was empty.")
    desk.clock.advance(hours=1)
    first, again = [(await desk.visitor.call("GET", path)).text for _ in range(2)]

    reset = clock_resets.verify_clock_reset(first.strip(), keys, license=license, device=parse(DEVICE))
    assert (done["changed"], done["undo"], first) == (True, None, again)
    assert reset.issued_at == NOW + timedelta(days=1)
    with pytest.raises(DeviceMismatchError):
        clock_resets.verify_clock_reset(first.strip(), keys, license=license, device=parse(OTHER_DEVICE))
    assert (await desk.visitor.call("GET", path.replace(code, other))).status_code == 404
    [entry] = desk.house.audited(Action.CLOCK_RESET)
    assert json.loads(entry.detail)["device"] == device


async def test_after_a_clock_reset_a_device_gets_a_younger_license(desk: Desk) -> None:
    code = desk.buy()
    before = await desk.string(code)
    device = (await desk.get(f"/licenses/{code}"))["devices"][0]["id"]
    desk.clock.advance(days=1)
    assert await desk.string(code) == before
    await desk.act(code, "clock_reset", device_id=device)

    younger = await desk.string(code)

    assert claims_of(younger)["iat"] == claims_of(before)["iat"] + 86400
    assert await desk.string(code) == younger
    assert (await desk.beat(before))["status"] == "ACTIVE"  # it is not called back
    file = await desk.visitor.call("POST", f"/admin/api/licenses/{code}/devices/{device}/file", {"reason": "by mail"})
    assert claims_of_file(file.text)["dev"] == claims_of(younger)["dev"]


async def test_a_device_without_a_place_gets_no_clock_reset(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    device = (await desk.get(f"/licenses/{code}"))["devices"][0]["id"]
    await desk.act(code, "clock_reset", status=422)
    await desk.act(code, "clock_reset", device_id="nobody", status=404)
    await desk.act(code, "release_place", device_id=device)

    await desk.act(code, "clock_reset", device_id=device, status=409)


async def test_every_action_asks_for_one_permission(desk: Desk) -> None:
    code = desk.buy()
    await desk.string(code)
    reader = desk.house.program(frozenset({Permission.READ_LICENSES}))

    for name in ACTIONS:
        answer = await reader.call("POST", f"/admin/api/licenses/{code}/actions/{name}/do", {"reason": "because"})
        assert answer.status_code == 403


async def test_a_seat_is_shown_and_freed_borrowed_or_not_and_another_program_takes_it(desk: Desk) -> None:
    code = desk.sell(places=1, product_id=floating(desk))
    text = await desk.string(code)
    seats = [await take_seat(desk, text, program) for program in "ab"]
    until = (NOW + timedelta(days=2)).isoformat()
    await seat_call(desk, "borrow", text, "a", seat_id=seats[0], until=until)
    await seat_call(desk, "checkout", text, "c", queue=True)

    page = await desk.get(f"/licenses/{code}")
    board = await desk.get("/desk")
    preview = await desk.post(f"/licenses/{code}/actions/free_seat/preview", {"seat_id": seats[0]})
    done = await desk.act(code, "free_seat", seat_id=seats[0])
    again = await desk.act(code, "free_seat", seat_id=seats[0])
    refused = await seat_call(desk, "renew", text, "a", seat_id=seats[0])

    shown = page["seats"]
    assert (shown["seats"], shown["most"], shown["taken"]) == (1, 2, 2)
    assert {(one["id"], one["name"], one["borrowed"]) for one in shown["held"]} == {
        (seats[0], "CAD-WS-07", True), (seats[1], "CAD-WS-07", False)
    }  # fmt: skip
    assert [(one["position"], one["name"]) for one in shown["line"]] == [(1, "CAD-WS-07")]
    license = page["license"]
    assert (license["floating"], license["places"], license["places_taken"]) == (True, 1, 2)
    assert "2 of 1 seat in use" in license["says"]["en"]
    assert [line["code"] for line in board["overfull"]] == [code]
    assert "offline until" in preview["says"]["en"]
    assert (done["changed"], again["changed"], refused["code"]) == (True, False, "SEAT_ENDED")
    assert done["license"]["places_taken"] == 1
    assert await take_seat(desk, text, "c")
    assert [entry.subject for entry in desk.house.audited(Action.SEAT_FREED)] == [license["id"]]
    await desk.act(code, "free_seat", seat_id="nobody", status=404)
    await desk.act(code, "free_seat", status=422)
