"""Codes that this server has not seen: the marketplace is asked, and what it says a person can act on."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from sqlmodel import select

from licsrv import audit
from licsrv.app import build_runtime, create_app
from licsrv.audit import Cause
from licsrv.emulator.emulator import Emulator
from licsrv.errors import ConflictError, InvalidRequestError
from licsrv.licensing import changes
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.tables import License
from licsrv.marketplace.tables import Gate
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, NOW, OTHER_DEVICE, StandingClock
from tests.tables import each


def ask(code: str, device: str = DEVICE) -> dict[str, Any]:
    return {"code": code, "device_info": device, "nonce": "n"}


async def string(client: httpx2.AsyncClient, code: str, device: str = DEVICE) -> httpx2.Response:
    return await client.post("/v1/licenses/string", json=ask(code, device))


def rows(runtime: Runtime, model: Any) -> list[Any]:
    with reading(runtime.database) as session:
        assert audit.verify(session) is None
        return list(session.exec(select(model)).all())


async def test_a_code_that_nobody_knows(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    answer = await string(client, "PL-NOBODY")

    assert (answer.status_code, answer.json()["code"]) == (404, "LICENSE_NOT_FOUND")
    assert rows(runtime, License) == []


async def test_a_code_that_the_buyer_has_not_received_yet(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator
) -> None:
    code = emulator.codes.buy(product_id="OFFI1", days=30, received=False).code

    early = await string(client, code)
    emulator.codes.receive(code)

    assert (early.status_code, early.json()["code"]) == (409, "LICENSE_NOT_RECEIVED")
    assert "Receive" in early.json()["action"]
    assert (await string(client, code)).status_code == 200


async def test_a_code_whose_activation_answer_was_lost_is_adopted(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator
) -> None:
    code = emulator.codes.buy(product_id="OFFI1", amount=3, days=30, received=True).code
    emulator.set_fault("open_api", "lose_answer", "502", path="activate", times=1)

    answer = await string(client, code)

    assert answer.status_code == 200
    [license] = rows(runtime, License)
    assert (license.amount, license.expires_at) == (3, NOW + timedelta(days=30))
    assert license.activated_at is not None


async def test_many_clients_with_one_new_code_ask_the_marketplace_once(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator
) -> None:
    code = emulator.codes.buy(product_id="OFFI1", amount=40, days=30, received=True).code
    devices = [f"02:00:00:00:00:{number:02X}|D{number}|B{number}|C" for number in range(1, 33)]

    answers = await asyncio.gather(*(string(client, code, device) for device in devices))

    assert {answer.status_code for answer in answers} == {200}
    assert len([request for request in emulator.requests.all() if "activate" in request.path]) == 1
    assert rows(runtime, License)[0].places_taken == 32


async def test_the_first_host_down_the_second_answers(settings: Any, clock: StandingClock, emulator: Emulator) -> None:
    emulator_transport = httpx2.ASGITransport(app=emulator.app)  # type: ignore[attr-defined]

    class FirstIsDown(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.host == "first.test":
                raise httpx2.ConnectError("refused")
            return await emulator_transport.handle_async_request(request)

    runtime = build_runtime(settings, clock=clock, transport=FirstIsDown())
    code = emulator.codes.buy(product_id="OFFI1", days=30, received=True).code
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=create_app(runtime)), base_url="http://licsrv.test"
    ) as client:
        assert (await string(client, code)).status_code == 200
    await runtime.close()


async def test_while_the_marketplace_is_down_a_license_is_provisional_and_the_outbox_finishes_it(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    code = emulator.codes.buy(product_id="OFFI1", amount=2, days=30, received=True).code
    emulator.set_fault("open_api", "status", 503)

    answer = await string(client, code)

    assert answer.status_code == 200
    assert answer.json()["expires_at"] == "2026-03-02T09:30:00Z"
    assert [row.kind for row in rows(runtime, OutboxRow)] == ["activate_license"]
    assert (await string(client, code)).json()["license_string"] == answer.json()["license_string"]

    emulator.clear_faults()
    clock.advance(minutes=1)
    await runtime.worker.drain()

    [license] = rows(runtime, License)
    assert (license.activated_at, license.provisional_until, license.amount) == (clock.now(), None, 2)
    renewed = (await string(client, code)).json()
    assert renewed["license_string"] != answer.json()["license_string"]
    assert renewed["expires_at"] == "2026-03-31T09:31:00Z"


async def test_a_provisional_license_that_the_marketplace_does_not_confirm_ends(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    emulator.set_fault("open_api", "status", 503)
    bearer = (await string(client, "PL-INVENTED")).json()["license_string"]
    emulator.clear_faults()
    clock.advance(minutes=1)

    await runtime.worker.drain()

    assert rows(runtime, OutboxRow)[0].state == "PARKED"
    beat = await client.post(
        "/v1/heartbeats", headers={"Authorization": f"Bearer {bearer}"}, json={"nonce": "n", "device_info": DEVICE}
    )
    assert beat.json()["status"] == "EXPIRED"
    again = await string(client, "PL-INVENTED")
    assert (again.status_code, again.json()["code"]) == (404, "LICENSE_NOT_FOUND")


async def test_nobody_lives_on_provisional_licenses(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    emulator.set_fault("open_api", "status", 503)
    assert (await string(client, "PL-FIRST")).status_code == 200

    second_code = await string(client, "PL-SECOND")
    other_machine = await string(client, "PL-SECOND", OTHER_DEVICE)
    clock.advance(hours=24)
    second_time = await string(client, "PL-FIRST")

    assert (second_code.status_code, second_code.json()["code"]) == (503, "MARKETPLACE_UNAVAILABLE")
    assert second_code.headers["retry-after"] == "60"
    assert other_machine.status_code == 200
    assert second_time.status_code == 503


@pytest.mark.soak
async def test_authentication_failures_never_lock_the_key_pair(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    emulator.set_fault("open_api", "refuse_signature", True)
    for number in range(30):
        device = f"02:00:00:00:00:{number:02X}|D{number}|B{number}|C"
        await string(client, f"PL-{number}", device)

    calls = emulator.requests.all()
    assert 1 <= len(calls) <= 5
    [gate] = rows(runtime, Gate)
    assert gate.paused_until > clock.now()

    emulator.clear_faults()
    assert "TESTAK" not in str(gate.model_dump())
    code = emulator.codes.buy(product_id="OFFI1", days=30, received=True).code
    assert (await string(client, code)).json()["expires_at"] == "2026-03-02T09:30:00Z", "still paused: provisional"
    clock.advance(minutes=10)
    await runtime.worker.drain()
    assert [row.failures for row in rows(runtime, Gate)] == [0]


async def test_one_address_may_not_try_codes_without_end(
    settings: Any, clock: StandingClock, emulator: Emulator
) -> None:
    limited = settings.model_copy(update={"unknown_codes_per_minute": 3})
    runtime = build_runtime(limited, clock=clock, transport=httpx2.ASGITransport(app=emulator.app))  # type: ignore[attr-defined]
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=create_app(runtime)), base_url="http://licsrv.test"
    ) as client:
        answers = [await string(client, f"PL-GUESS-{number}") for number in range(5)]
    await runtime.close()

    assert [answer.status_code for answer in answers] == [404, 404, 404, 429, 429]
    assert answers[-1].headers["retry-after"] == "60"


async def test_a_code_is_activated_however_it_is_typed_and_has_one_license(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator
) -> None:
    spelled = (
        str.lower, lambda code: f" {code[:4]} {code[4:8]}-{code[8:]} ", lambda code: f"\ufeff{code}\u200b",
        lambda code: "".join(chr(ord(character) + 0xFEE0) for character in code),
    )  # fmt: skip
    for row in each(spelled):
        with row as spell:
            code = emulator.codes.buy(product_id="OFFI1", days=30, received=True).code

            first = await string(client, spell(code))
            again = await string(client, code)

            assert first.status_code == 200, first.text
            assert again.json()["license_string"] == first.json()["license_string"]
            assert [license.code for license in rows(runtime, License)].count(code) == 1


async def test_an_outage_gives_a_provisional_license_to_the_code_that_is_meant(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    code = emulator.codes.buy(product_id="OFFI1", days=30, received=True).code
    emulator.set_fault("open_api", "status", 503)
    assert (await string(client, code.lower())).status_code == 200

    emulator.clear_faults()
    clock.advance(minutes=1)
    await runtime.worker.drain()

    [license] = rows(runtime, License)
    assert (license.code, license.provisional_until, license.activated_at) == (code, None, clock.now())


async def test_a_known_code_that_is_spelled_otherwise_is_no_try(
    settings: Any, clock: StandingClock, emulator: Emulator
) -> None:
    limited = settings.model_copy(update={"unknown_codes_per_minute": 2})
    runtime = build_runtime(limited, clock=clock, transport=httpx2.ASGITransport(app=emulator.app))  # type: ignore[attr-defined]
    transport = httpx2.ASGITransport(app=create_app(runtime))
    code = emulator.codes.buy(product_id="OFFI1", days=30, received=True).code
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        answers = [await string(client, code.lower()) for _ in range(5)]
        guess = await string(client, "PL-GUESS")  # two spellings are asked about, one try is counted
        one_too_many = await string(client, "PL-GUESS-2")
    await runtime.close()

    assert {answer.status_code for answer in answers} == {200}
    assert (guess.status_code, one_too_many.status_code) == (404, 429)


async def test_a_look_alike_is_suggested_and_not_accepted(
    settings: Any, clock: StandingClock, emulator: Emulator
) -> None:
    """Without a marketplace too, a suggestion costs a try."""
    no_pair = {"marketplace_ak": "", "marketplace_sk": SecretStr("")}
    alone = settings.model_copy(update={"unknown_codes_per_minute": 2, **no_pair})
    runtime = build_runtime(alone, clock=clock)
    with transaction(runtime.database) as session:
        for code in ("KEY-10", "TWO-01", "TWO-O1"):
            changes.add(session, Purchase(code, MANUAL), cause=Cause("test"), now=NOW)
    transport = httpx2.ASGITransport(app=create_app(runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        answers = [await string(client, code) for code in ("key-lO", "TWO-OI", "KEY-IO")]
    await runtime.close()

    assert [answer.json()["code"] for answer in answers] == ["LICENSE_NOT_FOUND"] * 2 + ["TOO_MANY_REQUESTS"]
    assert "Did you mean KEY-10?" in answers[0].json()["detail"]
    assert "Did you mean" not in answers[1].json()["detail"]  # two licenses look like it


async def test_a_spelling_that_was_refused_after_an_outage_does_not_block_the_right_one(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    emulator.codes.buy(product_id="OFFI1", days=30, received=True, code="ab-12")
    emulator.set_fault("open_api", "status", 503)
    assert (await string(client, "ab-12")).status_code == 200
    emulator.clear_faults()
    clock.advance(minutes=1)
    await runtime.worker.drain()

    answers = [await string(client, typed) for typed in ("ab-12", "AB-12", "ab12")]

    assert [answer.status_code for answer in answers] == [200] * 3, [answer.text for answer in answers]
    activated = {license.code: license.activated_at is not None for license in rows(runtime, License)}
    assert activated == {"AB12": False, "ab-12": True}


async def test_staff_add_a_code_of_which_another_spelling_was_refused(runtime: Runtime) -> None:
    until, cause = NOW + timedelta(days=1), Cause("test")
    with transaction(runtime.database) as session:
        license = changes.add_provisional(session, Purchase("AB12", MANUAL), until=until, cause=cause, now=NOW)
        with pytest.raises(ConflictError):
            changes.add(session, Purchase("ab-12", MANUAL), cause=cause, now=NOW)
        changes.refuse(session, license, "unknown", cause=cause, now=NOW)

        changes.add(session, Purchase("ab-12", MANUAL), cause=cause, now=NOW)

        for code in ("AB12", "AB-12", "ab-12"):  # refused under this name, or the added one is meant
            with pytest.raises(ConflictError):
                changes.add(session, Purchase(code, MANUAL), cause=cause, now=NOW)


async def test_a_code_whose_plain_form_is_too_long_is_unknown(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator
) -> None:
    emulator.set_fault("open_api", "status", 503)
    for typed in ("\ufdfa" * 64, "\u33c2" * 40):
        answer = await string(client, typed)
        assert (answer.status_code, answer.json()["code"]) == (404, "LICENSE_NOT_FOUND")
        with transaction(runtime.database) as session, pytest.raises(InvalidRequestError, match="too many characters"):
            changes.add(session, Purchase(typed, MANUAL), cause=Cause("test"), now=NOW)
    assert (await string(client, "\u00df" * 64)).status_code == 200  # its capitals alone are too long

    assert [license.code for license in rows(runtime, License)] == ["\u00df" * 64]
