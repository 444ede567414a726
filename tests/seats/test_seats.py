"""Programs take seats, renew them, borrow them and give them back; each refusal says what to do."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from client_stub.trust.errors import VerificationError
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.seats import authenticate_seat
from client_stub.trust.verification import verify_license
from licsrv import audit
from licsrv.audit import Cause
from licsrv.licensing import changes, releasing, store
from licsrv.licensing.keyring import Purpose
from licsrv.licensing.tables import Device, License, RefusedDevice
from licsrv.platform.db import reading, transaction
from licsrv.seats.tables import Seat
from tests.conftest import NOW
from tests.products import change
from tests.seats.conftest import CODE, Office, Program, claims_of, device, header_of
from tests.tables import each

MINUTE = timedelta(minutes=1)


def rows(office: Office, table: Any = Seat) -> list[Any]:
    with reading(office.runtime.database) as session:
        return list(session.exec(select(table)).all())


def audited(office: Office) -> list[str]:
    with reading(office.runtime.database) as session:
        return [one.action for one in audit.entries(session, limit=100)]


def text(moment: Any) -> str:
    return str(moment.isoformat().replace("+00:00", "Z"))


async def test_a_program_takes_a_seat_renews_it_and_gives_it_back(office: Office) -> None:
    license_id = office.sell()
    program = await office.program()
    string = claims_of(program.string)

    taken = await program.done("checkout")
    office.pass_time(minutes=5)
    renewed = await program.done("renew", nonce="nonce-2")
    returned = await program.done("return")
    office.pass_time(minutes=1)

    assert (string["dev"]["v"], string["dev"]["f"]) == (2, 1)
    key = office.runtime.keyring().signer(Purpose.LEASE)
    assert header_of(taken["seat"]) == {"alg": "EdDSA", "kid": key.key_id, "typ": "seat+jwt"}
    assert claims_of(taken["seat"]) == {
        "iss": "licsrv", "sub": license_id, "jti": taken["seat_id"], "str": string["jti"], "ses": program.session,
        "iat": int(NOW.timestamp()), "exp": int((NOW + 15 * MINUTE).timestamp()),
        "renew": int((NOW + 5 * MINUTE).timestamp()), "nonce": "nonce-1",
    }  # fmt: skip
    assert {name: taken[name] for name in taken if name not in ("seat", "seat_id")} == {
        "until": text(NOW + 15 * MINUTE), "renew_at": text(NOW + 5 * MINUTE), "borrowed": False, "taken": 1, "seats": 3,
        "server_time": text(NOW),
    }  # fmt: skip
    assert (renewed["seat_id"], renewed["until"]) == (taken["seat_id"], text(NOW + 20 * MINUTE))
    assert claims_of(renewed["seat"])["nonce"] == "nonce-2"
    assert returned == {"seat_id": taken["seat_id"], "returned_at": text(NOW + 5 * MINUTE)}
    assert await program.done("return") == returned
    assert (await program.refused("renew"))["code"] == "SEAT_ENDED"
    assert (await program.done("checkout"))["seat_id"] != taken["seat_id"]


async def test_three_seats_are_enough_for_any_number_of_devices_but_not_at_once(office: Office) -> None:
    office.sell()
    programs = await office.programs(5)

    for program in programs[:3]:
        await program.done("checkout")
        office.pass_time(seconds=1)
    again = await programs[0].done("checkout")
    refused = await programs[3].call("checkout")

    assert again["taken"] == 3
    problem = refused.json()
    assert (problem["code"], problem["seats"], problem["taken"]) == ("NO_SEAT_FREE", 3, 3)
    assert [one["name"] for one in problem["holders"]] == ["CAD-0", "CAD-1", "CAD-2"]
    assert problem["holders"][0] == {
        "name": "CAD-0", "since": text(NOW), "until": again["until"], "borrowed": False
    }  # fmt: skip
    assert refused.headers["Retry-After"] == "300"  # a seat may be given back long before the first one lapses
    assert "position" not in problem
    assert [(row.code, row.count) for row in rows(office, RefusedDevice)] == [("NO_SEAT_FREE", 1)]
    await programs[1].done("return")
    assert (await programs[3].done("checkout"))["taken"] == 3


async def test_a_killed_programs_seat_is_free_after_its_length_and_its_own_until_another_takes_it(
    office: Office,
) -> None:
    office.sell(seats=1)
    first, second = await office.programs(2)
    seat = await first.done("checkout")

    office.pass_time(minutes=15, microseconds=-1)
    assert (await second.refused("checkout"))["code"] == "NO_SEAT_FREE"
    office.pass_time(microseconds=1)
    assert (await first.done("renew"))["seat_id"] == seat["seat_id"]
    office.pass_time(minutes=15)
    await second.done("checkout")

    assert (await first.refused("renew"))["code"] == "SEAT_ENDED"
    assert (await first.refused("checkout"))["code"] == "NO_SEAT_FREE"


def release_device(session: Session, license: License) -> None:
    device = session.scalars(select(Device).where(Device.license_id == license.id)).one()
    releasing.release_device(session, device, cause=Cause("test"), now=NOW)


STATES = {
    "LICENSE_FROZEN": lambda s, row: changes.set_frozen(s, row, True, stated_at=NOW, cause=Cause("t"), now=NOW),
    "LICENSE_REVOKED": lambda s, row: changes.revoke(s, row, cause=Cause("staff:a", reason="Why not."), now=NOW),
    "LICENSE_RELEASED": lambda s, row: changes.release(s, row, cause=Cause("t"), now=NOW),
    "LICENSE_EXPIRED": lambda s, row: changes.change_expiry(
        s, row, NOW, stated_at=NOW, may_shorten=True, cause=Cause("t"), now=NOW
    ),
    "LICENSE_RELEASED ": release_device,
    "NOT_FLOATING": lambda s, row: change(s, row.product_id, {"places.floating": False}),
}


async def test_a_license_that_may_not_be_used_gives_keeps_and_lends_no_seat_but_takes_one_back(office: Office) -> None:
    for row in each(STATES):
        with row as name:
            code = f"C-{name.strip()}-{len(name)}"
            office.sell(code, policy={"floating.borrow_days": 3})
            program = await office.program(code=code)
            await program.done("checkout")
            with transaction(office.runtime.database, (audit.seal,)) as session:
                license = store.license_for_update(session, code)
                assert license is not None
                STATES[name](session, license)

            until = text(NOW + timedelta(days=1))
            for path, body in (("checkout", {}), ("renew", {}), ("borrow", {"until": until})):
                assert (await program.refused(path, **body))["code"] == name.strip(), path
            assert (await program.again().refused("checkout"))["code"] == name.strip()
            await program.done("return")


async def test_a_seat_of_another_device_or_program_is_no_seat_and_a_string_alone_is_not_enough(office: Office) -> None:
    office.sell()
    first, second = await office.programs(2)
    seat = (await first.done("checkout"))["seat_id"]
    await second.done("checkout")
    until = text(NOW + timedelta(days=1))

    for path in ("renew", "return", "borrow"):
        for program, wrong, code in (
            (second, {"seat_id": seat}, "SEAT_NOT_FOUND"),
            (first.again(), {"seat_id": seat}, "SEAT_NOT_FOUND"),
            (first, {"seat_id": "none"}, "SEAT_NOT_FOUND"),
            (first, {"seat_id": "Seat_1%'\\"}, "SEAT_NOT_FOUND"),
            (first, {"device_info": second.device}, "DEVICE_MISMATCH"),
            (first, {"session": "short"}, "INVALID_REQUEST"),
            (Program(first.http, "x.y.z", session=first.session), {"seat_id": seat}, "UNAUTHENTICATED"),
        ):
            assert (await program.refused(path, until=until, **wrong))["code"] == code, (path, wrong)
    assert (await first.refused("checkout", device_info=second.device))["code"] == "DEVICE_MISMATCH"
    assert [row.ended_at for row in rows(office)] == [None, None]
    refused = {row.code: row.count for row in rows(office, RefusedDevice)}
    assert refused == {"DEVICE_MISMATCH": 4}


async def test_programs_of_one_user_on_one_device_share_a_seat_where_the_policy_says_so(office: Office) -> None:
    office.sell(seats=2, policy={"floating.shared_by_user": True})
    program = await office.program()

    answers = [await one.done("checkout", user="ada") for one in (program, program.again(), program.again())]
    other = await program.again().done("checkout", user="bob")
    alone = await program.again().refused("checkout")

    assert ([one["taken"] for one in answers], other["taken"], alone["code"]) == ([1, 1, 1], 2, "NO_SEAT_FREE")
    assert len({one["seat_id"] for one in answers}) == 3


async def test_a_borrowed_seat_lasts_without_renewal_until_its_end_and_its_end_can_be_moved(office: Office) -> None:
    office.sell(seats=2, policy={"floating.borrow_days": 5, "floating.return_hours": 24})
    first, second, third = await office.programs(3)
    await first.done("checkout")
    far, near = NOW + timedelta(days=3), NOW + timedelta(days=2)

    borrowed = await first.done("borrow", until=text(far))
    assert await first.done("borrow", until=text(far)) == borrowed
    moved = await first.done("borrow", until=text(near))
    renewed = await first.done("renew")
    office.pass_time(hours=23)
    early = await first.refused("return")
    shorter = await first.refused("borrow", until=text(NOW + timedelta(hours=23, minutes=30)))
    await second.done("checkout")
    full = await third.refused("checkout")

    assert (borrowed["until"], borrowed["borrowed"], claims_of(borrowed["seat"])["bor"]) == (text(far), True, True)
    assert claims_of(borrowed["seat"])["exp"] == int(far.timestamp())
    assert borrowed["renew_at"] == text(far - 15 * MINUTE)
    assert (moved["until"], renewed["until"], renewed["borrowed"]) == (text(near), text(near), True)
    for one in (early, shorter):
        assert (one["code"], one["return_from"]) == ("SEAT_BORROWED", text(NOW + timedelta(days=1)))
    assert [one["borrowed"] for one in full["holders"]] == [True, False]
    assert audited(office).count("SEAT_BORROWED") == 2
    office.pass_time(hours=1)
    await first.done("return")
    await third.done("checkout")


async def test_a_borrowed_seat_ends_with_a_license_that_was_shortened(office: Office) -> None:
    license_id = office.sell(policy={"floating.borrow_days": 5}, expires_at=NOW + timedelta(days=30))
    program = await office.program()
    await program.done("checkout")
    await program.done("borrow", until=text(NOW + timedelta(days=4)))
    with transaction(office.runtime.database) as session:
        license = session.get(License, license_id)
        assert license is not None
        license.expires_at = NOW + timedelta(days=1)

    answers = [await program.done(path) for path in ("renew", "checkout")]

    assert [one["until"] for one in answers] == [text(NOW + timedelta(days=1))] * 2
    assert claims_of(answers[0]["seat"])["exp"] == int((NOW + timedelta(days=1)).timestamp())


async def test_a_seat_is_borrowed_within_the_cap_and_by_as_many_as_the_policy_says(office: Office) -> None:
    office.sell(seats=5, policy={"floating.borrow_days": 2, "floating.borrow_percent": 20})
    office.sell("NEVER")
    first, second = await office.programs(2)
    never = await office.program(code="NEVER")
    for program in (first, second, never):
        await program.done("checkout")
    until = NOW + timedelta(days=2)

    too_long = await first.refused("borrow", until=text(until + MINUTE))
    past = await first.refused("borrow", until=text(NOW))
    await first.done("borrow", until=text(until))
    too_many = await second.refused("borrow", until=text(until))
    not_at_all = await never.refused("borrow", until=text(until))

    assert (too_long["code"], too_long["longest_until"]) == ("BORROW_TOO_LONG", text(until))
    assert past["code"] == "INVALID_REQUEST"
    assert (too_many["code"], too_many["most"]) == ("BORROW_LIMIT_REACHED", 1)
    assert (not_at_all["code"], not_at_all["longest_until"]) == ("BORROW_TOO_LONG", text(NOW + 15 * MINUTE))


async def test_those_who_wait_get_seats_in_the_order_in_which_they_came(office: Office) -> None:
    office.sell(seats=1, policy={"floating.show_names": False})
    holder, first, second, third = await office.programs(4)
    await holder.done("checkout")

    positions = []
    for one in (first, second, first):
        positions.append((await one.refused("checkout", queue=True))["position"])
        office.pass_time(seconds=1)
    waiting = await second.call("checkout", queue=True)
    await holder.done("return")
    behind = await third.refused("checkout")
    second_still = await second.refused("checkout", queue=True)
    await first.done("checkout", queue=True)
    promoted = await second.refused("checkout", queue=True)

    assert positions == [1, 2, 1]
    assert {row.device: row.count for row in rows(office, RefusedDevice)} == dict.fromkeys(
        (row.id for row in rows(office, Device) if row.name in {"CAD-1", "CAD-2", "CAD-3"}), 1
    )
    assert waiting.headers["Retry-After"] == "15"
    assert "name" not in waiting.json()["holders"][0]
    assert (behind["taken"], "kept for programs that wait" in behind["detail"]) == (0, True)
    assert (second_still["position"], promoted["position"]) == (2, 1)
    office.pass_time(seconds=121)
    await first.done("return")
    await third.done("checkout")  # the second did not ask again


async def test_a_program_that_is_started_again_while_it_waits_does_not_wait_for_itself(office: Office) -> None:
    office.sell(seats=1)
    holder, waiting = await office.programs(2)
    await holder.done("checkout")

    positions = []
    for _ in range(4):
        positions.append((await waiting.refused("checkout", queue=True))["position"])
        office.pass_time(seconds=30)
        waiting = waiting.again()  # killed, and started again
    await holder.done("return")
    behind = await holder.again().refused("checkout")
    await waiting.done("checkout", queue=True)

    assert positions == [1, 1, 1, 1]
    assert "kept for programs that wait" in behind["detail"]


async def test_more_than_were_bought_are_admitted_up_to_the_overdraft_and_marked(office: Office) -> None:
    office.sell(seats=4, policy={"places.overdraft_percent": 25})
    programs = await office.programs(6)

    answers = [await program.done("checkout") for program in programs[:5]]
    refused = await programs[5].refused("checkout")

    assert [one["taken"] for one in answers] == [1, 2, 3, 4, 5]
    assert (refused["code"], refused["seats"], refused["taken"]) == ("NO_SEAT_FREE", 4, 5)
    assert audited(office).count("SEAT_BEYOND") == 1


async def test_programs_keep_their_seats_when_there_are_fewer_and_none_is_given_before(office: Office) -> None:
    office.sell(seats=3)
    programs = await office.programs(4)
    for program in programs[:3]:
        await program.done("checkout")
    with transaction(office.runtime.database, (audit.seal,)) as session:
        license = store.license_for_update(session, CODE)
        assert license is not None
        license.device_limit = 1

    kept = [await program.done("renew") for program in programs[:3]]
    for program in programs[:2]:
        assert (await programs[3].refused("checkout"))["code"] == "NO_SEAT_FREE"
        await program.done("return")
    refused = await programs[3].refused("checkout")
    await programs[2].done("return")

    assert [(one["taken"], one["seats"]) for one in kept] == [(3, 1)] * 3
    assert (refused["seats"], refused["taken"]) == (1, 1)
    assert (await programs[3].done("checkout"))["taken"] == 1


async def test_a_changed_policy_changes_the_license_text_at_the_next_contact_and_back(office: Office) -> None:
    office.sell()
    floats = await office.program()

    with transaction(office.runtime.database, (audit.seal,)) as session:
        change(session, CODE, {"places.floating": False})
    office.pass_time(seconds=1)
    fixed = await office.program()
    with transaction(office.runtime.database, (audit.seal,)) as session:
        change(session, CODE, {"places.floating": True})
    office.pass_time(seconds=1)
    again = await office.program()

    said = [claims_of(one.string)["dev"] for one in (floats, fixed, again)]
    assert [(one["v"], one.get("f")) for one in said] == [(2, 1), (1, None), (2, 1)]
    assert (await office.program()).string == again.string
    await again.done("checkout")


async def test_what_the_server_signs_is_what_the_client_believes(office: Office) -> None:
    office.sell(policy={"floating.borrow_days": 1})
    program = await office.program()
    keys = PinnedKeys.from_jwks(office.runtime.keyring().jwks())
    license = verify_license(
        program.string, keys, device_info=program.device, now=NOW, issuer="licsrv", takes_seats=True
    )

    for path, more in (("checkout", {}), ("renew", {}), ("borrow", {"until": text(NOW + timedelta(hours=9))})):
        token = (await program.done(path, **more))["seat"]
        seat = authenticate_seat(token, keys, license=license, session=program.session, nonce="nonce-1")
        assert (seat.seat_id, seat.is_borrowed) == (program.seat_id, path == "borrow")
    assert license.is_floating
    with pytest.raises(VerificationError):
        verify_license(program.string, keys, device_info=program.device, now=NOW, issuer="licsrv")


async def test_fixed_places_beyond_those_bought_are_given_up_to_the_overdraft_and_marked(office: Office) -> None:
    office.sell(seats=2, policy={"places.floating": False, "places.overdraft": 1})

    programs = await office.programs(3)
    body = {"code": CODE, "device_info": device(9), "nonce": "n"}
    refused = (await office.http.post("/v1/licenses/string", json=body)).json()

    assert [claims_of(one.string)["n"] for one in programs] == [2, 2, 2]
    assert (refused["code"], refused["places"], refused["places_taken"]) == ("DEVICE_LIMIT_REACHED", 2, 3)
    with reading(office.runtime.database) as session:
        entries = [json.loads(one.detail) for one in audit.entries(session) if one.action == "DEVICE_ACTIVATED"]
    assert [one.get("beyond") for one in entries] == [1, None, None]
    [license] = rows(office, License)
    assert (license.places_taken, license.lowered_at) == (3, NOW)
