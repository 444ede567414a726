"""The seat of one program, against seats that behave as the wire contract says. ``start`` begins a new run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from client_stub.session.configuration import Configuration
from client_stub.session.problems import Problem
from client_stub.session.seat_taking import Wish
from client_stub.session.session import LicenseSession
from client_stub.trust.claims import License
from client_stub.trust.seats import Seat
from client_stub.trust.verdict import Reason
from tests.client_stub.fake_seats import FakeSeats
from tests.client_stub.fakes import FakeClock, FakeServer, problem
from tests.client_stub.signing import DEVICE, NOW, Vendor, dev_claim, unix
from tests.tables import each

Start = Callable[[], LicenseSession]
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def seats(server: FakeServer, vendor: Vendor, clock: FakeClock) -> FakeSeats:
    """Seats of the server's license, which is floating."""
    seats = FakeSeats(vendor, clock.now)
    server.license_changes = {"dev": dev_claim() | {"v": 2, "f": 1}}
    server.on_ask = lambda path, body: seats.answer(path.removeprefix("seats/"), body)
    return seats


def begun(start: Start) -> LicenseSession:
    session = start()
    assert isinstance(session.obtain(DEVICE), License)
    return session


def code_of(outcome: Seat | Problem | None) -> str:
    assert isinstance(outcome, Problem)
    return outcome.code


def test_a_floating_license_works_with_a_seat_until_it_ends(start: Start, seats: FakeSeats, clock: FakeClock) -> None:
    session = begun(start)
    assert session.verdict().reason is Reason.NO_SEAT

    seat = session.seats.check_out(Wish())

    assert isinstance(seat, Seat)
    assert session.verdict().until == NOW + 15 * MINUTE
    clock.pass_time(15 * MINUTE)
    assert session.verdict().reason is Reason.NO_SEAT
    assert isinstance(session.seats.renew(), Seat)
    assert session.verdict().is_allowed


def test_a_seat_that_does_not_prove_itself_is_not_believed(start: Start, seats: FakeSeats) -> None:
    for row in each(
        [
            ({"iss": "https://other.example"}, "FOREIGN_SEAT"),
            ({"sub": "lic_2"}, "FOREIGN_SEAT"),
            ({"str": "ls_2"}, "FOREIGN_SEAT"),
            ({"ses": "s" * 16}, "FOREIGN_SEAT"),
            ({"nonce": "an old one"}, "NONCE_MISMATCH"),
            ({"exp": unix(NOW) - 1}, "BAD_CLAIMS"),
            ({"exp": None}, "BAD_CLAIMS"),
            ({"bor": 1}, "BAD_CLAIMS"),
            ({"jti": ""}, "BAD_CLAIMS"),
        ]
    ):
        with row as (claims, code):
            session = begun(start)
            seats.claims, seats.seats = claims, 100

            assert code_of(session.seats.check_out(Wish())) == code
            assert session.verdict().reason is Reason.NO_SEAT


def test_a_seat_signed_with_the_license_key_is_not_believed(start: Start, seats: FakeSeats, vendor: Vendor) -> None:
    session = begun(start)
    token = vendor.license_key.sign({}, "seat+jwt")
    seats.refuse["checkout"] = httpx2.Response(200, json={"seat": token})

    assert code_of(session.seats.check_out(Wish())) == "WRONG_KEY_PURPOSE"


def test_a_reconnect_takes_up_the_same_seat(
    start: Start, seats: FakeSeats, server: FakeServer, clock: FakeClock
) -> None:
    session = begun(start)
    before = session.seats.check_out(Wish())
    server.is_down = True
    clock.pass_time(10 * MINUTE)

    assert code_of(session.seats.renew()) == "SERVER_UNREACHABLE"
    assert session.verdict().is_allowed
    clock.pass_time(10 * MINUTE)
    assert session.verdict().reason is Reason.NO_SEAT
    server.is_down = False
    after = session.seats.renew()

    assert isinstance(before, Seat)
    assert isinstance(after, Seat)
    assert after.seat_id == before.seat_id
    assert len(seats.taken) == 1


def test_a_seat_that_another_program_took_is_asked_for_again(start: Start, seats: FakeSeats, clock: FakeClock) -> None:
    seats.seats = 1
    session = begun(start)
    session.seats.check_out(Wish())
    clock.pass_time(16 * MINUTE)
    other = begun(start)
    assert isinstance(other.seats.check_out(Wish()), Seat)

    assert code_of(session.seats.renew()) == "NO_SEAT_FREE"
    assert session.seats.is_wanted  # it had one, so it goes on asking
    assert other.seats.give_back() is None
    assert isinstance(session.seats.renew(), Seat)


def test_no_seat_free_says_who_holds_them_and_the_place_in_line(start: Start, seats: FakeSeats) -> None:
    seats.seats = 1
    begun(start).seats.check_out(Wish())

    for row in each([(False, None), (True, 1)]):
        with row as (is_queued, position):
            session = begun(start)

            refused = session.seats.check_out(Wish("ann", is_queued))

            assert isinstance(refused, Problem)
            assert (refused.code, refused.details["taken"], refused.details.get("position")) == (
                "NO_SEAT_FREE",
                1,
                position,
            )
            assert refused.details["holders"] == [{"name": "seat_1", "until": (NOW + 15 * MINUTE).isoformat()}]
            assert session.seats.is_wanted is is_queued
            assert seats.asked[-1][1]["user"] == "ann"


def test_no_unsigned_refusal_takes_a_seat_away(start: Start, seats: FakeSeats) -> None:
    codes = ["NO_SEAT_FREE", "SEAT_NOT_FOUND", "SEAT_ENDED", "LICENSE_FROZEN", "LICENSE_RELEASED", "DEVICE_MISMATCH"]
    for row in each(codes):
        with row as code:
            session, seats.seats = begun(start), 100
            session.seats.check_out(Wish())
            seats.refuse = {"renew": problem(409, code), "checkout": problem(409, code)}

            assert code_of(session.seats.renew()) == code
            assert session.verdict().is_allowed
            assert session.seats.is_license_in_doubt is (code not in ("NO_SEAT_FREE", "SEAT_NOT_FOUND", "SEAT_ENDED"))
            seats.refuse = {}


def test_a_seat_is_given_back_once(start: Start, seats: FakeSeats, server: FakeServer) -> None:
    session = begun(start)
    session.seats.check_out(Wish())
    server.is_down = True
    assert code_of(session.seats.give_back()) == "SERVER_UNREACHABLE"
    assert session.verdict().is_allowed

    server.is_down = False
    assert session.seats.give_back() is None

    assert session.verdict().reason is Reason.NO_SEAT
    assert (session.seats.give_back(), session.seats.is_wanted) == (None, False)
    assert seats.actions().count("return") == 1
    assert seats.live() == []


# -- borrowed ------------------------------------------------------------------------------------------------------


def borrowed(start: Start, days: int = 3) -> LicenseSession:
    session = begun(start)
    session.seats.check_out(Wish())
    assert isinstance(session.seats.borrow(NOW + days * DAY), Seat)
    return session


def test_a_borrowed_seat_works_after_a_start_without_network(
    start: Start, seats: FakeSeats, server: FakeServer, clock: FakeClock
) -> None:
    before = borrowed(start)
    before.seats.return_at_end()
    before.close()
    server.is_down = True
    clock.pass_time(2 * DAY)

    session = begun(start)

    assert session.verdict().until == NOW + 3 * DAY
    assert session.seats.is_wanted
    clock.pass_time(DAY)
    assert session.verdict().reason is Reason.NO_SEAT


def test_a_borrowed_seat_is_renewed_with_the_session_that_borrowed_it(start: Start, seats: FakeSeats) -> None:
    before = borrowed(start)
    before.close()

    session = begun(start)
    renewed = session.seats.check_out(Wish())

    assert isinstance(renewed, Seat)
    assert renewed.is_borrowed
    assert len(seats.taken) == 1


def test_of_two_programs_with_one_store_one_has_the_borrowed_seat(start: Start, seats: FakeSeats) -> None:
    borrowed(start).close()

    first, second = begun(start), begun(start)

    assert first.verdict().is_allowed
    assert second.verdict().reason is Reason.NO_SEAT
    assert isinstance(second.seats.check_out(Wish()), Seat)
    assert len(seats.live()) == 2


def test_a_seat_that_is_not_borrowed_ends_with_the_program(
    start: Start, seats: FakeSeats, configuration: Configuration
) -> None:
    session = begun(start)
    session.seats.check_out(Wish())

    session.seats.return_at_end()
    session.close()

    assert seats.live() == []
    assert begun(start).verdict().reason is Reason.NO_SEAT


def test_a_borrowed_seat_that_was_given_back_is_kept_no_more(
    start: Start, seats: FakeSeats, server: FakeServer
) -> None:
    session = borrowed(start)
    assert session.seats.give_back() is None
    session.close()
    server.is_down = True

    assert begun(start).verdict().reason is Reason.NO_SEAT


def test_what_is_kept_of_a_borrowed_seat_is_verified(
    start: Start, seats: FakeSeats, server: FakeServer, configuration: Configuration
) -> None:
    borrowed(start).close()
    path = configuration.seat_stored_at
    assert isinstance(path, Path)
    good = path.read_text()
    server.is_down = True
    changes: list[tuple[str, str]] = [
        ("", ""),
        ('"nonce": "', '"nonce": "x'),
        ('"session": "', '"session": "x'),
        ("{", ""),
    ]
    for row in each(changes):
        with row as (old, new):
            path.write_text(good.replace(old, new, 1) if old else good)

            session = begun(start)

            assert session.verdict().is_allowed is (old == "")
            session.close()


def test_borrowing_is_refused_with_what_is_possible(start: Start, seats: FakeSeats) -> None:
    session = begun(start)
    assert code_of(session.seats.borrow(NOW + DAY)) == "NO_SEAT"
    session.seats.check_out(Wish())

    refused: Any = session.seats.borrow(NOW + 8 * DAY)

    assert (refused.code, refused.details["longest_until"]) == ("BORROW_TOO_LONG", (NOW + 7 * DAY).isoformat())
    assert session.verdict().is_allowed
    seats.refuse["return"] = problem(409, "SEAT_BORROWED", return_from=NOW.isoformat())
    assert code_of(session.seats.give_back()) == "SEAT_BORROWED"
    assert session.seats.is_wanted
