"""Keeping the list up to date: from the server, from a file, from the last run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from client_stub.machine.revocation_store import RevocationStore
from client_stub.session.configuration import Configuration
from client_stub.session.revocation_watch import RevocationWatch
from client_stub.session.transport import DirectTransport
from client_stub.trust import errors
from client_stub.trust.claims import License, read_license
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.revocations import Outcome
from client_stub.trust.tokens import Token
from tests.client_stub.fakes import FakeClock, FakeServer, problem
from tests.client_stub.signing import NOW, Vendor, license_claims, list_entry

Start = Callable[[], RevocationWatch]
A, B, C = (list_entry(f"license:{name}") for name in "abc")


def called(name: str) -> list[License]:
    return [read_license(Token("kid", license_claims(sub=name)))]


@pytest.fixture
def store(tmp_path: Path) -> RevocationStore:
    return RevocationStore(tmp_path / "folder" / "license.revocations")


@pytest.fixture
def watch(store: RevocationStore, keys: PinnedKeys) -> Start:
    """Every call is a new run that shares nothing with the last but the store."""
    return lambda: RevocationWatch(store, keys, "https://license.example")


@pytest.fixture
def transport(configuration: Configuration, server: FakeServer, clock: FakeClock) -> DirectTransport:
    return DirectTransport(configuration, transport=httpx2.MockTransport(server.handle), clock=clock)


def answering(*texts: str) -> Callable[[httpx2.Request], httpx2.Response]:
    left = list(texts)
    return lambda _: httpx2.Response(200, text=left.pop(0), headers={"ETag": f'"{len(left)}"'})


def test_what_is_on_the_list_is_named_with_the_date_of_the_list(watch: Start, vendor: Vendor) -> None:
    started = watch()

    assert started.take(vendor.revocation_list([A])) is Outcome.APPLIED

    assert started.listed_at(called("a")) == NOW
    assert started.listed_at(called("b")) is None
    assert started.number == 1


def test_the_list_outlives_the_program(watch: Start, vendor: Vendor) -> None:
    first = watch()
    first.take(vendor.revocation_list([A], number=4))
    first.take(vendor.revocation_list([B], [A], number=6, since=4))

    second = watch()

    assert second.number == 6
    assert (second.listed_at(called("a")), second.listed_at(called("b"))) == (None, NOW)


def test_an_old_list_is_not_used_again_after_a_restart(
    watch: Start, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    watch().take(vendor.revocation_list([A], number=4))

    second = watch()

    assert second.take(vendor.revocation_list([], number=3)) is Outcome.OLDER
    assert second.listed_at(called("a")) is not None
    assert "older" in caplog.text


def test_a_whole_list_takes_the_place_of_many_changes(watch: Start, store: RevocationStore, vendor: Vendor) -> None:
    started = watch()
    started.take(vendor.revocation_list([A], number=1))
    started.take(vendor.revocation_list([B], number=2, since=1))
    assert len(store.load()) == 2

    assert started.take(vendor.revocation_list([A, B], number=2)) is Outcome.KNOWN

    assert len(store.load()) == 1
    assert watch().listed_at(called("b")) is not None


def edit_last_line(raw: bytes) -> bytes:
    return raw[:-20] + b"A" + raw[-19:]


@pytest.mark.parametrize(
    ("damage", "number"),
    [
        (lambda raw: b"", 0),
        (lambda raw: b"\xff" + raw, 0),
        (lambda raw: b"nonsense\n" + raw, 0),
        (edit_last_line, 1),
        (lambda raw: b"\n".join(reversed(raw.splitlines())) + b"\n", 0),
        (lambda raw: raw.splitlines()[0] + b"\n" + raw, 1),
    ],
)
def test_a_damaged_store_is_used_up_to_the_damage(
    watch: Start, store: RevocationStore, vendor: Vendor, damage: Callable[[bytes], bytes], number: int
) -> None:
    first = watch()
    first.take(vendor.revocation_list([A], number=1))
    first.take(vendor.revocation_list([B], number=2, since=1))
    store.path.write_bytes(damage(store.path.read_bytes()))

    assert watch().number == number


def test_a_store_that_cannot_be_written_is_survived(tmp_path: Path, keys: PinnedKeys, vendor: Vendor) -> None:
    (tmp_path / "file").write_text("in the way")
    watch = RevocationWatch(RevocationStore(tmp_path / "file" / "list"), keys)

    assert watch.take(vendor.revocation_list([A])) is Outcome.APPLIED
    assert watch.listed_at(called("a")) is not None


def test_a_list_that_is_not_believed_changes_nothing(watch: Start, vendor: Vendor) -> None:
    started = watch()
    started.take(vendor.revocation_list([A]))

    for text in ("", "a.b.c", Vendor().revocation_list([], number=9), vendor.revocation_list(iss="https://x.example")):
        with pytest.raises(errors.VerificationError):
            started.take(text)

    assert started.listed_at(called("a")) is not None


# -- from the server -----------------------------------------------------------------------------------------------


def test_first_all_is_fetched_then_what_has_changed(
    watch: Start, transport: DirectTransport, server: FakeServer, vendor: Vendor
) -> None:
    server.on_list = answering(
        vendor.revocation_list([A], number=3), vendor.revocation_list([B], [A], number=5, since=3)
    )
    started = watch()

    assert started.refresh(transport)
    assert started.refresh(transport)

    assert server.list_questions == ["", "since=3"]
    assert (started.listed_at(called("a")), started.listed_at(called("b"))) == (None, NOW)


def test_an_unchanged_list_is_not_sent_again(
    watch: Start, transport: DirectTransport, server: FakeServer, vendor: Vendor
) -> None:
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers.get("If-None-Match", ""))
        if seen[-1] == '"e3"':
            return httpx2.Response(304)
        text = vendor.revocation_list([A], number=3) if len(seen) == 1 else vendor.revocation_list(number=3, since=3)
        return httpx2.Response(200, text=text, headers={"ETag": '"e3"'})

    server.on_list = answer
    started = watch()

    assert all(started.refresh(transport) for _ in range(3))

    assert seen == ["", "", '"e3"']
    assert started.listed_at(called("a")) is not None


def test_a_change_that_does_not_fit_is_followed_by_the_whole_list(
    watch: Start, transport: DirectTransport, server: FakeServer, vendor: Vendor
) -> None:
    started = watch()
    started.take(vendor.revocation_list([A], number=3))
    server.on_list = answering(vendor.revocation_list([B], number=9, since=5), vendor.revocation_list([A, B], number=9))

    assert started.refresh(transport)

    assert server.list_questions == ["since=3", ""]
    assert started.number == 9


def test_after_many_changes_the_whole_list_is_fetched(
    watch: Start, transport: DirectTransport, server: FakeServer, vendor: Vendor
) -> None:
    started = watch()
    started.take(vendor.revocation_list([], number=1))
    for number in range(1, 40):
        started.take(vendor.revocation_list([list_entry(str(number))], number=number + 1, since=number))
    server.on_list = answering(vendor.revocation_list([A], number=41))

    started.refresh(transport)

    assert server.list_questions == [""]
    assert started.listed_at(called("a")) is not None


@pytest.mark.parametrize(
    "answer",
    [
        problem(422, "INVALID_REQUEST"),
        problem(503, "SERVICE_UNAVAILABLE"),
        httpx2.Response(200, text="<html>"),
        httpx2.Response(200, text=""),
        httpx2.Response(304),
        httpx2.Response(302, headers={"Location": "https://portal.example"}),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.content[:10]!r}",
)
def test_without_a_good_answer_the_old_list_holds(
    watch: Start, transport: DirectTransport, server: FakeServer, vendor: Vendor, answer: httpx2.Response
) -> None:
    started = watch()
    started.take(vendor.revocation_list([A], number=3))
    server.on_list = lambda _: answer

    assert not started.refresh(transport)

    assert started.listed_at(called("a")) is not None


def test_the_server_is_asked_once_an_hour(
    watch: Start, transport: DirectTransport, server: FakeServer, vendor: Vendor
) -> None:
    server.on_list = lambda _: httpx2.Response(200, text=vendor.revocation_list([A], number=3))
    started = watch()

    for moment in (0.0, 3599.9, 3600.0, 3601.0):
        started.refresh_when_due(transport, moment)

    assert len(server.list_questions) == 2


# -- carried -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_list_can_be_carried_to_a_computer(watch: Start, vendor: Vendor, tmp_path: Path, ending: bytes) -> None:
    path = tmp_path / "revocations.jws"
    path.write_bytes(vendor.revocation_list([A]).encode() + ending)
    started = watch()

    assert started.take_carried(path) is None
    assert started.listed_at(called("a")) is not None


def test_a_carried_list_that_is_of_no_use_is_a_problem(watch: Start, tmp_path: Path) -> None:
    path = tmp_path / "revocations.jws"
    path.write_text("hello")

    for place, code in ((path, "MALFORMED"), (tmp_path / "missing", "NOT_AVAILABLE"), (tmp_path, "NOT_AVAILABLE")):
        found = watch().take_carried(place)
        assert found is not None
        assert found.code == code


def test_a_carried_list_that_cannot_be_used_here_says_so(watch: Start, vendor: Vendor, tmp_path: Path) -> None:
    started = watch()
    started.take(vendor.revocation_list([A], number=5))
    offered = {
        "ROLLED_BACK": vendor.revocation_list([], number=4),
        "NEEDS_FULL": vendor.revocation_list([], number=9, since=7),
        "": vendor.revocation_list([], number=6, since=5),
    }

    for code, text in offered.items():
        (tmp_path / "list.jws").write_text(text)
        found = started.take_carried(tmp_path / "list.jws")
        assert (found.code if found else "") == code

    assert (started.number, started.listed_at(called("a")) is not None) == (6, True)
