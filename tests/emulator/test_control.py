"""The control API: a walk through a license's life, and input that is wrong on purpose."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from licsrv.emulator import Emulator, EmulatorSettings
from tests.emulator.conftest import ACTIVATE, HEARTBEAT, START, USAGE, Merchant
from tests.emulator.open_api_client import OpenApiClient


async def _post(http: httpx2.AsyncClient, path: str, body: object = None) -> dict[str, Any]:
    answer = await http.post(f"/control{path}", json={} if body is None else body)
    assert answer.is_success, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def _get(http: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    answer = await http.get(f"/control{path}")
    assert answer.is_success, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_a_whole_life_can_be_driven_over_http(
    http: httpx2.AsyncClient, open_api: OpenApiClient, merchant: Merchant
) -> None:
    bought = await _post(
        http, "/codes", {"code": "PL1", "product_id": "P", "amount": 5, "days": 30, "received": False, "test": True}
    )
    assert (bought["state"], bought["test"], bought["activated"]) == ("NOT_RECEIVED", True, False)
    assert (await _post(http, "/codes/PL1/receive"))["state"] == "NOT_ACTIVATED"

    await open_api.call(ACTIVATE, {"license": "PL1"})
    await open_api.call(HEARTBEAT, {"license": "PL1"})
    await open_api.call(USAGE, {"usage_info": [{"license": "PL1", "software_usage_Info": [{"id": "a"}]}]})
    shown = await _get(http, "/codes/PL1")
    assert (shown["state"], shown["activated"], shown["checked"], shown["queries"]) == ("ACTIVE", True, True, 1)
    assert shown["usage"] == {"2026-01-02": {"ids": ["a"], "active_num": None}}

    renewed = await _post(http, "/codes/PL1/renew", {"days": 10})
    assert renewed["code"]["expires_at"] == "2026-02-11T03:04:05.000Z"
    assert renewed["callback"]["state"] == "pending"
    await _post(http, "/codes/PL1/unsubscribe")
    await _post(http, "/codes/PL1/freeze")
    assert (await _get(http, "/codes/PL1"))["state"] == "FROZEN"
    await _post(http, "/codes/PL1/unfreeze")
    released = await _post(http, "/codes/PL1/release", {"unsubscribe": True})
    assert [order["kind"] for order in released["code"]["orders"]] == [
        "purchase",
        "renewal",
        "unsubscribe_renewal",
        "unsubscribe",
    ]
    assert await _post(http, "/callbacks/settle") == {"settled": True}

    deliveries = (await _get(http, "/callbacks?state=delivered"))["callbacks"]
    assert len(deliveries) == len(merchant.received) == 5
    attempt = deliveries[0]["attempts"][0]
    assert (attempt["http_status"], attempt["outcome"]) == (200, "delivered")
    assert [request["outcome"] for request in (await _get(http, "/requests"))["requests"]] == ["92020000"] * 3
    assert len((await _get(http, "/codes"))["codes"]) == 1


async def test_the_clock_can_be_moved_set_and_reset(http: httpx2.AsyncClient) -> None:
    moved = await _post(http, "/clock", {"move_seconds": 86_400})
    assert moved == {"now": "2026-01-03T03:04:05.000Z", "offset_seconds": 86_400.0}
    assert (await _post(http, "/clock", {"now": "2027-01-01T08:00:00+08:00"}))["now"] == "2027-01-01T00:00:00.000Z"
    assert (await _post(http, "/clock", {"reset": True}))["offset_seconds"] == 0
    assert (await _get(http, "/clock"))["now"] == "2026-01-02T03:04:05.000Z"


async def test_faults_and_settings_can_be_set_and_taken_back(http: httpx2.AsyncClient) -> None:
    fault = await _post(
        http, "/faults", {"side": "open_api", "kind": "status", "value": 503, "path": "usage", "times": 2}
    )
    assert (await _get(http, "/faults"))["faults"] == [fault]
    assert (await http.delete(f"/control/faults/{fault['id']}")).json() == {"faults": []}
    assert (await http.delete(f"/control/faults/{fault['id']}")).status_code == 404
    assert (await http.delete("/control/faults")).json() == {"faults": []}

    changes = {
        "callback_url": "http://other.test/x?a=1",
        "speed": 50,
        "frozen_reads_as": "ALIVE",
        "legacy_http_status": True,
        "heartbeat_info_required": True,
        "body_form": "loose",
    }
    settings = await _post(http, "/settings", changes)
    assert {name: settings[name] for name in changes} == changes
    assert "sk" not in settings
    assert await _get(http, "/settings") == settings


async def test_arbitrary_and_spoiled_callbacks_can_be_sent(http: httpx2.AsyncClient, merchant: Merchant) -> None:
    await _post(http, "/callbacks", {"body": {"activity": "somethingNew"}, "url": "http://x.test/?a=1"})
    await _post(http, "/callbacks/settle")
    await _post(
        http,
        "/callbacks",
        {"raw": "{", "spoil": {"signature": "x", "nonce": "n", "skew_seconds": -100, "omit": ["timestamp"]}},
    )
    await _post(http, "/callbacks/settle")

    assert merchant.received[0].query["a"] == "1"
    assert merchant.received[1].body == b"{"
    assert merchant.received[1].query == {"signature": "x", "nonce": "n"}


async def test_held_and_failed_callbacks_can_be_moved_on(http: httpx2.AsyncClient, merchant: Merchant) -> None:
    await _post(http, "/faults", {"side": "callbacks", "kind": "reorder", "value": 0})
    sent = (await _post(http, "/probe", {"code": "PLX"}))["callbacks"]
    assert {callback["state"] for callback in sent} == {"held"}
    assert len((await _post(http, "/callbacks/flush"))["callbacks"]) == 3
    await _post(http, "/callbacks/settle")
    assert merchant.activities == ["releaseLicenseCode", "updateLicenseCodeStatus", "refreshLicenseCode"]

    await _post(http, f"/callbacks/{sent[0]['id']}/retry")
    await _post(http, "/callbacks/hurry")
    await _post(http, "/callbacks/settle")
    assert len((await _get(http, f"/callbacks/{sent[0]['id']}"))["attempts"]) == 2


async def test_settling_has_a_limit(http: httpx2.AsyncClient, emulator: Emulator, merchant: Merchant) -> None:
    emulator.change_settings(speed=1.0)
    merchant.answers.append((500, b""))
    await emulator.send_callback({"activity": "x"}, tries=2)

    assert await _post(http, "/callbacks/settle", {"seconds": 0.01}) == {"settled": False}


async def test_key_pairs_show_failures_and_no_secret(http: httpx2.AsyncClient, open_api: OpenApiClient) -> None:
    for _ in range(6):
        await open_api.call(ACTIVATE, {}, sk="wrong")

    (pair,) = (await _get(http, "/key-pairs"))["key_pairs"]

    assert pair == {"ak": "DEMOAK", "failures_in_a_row": 6, "locked_until": "2026-01-02T03:09:05.000Z"}


async def test_a_reset_forgets_everything(http: httpx2.AsyncClient, emulator: Emulator, merchant: Merchant) -> None:
    merchant.delay = 60
    await _post(http, "/codes", {"code": "PL1"})
    await _post(http, "/codes/PL1/freeze")
    await _post(http, "/clock", {"move_seconds": 5})
    await _post(http, "/settings", {"speed": 3})
    await _post(http, "/faults", {"side": "callbacks", "kind": "reorder"})
    await asyncio.sleep(0)

    assert await _post(http, "/reset") == {"reset": True}

    await emulator.settle()
    assert emulator.codes.all() == []
    assert emulator.courier.deliveries == []
    assert (emulator.faults.view(), emulator.requests.all()) == ([], [])
    assert (emulator.clock.now(), emulator.settings.speed) == (START, 1e6)


async def test_the_help_names_every_route(http: httpx2.AsyncClient) -> None:
    lines = (await _get(http, ""))["routes"]

    assert any(line.startswith("POST   /control/codes/{code}/renew") for line in lines)
    assert len(lines) == len(set(lines)) >= 28


HOSTILE = [
    ("POST", "/codes", b"{", 400),
    ("POST", "/codes", b"[]", 400),
    ("POST", "/codes", b"\xff\xfe", 400),
    ("POST", "/codes", b"[" * 100_000, 400),
    ("POST", "/codes", b'{"days":NaN}', 400),
    ("POST", "/codes", b'{"days":' + b"9" * 5000 + b"}", 400),
    ("POST", "/codes", b'{"days":' + b"9" * 400 + b"}", 400),
    ("POST", "/codes", b'{"days":0}', 400),
    ("POST", "/codes", b'{"days":true}', 400),
    ("POST", "/codes", b'{"days":1.5}', 400),
    ("POST", "/codes", b'{"days":36501}', 400),
    ("POST", "/codes", b'{"day":1}', 400),
    ("POST", "/codes", b'{"days":1,"expire_time":"2027-01-01T00:00:00Z"}', 400),
    ("POST", "/codes", b'{"expire_time":"2027-01-01"}', 400),
    ("POST", "/codes", b'{"expire_time":"9999-12-31T23:59:59-23:00"}', 400),
    ("POST", "/codes", b'{"expire_time":"0001-01-01T00:00:00+23:00"}', 400),
    ("POST", "/codes", b'{"expire_time":20270101000000}', 400),
    ("POST", "/codes", b'{"amount":-1}', 400),
    ("POST", "/codes", b'{"received":"yes"}', 400),
    ("POST", "/codes", b'{"product_id":""}', 400),
    ("POST", "/codes", b'{"order_id":"\\ud800"}', 400),
    ("POST", "/codes", b'{"code":"a/b"}', 400),
    ("POST", "/codes", b'{"code":".."}', 400),
    ("POST", "/codes", b'{"code":"a\\u0000b"}', 400),
    ("POST", "/codes", b'{"code":"TAKEN"}', 409),
    ("POST", "/codes", b" " * 1_100_000, 413),
    ("PUT", "/codes", b"", 405),
    ("GET", "/codes?unknown=1", b"", 400),
    ("GET", "/codes/NOBODY", b"", 404),
    ("GET", "/codes/%00%ff", b"", 404),
    ("POST", "/codes/NOBODY/freeze", b"", 404),
    ("POST", "/codes/TAKEN/renew", b'{"days":1}', 409),
    ("POST", "/codes/TAKEN/renew", b'{"expire_time":"9999-01-01T00:00:00Z"}', 400),
    ("POST", "/codes/TAKEN/unfreeze", b"", 409),
    ("POST", "/codes/TAKEN/freeze", b'{"x":1}', 400),
    ("POST", "/probe", b'{"code":7}', 400),
    ("POST", "/callbacks", b"{}", 400),
    ("POST", "/callbacks", b'{"body":[]}', 400),
    ("POST", "/callbacks", b'{"body":{},"raw":""}', 400),
    ("POST", "/callbacks", b'{"body":{},"url":"file:///etc/passwd"}', 400),
    ("POST", "/callbacks", b'{"body":{},"url":"http://[::1"}', 400),
    ("POST", "/callbacks", b'{"body":{},"url":"http://x:99999/"}', 400),
    ("POST", "/callbacks", b'{"body":{},"url":"http://x/#part"}', 400),
    ("POST", "/callbacks", b'{"body":{},"tries":0}', 400),
    ("POST", "/callbacks", b'{"body":{},"form":"pretty"}', 400),
    ("POST", "/callbacks", b'{"body":{},"spoil":1}', 400),
    ("POST", "/callbacks", b'{"body":{},"spoil":{"omit":[[]]}}', 400),
    ("POST", "/callbacks", b'{"body":{},"spoil":{"omit":"nonce"}}', 400),
    ("POST", "/callbacks", b'{"body":{},"spoil":{"colour":"red"}}', 400),
    ("POST", "/callbacks", b'{"body":{},"spoil":{"skew_seconds":1e300}}', 400),
    ("GET", "/callbacks?state=lost", b"", 400),
    ("GET", "/callbacks/nobody", b"", 404),
    ("POST", "/callbacks/nobody/retry", b"", 404),
    ("POST", "/callbacks/settle", b'{"seconds":1e9}', 400),
    ("POST", "/clock", b"{}", 400),
    ("POST", "/clock", b'{"move_seconds":1,"reset":true}', 400),
    ("POST", "/clock", b'{"move_seconds":290000000000}', 400),
    ("POST", "/clock", b'{"move_seconds":-290000000000}', 400),
    ("POST", "/clock", b'{"move_seconds":1e12}', 400),
    ("POST", "/clock", b'{"now":"1969-12-31T23:59:59Z"}', 400),
    ("POST", "/faults", b"{}", 400),
    ("POST", "/faults", b'{"side":"open_api","kind":"nothing"}', 400),
    ("POST", "/faults", b'{"side":"open_api","kind":"status","value":[]}', 400),
    ("POST", "/faults", b'{"side":"open_api","kind":"error_code","value":{}}', 400),
    ("POST", "/faults", b'{"side":"open_api","kind":"status","times":-1}', 400),
    ("DELETE", "/faults/nobody", b"", 404),
    ("POST", "/settings", b'{"speed":0}', 400),
    ("POST", "/settings", b'{"callback_url":"nowhere"}', 400),
    ("POST", "/settings", b'{"frozen_reads_as":"GONE"}', 400),
    ("POST", "/settings", b'{"sk":"other"}', 400),
    ("POST", "/nothing", b"", 404),
]


@pytest.mark.parametrize(
    ("method", "path", "content", "status"), HOSTILE, ids=[f"{n} {case[1]}" for n, case in enumerate(HOSTILE)]
)
async def test_bad_control_input_is_answered_with_one_sentence(
    http: httpx2.AsyncClient, emulator: Emulator, method: str, path: str, content: bytes, status: int
) -> None:
    emulator.codes.buy(code="TAKEN")

    answer = await http.request(method, f"/control{path}", content=content)

    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"]
    assert emulator.courier.deliveries == []


async def test_extreme_but_allowed_moments_do_not_break_anything(http: httpx2.AsyncClient, emulator: Emulator) -> None:
    await _post(http, "/clock", {"now": "9000-01-01T00:00:00Z"})
    await _post(http, "/codes", {"code": "PL1", "expire_time": "9000-01-01T00:00:00Z"})

    answer = await http.post("/control/codes/PL1/renew", json={"days": 36_500})

    assert answer.status_code == 400
    assert emulator.codes.get("PL1").renewals == []


BAD_SETTINGS = [
    {"callback_url": "ftp://x"},
    {"speed": 0.0},
    {"speed": float("inf")},
    {"callback_tries": 0},
    {"sk": ""},
]


@pytest.mark.parametrize("wrong", BAD_SETTINGS)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        EmulatorSettings(**wrong)


def test_settings_do_not_show_their_secrets() -> None:
    shown = repr(EmulatorSettings(sk="sesame", access_key="open", callback_time_limit=timedelta(seconds=1)))

    assert "sesame" not in shown
    assert "open" not in shown
