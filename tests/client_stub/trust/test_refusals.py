"""The client and the server against the vectors that say which unsigned answers are refusals."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2

from client_stub.session.configuration import Configuration
from client_stub.session.connection import RefusedError, TransportError, UnansweredError
from client_stub.session.transport import DirectTransport
from client_stub.trust import refusals
from licsrv import errors
from tests.client_stub.signing import DEVICE
from tests.tables import each

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "refusals.json").read_text("utf-8"))


def test_the_list_of_codes_is_the_one_of_the_vectors() -> None:
    assert set(VECTORS["codes"]) == refusals.CODES
    assert set(VECTORS["seat_codes"]) == refusals.SEAT_CODES
    assert set(VECTORS["move_codes"]) == refusals.MOVE_CODES
    assert VECTORS["media_type"] == refusals.MEDIA_TYPE


def test_the_list_holds_the_servers_codes_about_licenses_and_devices_and_no_other() -> None:
    about = ("LICENSE_", "DEVICE_")
    published = {error.code for error in errors.RefusalError.__subclasses__() if error.code.startswith(about)}

    assert set(VECTORS["codes"]) == published


def test_the_servers_codes_about_seats_and_moves_are_on_the_lists() -> None:
    about = ("SEAT_", "NO_SEAT_", "NOT_FLOATING", "BORROW_", "MOVE_")
    published = {error.code for error in errors.RefusalError.__subclasses__() if error.code.startswith(about)}

    assert published <= {*VECTORS["seat_codes"], *VECTORS["move_codes"]}


def test_an_answer_is_a_refusal_or_no_answer(configuration: Configuration) -> None:
    for row in each(VECTORS["cases"], names=[case["name"] for case in VECTORS["cases"]]):
        with row as case:
            headers = {"Content-Type": case["content_type"]} if case["content_type"] else {}
            answer = httpx2.Response(case["status"], content=case["body"].encode(), headers=headers)

            assert outcome_of(configuration, answer) is (RefusedError if case["refused"] else UnansweredError)


def outcome_of(configuration: Configuration, answer: httpx2.Response) -> type[TransportError] | None:
    transport = DirectTransport(configuration, transport=httpx2.MockTransport(lambda _: answer))
    try:
        transport.request_license(DEVICE, "nonce")
    except TransportError as error:
        return type(error)
    return None
