"""The log: one line an event, named by its request, and nothing in it that must not be there."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import httpx2
import pytest

from licsrv.emulator.emulator import Emulator
from licsrv.platform import logs
from licsrv.platform.logs import HIDDEN, REQUEST_ID, hide_secrets
from licsrv.runtime import Runtime
from tests.conftest import ACCESS_KEY, DEVICE, OTHER_DEVICE, SK, StandingClock
from tests.platform.conftest import Log, configure_into


@pytest.mark.parametrize(
    "name",
    ["secret", "client_secret", "password", "keys_passphrase", "token", "Authorization", "signature", "access_key",
     "device_info", "license_string", "private_key"],
)  # fmt: skip
def test_values_under_a_secret_name_are_hidden(log: Log, name: str) -> None:
    logs.logger("test").info("something", **{name: "the-raw-value"})

    [event] = log.events()
    assert event[name] == HIDDEN
    assert "the-raw-value" not in log.text


@pytest.mark.parametrize("name", ["code", "kind", "route", "request_id", "row", "reason"])
def test_ordinary_facts_are_kept(name: str) -> None:
    assert hide_secrets(None, "info", {name: "a fact"}) == {name: "a fact"}


def test_an_event_is_one_line_of_json(log: Log) -> None:
    logs.logger("test").warning("line one\nline two", fact="a\r\nb\u2028c \u6388\u6743", number=3, thing=object())

    [line] = log.stream.getvalue().split("\n")[:-1]
    event = json.loads(line)
    assert event["event"] == "line one\nline two"
    assert (event["level"], event["logger"], event["number"]) == ("warning", "test", 3)
    assert event["timestamp"].endswith("Z")


def test_an_exception_stays_on_its_line(log: Log) -> None:
    try:
        raise ValueError("what happened")
    except ValueError:
        logs.logger("test").exception("it failed")

    assert log.text.count("\n") == 1
    assert "ValueError: what happened" in log.events()[0]["exception"]


def test_the_libraries_speak_the_same_form(log: Log) -> None:
    token = REQUEST_ID.set("abcd1234")
    logging.getLogger("uvicorn.error").error("it failed: %s", "why")
    logging.getLogger("httpx2").info("HTTP Request: GET https://mkt.test/?signature=x")
    logging.getLogger("apscheduler.executors").info("every tick")
    REQUEST_ID.reset(token)

    [event] = log.events()
    assert (event["event"], event["logger"], event["request_id"]) == ("it failed: why", "uvicorn.error", "abcd1234")


def test_what_is_below_the_level_is_not_logged(log: Log) -> None:
    logs.logger("test").debug("too much")

    assert log.text == ""


def test_people_get_text(log: Log) -> None:
    configure_into(log, "INFO", "text")

    logs.logger("other").info("something happened", token="the-raw-value")

    assert "something happened" in log.text
    assert "the-raw-value" not in log.text
    with pytest.raises(json.JSONDecodeError):
        log.events()


async def test_a_whole_life_leaves_no_secret_and_no_device_fact(
    log: Log, client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    configure_into(log, "DEBUG", "json")
    emulator.change_settings(callback_url="http://127.0.0.1:9/marketplace/callback")
    code = emulator.codes.buy(days=30).code
    ask = {"code": code, "device_info": DEVICE, "nonce": "n-1", "client": {"version": "3.2.1", "name": "CAD-WS-07"}}

    string = (await client.post("/v1/licenses/string", json=ask)).json()["license_string"]
    bearer = {"Authorization": f"Bearer {string}"}
    beat = {"nonce": "n-2", "device_info": DEVICE}
    lease = (await client.post("/v1/heartbeats", json=beat, headers=bearer)).json()["lease"]
    await client.post("/v1/heartbeats", json=beat | {"device_info": OTHER_DEVICE}, headers=bearer)
    await client.post("/v1/heartbeats", json=beat, headers={"Authorization": "Bearer forged-string"})
    half = b'{"device_info":"' + DEVICE.encode()
    await client.post("/v1/heartbeats", content=half, headers=bearer | {"Content-Type": "application/json"})
    await client.post("/marketplace/callback?signature=forged&timestamp=1&nonce=2", content=b"{}")
    await runtime.worker.drain()
    clock.advance(days=1)
    await client.post("/v1/devices/release", headers=bearer, json={"device_info": DEVICE})

    raw = {*DEVICE.split("|"), DEVICE, "047C165EE35D", string, string.split(".")[1], lease, SK, ACCESS_KEY}
    raw |= {*OTHER_DEVICE.split("|"), "Bearer", "forged", "CAD-WS-07"}
    assert [text for text in raw if text in log.text] == []
    served = log.named("request")
    assert {event["status"] for event in served} >= {200, 401, 409, 422}
    assert all(event["request_id"] for event in served)
    assert timedelta(milliseconds=max(event["milliseconds"] for event in served)) < timedelta(minutes=1)
