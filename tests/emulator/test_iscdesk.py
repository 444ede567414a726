"""ISCDesk over HTTP: what a program is told, to the letter, and what it may not ask."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx2
import pytest

from tests.emulator.online import DEVICE, OnlineMerchant, Shop

SAMPLE = "0078369f54-a3ce-4dc7-8a62-904555416f9000"


class Program:
    """A desktop program at ISCDesk's."""

    def __init__(self, shop: Shop, session: str) -> None:
        self.http = shop.http
        self.path = f"/iscdesk/sessions/{session}"
        self.session = session

    async def post(self, verb: str, body: object, status: int = 202) -> dict[str, Any]:
        answer = await self.http.post(f"{self.path}/{verb}", json=body)
        assert answer.status_code == status, answer.text
        shown: dict[str, Any] = answer.json() if answer.content else {}
        return shown

    async def ask(self, kind: str = "string", device_info: str = DEVICE, file_name: str = "") -> str:
        asked = await self.post("licenses", {"kind": kind, "device_info": device_info, "file_name": file_name})
        event_id: str = asked["event_id"]
        return event_id

    async def events(self, after: int = 0, wait: float = 0) -> list[dict[str, Any]]:
        answer = await self.http.get(f"{self.path}/events?after={after}&wait={wait}")
        assert answer.status_code == 200, answer.text
        events: list[dict[str, Any]] = answer.json()["events"]
        return events


async def _start(shop: Shop, instance: str | None = None, **about: str) -> Program:
    chosen = instance or (await shop.buy())["instance_id"]
    body = {"instance_id": chosen, "application": "cad", "version": "3.2.1"} | about
    answer = await shop.http.post("/iscdesk/sessions", json=body)
    assert answer.status_code == 201
    return Program(shop, answer.json()["session"])


async def test_a_string_arrives_as_in_the_published_sample(shop: Shop, online_merchant: OnlineMerchant) -> None:
    program = await _start(shop)

    event_id = await program.ask()
    await shop.settle()
    await shop.upload_string(event_id, SAMPLE)

    assert online_merchant.received[-1]["eventId"] == event_id
    assert await program.events() == [
        {
            "number": 1,
            "event": "EVENT_LICENSE_VERIFY",
            "text": '{"operate":"LicenseVerify","params":{"Status":"success",'
            f'"LicenseContent":"{SAMPLE}","LicenseType":"string"}},"comeBackParams":{{}}}}',
            "file": None,
        }
    ]


@pytest.mark.parametrize(
    ("wanted", "uploaded", "name"),
    [
        ("", "license.lic", "license.lic"),
        ("D:\\cad\\my.lic", "license.lic", "my.lic"),
        ("", "../../etc/passwd", "passwd"),
        ("", "..", "license.lic"),
    ],
)
async def test_a_file_arrives_with_its_bare_name(shop: Shop, wanted: str, uploaded: str, name: str) -> None:
    program = await _start(shop)

    event_id = await program.ask("file", file_name=wanted)
    await shop.upload_file(event_id, b"\x00\xff\r\n", name=uploaded)

    (event,) = await program.events()
    assert event["text"] == (
        '{"operate":"LicenseVerify","params":{"Status":"success",'
        f'"LicenseFilePath":"{name}","LicenseType":"file"}},"comeBackParams":{{}}}}'
    )
    assert event["file"]["name"] == name
    assert base64.b64decode(event["file"]["content"]) == b"\x00\xff\r\n"


@pytest.mark.parametrize(("kind", "member"), [("string", "LicenseContent"), ("file", "LicenseFilePath")])
async def test_a_refused_application_arrives_as_failed(
    shop: Shop, online_merchant: OnlineMerchant, kind: str, member: str
) -> None:
    online_merchant.answers["getLicenseAsync"] = [{"resultCode": "000900"}]
    program = await _start(shop)

    await program.ask(kind)
    await shop.settle()

    (event,) = await program.events()
    assert event["text"] == (
        f'{{"operate":"LicenseVerify","params":{{"Status":"failed","{member}":"","LicenseType":"{kind}"}},'
        '"comeBackParams":{}}'
    )
    assert event["file"] is None


async def test_an_upload_that_never_comes_arrives_as_failed(shop: Shop) -> None:
    await shop.post("/settings", {"upload_time_limit_seconds": 0.001})
    program = await _start(shop)

    await program.ask()

    (event,) = await program.events(wait=20)
    assert json.loads(event["text"])["params"]["Status"] == "failed"


async def test_a_question_for_events_waits_for_them(shop: Shop) -> None:
    program = await _start(shop)
    event_id = await program.ask()
    waiting = [asyncio.create_task(program.events(wait=20)) for _ in range(2)]
    await asyncio.sleep(0)

    await shop.upload_string(event_id, "a")

    assert [len(events) for events in await asyncio.gather(*waiting)] == [1, 1]
    assert await program.events(after=1) == []
    assert await program.events(after=1, wait=0.001) == []


async def test_asking_again_while_open_is_the_same_application_and_one_event(shop: Shop) -> None:
    program = await _start(shop)

    first, again = await program.ask(), await program.ask()
    other, file = await program.ask(device_info="X|||"), await program.ask("file")
    await shop.upload_string(first, "a")

    assert first == again
    assert len({first, other, file}) == 3
    assert len(await program.events()) == 1
    assert await program.ask() not in {first, other, file}


async def test_two_programs_of_one_device_share_an_application(shop: Shop) -> None:
    instance = (await shop.buy())["instance_id"]
    programs = [await _start(shop, instance) for _ in range(2)]

    events = [await program.ask() for program in programs]
    await shop.upload_string(events[0], "a")

    assert events[0] == events[1]
    assert [len(await program.events()) for program in programs] == [1, 1]


async def test_a_verdict_is_shown_to_the_control_api(shop: Shop) -> None:
    program = await _start(shop)

    await program.post("verdicts", {"result": False, "error": "another machine"}, 204)
    await program.post("verdicts", {"result": True}, 204)

    (session,) = (await shop.get("/iscdesk/sessions"))["sessions"]
    assert [(each["result"], each["error"]) for each in session["verdicts"]] == [
        (False, "another machine"),
        (True, ""),
    ]


async def test_the_user_applies_after_a_trial_unless_told_otherwise(
    shop: Shop, online_merchant: OnlineMerchant
) -> None:
    program = await _start(shop)
    wish = {"kind": "file", "device_info": DEVICE, "file_name": "x.lic"}

    applied = await program.post("trial-expirations", wish)
    await shop.settle()
    assert applied == {"applied": True, "event_id": online_merchant.received[-1]["eventId"]}

    await shop.post("/iscdesk/user", {"applies_after_trial": False})
    assert await program.post("trial-expirations", wish) == {"applied": False, "event_id": None}


def _texts(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["event"], event["text"]) for event in events]


NOTICE = '{"operate":"UpgradeNotice","params":{"available":%s},"comeBackParams":{}}'
UPDATE = '{"operate":"Update","params":{"fromForceWin":"%s"},"comeBackParams":{}}'


@pytest.mark.parametrize(
    ("published", "as_boolean", "agrees", "available", "forced"),
    [
        (None, False, True, '"false"', None),
        (None, True, True, "false", None),
        ({"version": "3.2.1"}, False, True, '"false"', None),
        ({"version": "3.10"}, False, True, '"true"', "false"),
        ({"version": "3.10"}, True, True, "true", "false"),
        ({"version": "3.10"}, False, False, '"true"', None),
        ({"version": "3.10", "forced": True}, False, False, '"true"', "true"),
        ({"version": "9", "application": "other"}, False, True, '"false"', None),
    ],
)
async def test_upgrades_are_told_as_in_the_published_samples(
    shop: Shop, published: dict[str, Any] | None, as_boolean: bool, agrees: bool, available: str, forced: str | None
) -> None:
    await shop.post("/settings", {"available_as_boolean": as_boolean})
    await shop.post("/iscdesk/user", {"agrees_to_upgrade": agrees})
    if published:
        await shop.post("/iscdesk/versions", published)
    program = await _start(shop)

    await program.post("version-checks", {})

    update = [] if forced is None else [("EVENT_UPDATE", UPDATE % forced)]
    assert _texts(await program.events()) == [("EVENT_UPGRADENOTICE", NOTICE % available), *update]


@pytest.mark.parametrize(
    ("forced", "answer", "upgraded"), [(False, True, True), (False, False, False), (True, None, True)]
)
async def test_an_agreed_upgrade_happens_after_the_program_ends(
    shop: Shop, forced: bool, answer: bool | None, upgraded: bool
) -> None:
    await shop.post("/iscdesk/versions", {"version": "4.0", "forced": forced})
    program = await _start(shop)
    await program.post("version-checks", {})
    if answer is not None:
        await program.post("upgrades", {"upgrade": answer}, 204)

    assert (await shop.http.delete(program.path)).status_code == 204

    (session,) = (await shop.get("/iscdesk/sessions"))["sessions"]
    assert (session["upgraded"], session["closed_at"] is not None) == (upgraded, True)
    assert (await shop.http.get(f"{program.path}/events")).status_code == 404


async def test_a_closing_session_ends_the_wait(shop: Shop) -> None:
    program = await _start(shop)
    waiting = asyncio.create_task(program.events(wait=20))
    await asyncio.sleep(0)

    await shop.http.delete(program.path)

    assert await waiting == []


async def test_any_event_can_be_raised(shop: Shop) -> None:
    program = await _start(shop)

    await shop.post(f"/iscdesk/sessions/{program.session}/events", {"event": "EVENT_NEW", "text": "not json"})

    assert _texts(await program.events()) == [("EVENT_NEW", "not json")]


WISH = {"kind": "string", "device_info": "", "file_name": ""}
BAD: list[tuple[str, str, Any, int]] = [
    ("POST", "/iscdesk/sessions", {"instance_id": "NOBODY", "application": "a", "version": "1"}, 404),
    ("POST", "/iscdesk/sessions", {"instance_id": "ORDER", "application": "a", "version": "1"}, 404),
    ("POST", "/iscdesk/sessions", {"application": "a", "version": "1"}, 422),
    ("POST", "/iscdesk/sessions", {"instance_id": 5, "application": "a", "version": "1"}, 422),
    ("POST", "/iscdesk/sessions", {"instance_id": "x", "application": "a", "version": "1", "more": 1}, 422),
    ("POST", "/iscdesk/sessions", [], 422),
    ("POST", "/iscdesk/sessions/nobody/licenses", WISH, 404),
    ("POST", "{}/licenses", WISH | {"kind": "usb"}, 422),
    ("POST", "{}/licenses", {"device_info": ""}, 422),
    ("POST", "{}/licenses", WISH | {"device_info": "x" * 5121}, 422),
    ("POST", "{}/licenses", WISH | {"device_info": "授" * 1707}, 422),
    ("POST", "{}/verdicts", {}, 422),
    ("POST", "{}/verdicts", {"result": "true"}, 422),
    ("POST", "{}/version-checks", {"x": 1}, 422),
    ("POST", "{}/upgrades", {}, 422),
    ("POST", "{}/upgrades", {"upgrade": True}, 409),
    ("GET", "{}/events?wait=20.5", None, 422),
    ("GET", "{}/events?wait=-1", None, 422),
    ("GET", "{}/events?wait=nan", None, 422),
    ("GET", "{}/events?after=x", None, 422),
    ("GET", "{}/events?colour=red", None, 422),
    ("GET", "/iscdesk/sessions/nobody/events", None, 404),
    ("DELETE", "/iscdesk/sessions/nobody", None, 404),
    ("PUT", "{}/licenses", None, 405),
    ("GET", "/iscdesk", None, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), BAD, ids=[f"{n} {c[1]}" for n, c in enumerate(BAD)])
async def test_what_is_wrong_is_one_sentence(shop: Shop, method: str, path: str, body: Any, status: int) -> None:
    program = await _start(shop, (await shop.buy(order_id="ORDER"))["instance_id"])

    answer = await shop.http.request(method, path.replace("{}", program.path), json=body)

    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


async def test_the_desk_can_misbehave(shop: Shop) -> None:
    program = await _start(shop)
    fault: dict[str, Any] = {"side": "iscdesk", "times": 1}
    await shop.post("/faults", fault | {"kind": "status", "value": 502})
    assert (await shop.http.get(f"{program.path}/events")).status_code == 502
    await shop.post("/faults", fault | {"kind": "lose_answer", "value": "close"})
    with pytest.raises(httpx2.RemoteProtocolError):
        await shop.http.get(f"{program.path}/events")
    await shop.post("/faults", fault | {"kind": "lose_answer"})
    assert (await shop.http.get(f"{program.path}/events")).status_code == 502
    await shop.post("/faults", fault | {"kind": "garbage"})
    with pytest.raises(ValueError, match="Expecting"):
        (await shop.http.get(f"{program.path}/events")).json()
    await shop.post("/faults", fault | {"kind": "delay_seconds", "value": 60})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await program.events()


async def test_an_event_can_come_twice(shop: Shop) -> None:
    program = await _start(shop)
    event_id = await program.ask()
    await shop.post("/faults", {"side": "iscdesk", "kind": "double", "times": 1})

    await shop.upload_string(event_id, "a")

    assert [event["number"] for event in await program.events()] == [1, 2]


async def test_a_reset_ends_every_session(shop: Shop) -> None:
    program = await _start(shop)
    await shop.post("/iscdesk/versions", {"version": "4.0"})

    await shop.post("/reset")

    assert (await shop.http.get(f"{program.path}/events")).status_code == 404
    assert await shop.get("/iscdesk/versions") == {"versions": []}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/iscdesk/versions", {}),
        ("/iscdesk/versions", {"version": "new"}),
        ("/iscdesk/user", {"agrees": True}),
        ("/iscdesk/sessions/{}/events", {"event": "x"}),
    ],
)
async def test_control_input_is_checked(shop: Shop, path: str, body: dict[str, Any]) -> None:
    program = await _start(shop)

    assert list(await shop.post(path.replace("{}", program.session), body, status=400)) == ["error"]


async def test_versions_and_the_user_are_shown(shop: Shop) -> None:
    await shop.post("/iscdesk/versions", {"version": "4.0", "application": "cad"})

    assert await shop.get("/iscdesk/versions") == {
        "versions": [{"application": "cad", "version": "4.0", "forced": False}]
    }
    assert await shop.get("/iscdesk/user") == {"applies_after_trial": True, "agrees_to_upgrade": True}
    assert (await shop.http.delete("/control/iscdesk/versions")).json() == {"versions": []}
