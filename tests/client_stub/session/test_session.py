"""One license of one running program, against a server that answers as licsrv does. ``start`` begins a new run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest

from client_stub.machine.store import LicenseStore
from client_stub.session import problems
from client_stub.session.configuration import Configuration
from client_stub.session.problems import Problem
from client_stub.session.session import LicenseSession
from client_stub.session.transport import DirectTransport
from client_stub.trust.claims import LeaseStatus, License
from client_stub.trust.verdict import NO_LICENSE, Permission, Reason
from tests.client_stub.fakes import FakeClock, FakeServer, problem
from tests.client_stub.signing import DEVICE, NOW, OTHER_DEVICE, SigningKey, license_claims, unix

Start = Callable[[], LicenseSession]
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_before_anything_there_is_no_license(start: Start) -> None:
    session = start()

    assert session.verdict() == NO_LICENSE
    assert (session.license_string, session.lease, session.heartbeat_sent_at) == ("", None, None)
    assert session.check_in().problem is not None


def test_a_license_is_obtained_verified_and_used(start: Start, server: FakeServer) -> None:
    session = start()

    obtained = session.obtain(DEVICE)

    assert isinstance(obtained, License)
    assert session.license_string == server.vendor.license_string()
    assert session.verdict().permission is Permission.ALLOWED
    assert server.paths() == ["/v1/licenses/string"]
    assert session.last_problem is None


def test_an_empty_device_text_means_four_empty_parts(start: Start, server: FakeServer) -> None:
    server.license_changes = {"dev": {"v": 1, "s": "AAECAwQFBgcICQoL"}}

    assert isinstance(start().obtain(""), License)
    assert server.requests[0][1]["device_info"] == "|||"


def test_a_device_text_that_is_none_is_not_sent(start: Start, server: FakeServer) -> None:
    outcome = start().obtain("no device")

    assert isinstance(outcome, Problem)
    assert outcome.code == "INVALID_DEVICE_INFO"
    assert server.requests == []


def test_a_check_in_brings_a_lease(start: Start, clock: FakeClock) -> None:
    session = start()
    session.obtain(DEVICE)

    check_in = session.check_in()

    assert check_in.lease == session.lease
    assert check_in.lease is not None
    assert check_in.lease.status is LeaseStatus.ACTIVE
    assert session.verdict().until == clock.now() + timedelta(days=7)
    assert session.heartbeat_sent_at == NOW


def test_every_request_has_a_nonce_of_its_own(start: Start, server: FakeServer) -> None:
    session = start()
    session.obtain(DEVICE)
    for _ in range(5):
        session.check_in()

    nonces = [str(body["nonce"]) for _, body, _ in server.requests]

    assert len(set(nonces)) == 6
    assert all(16 <= len(nonce) <= 64 for nonce in nonces)


# -- answers that are not believed ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"nonce": "an old nonce"}, "NONCE_MISMATCH"),
        ({"jti": "ls_9"}, "FOREIGN_LEASE"),
        ({"status": "SPLENDID"}, "BAD_CLAIMS"),
    ],
)
def test_a_lease_that_does_not_prove_itself_changes_nothing(
    start: Start, server: FakeServer, changes: dict[str, object], code: str
) -> None:
    session = start()
    session.obtain(DEVICE)
    session.check_in()
    before = session.lease
    server.lease_changes = changes

    check_in = session.check_in()

    assert check_in.lease is None
    assert check_in.problem is not None
    assert check_in.problem.code == code
    assert session.lease == before
    assert session.verdict().is_allowed


def test_a_replayed_lease_is_not_believed(start: Start, server: FakeServer) -> None:
    answers: list[httpx2.Response] = []
    session = start()
    session.obtain(DEVICE)

    def record(body: dict[str, object]) -> httpx2.Response:
        lease = server.vendor.lease(nonce=body["nonce"])
        answers.append(httpx2.Response(200, json={"lease": lease}))
        return answers[0]

    server.on_heartbeat = record

    assert session.check_in().lease is not None
    assert session.check_in().lease is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"product": "cam"}, "WRONG_PRODUCT"),
        ({"iss": "https://other.example"}, "WRONG_ISSUER"),
        ({"dev": {"v": 1, "s": "AAECAwQFBgcICQoL", "c": "AAAAAAAA"}}, "DEVICE_MISMATCH"),
        ({"n": None}, "BAD_CLAIMS"),
    ],
)
def test_a_license_that_does_not_fit_is_not_used(
    start: Start, server: FakeServer, changes: dict[str, object], code: str
) -> None:
    server.license_changes = changes
    session = start()

    outcome = session.obtain(DEVICE)

    assert isinstance(outcome, Problem)
    assert outcome.code == code
    assert (session.verdict().reason, session.verdict().cause) in (
        (Reason.INVALID_LICENSE, code),
        (Reason.DEVICE_MISMATCH, code),
    )
    assert session.verdict().sentence == outcome.sentence
    assert session.last_problem == outcome


def test_a_stored_license_outlives_a_server_with_strange_keys(start: Start, server: FakeServer) -> None:
    start().obtain(DEVICE)
    stranger = SigningKey("license").sign(license_claims(), "license+jwt")
    server.on_string = lambda _: httpx2.Response(200, json={"license_string": stranger})
    session = start()

    assert isinstance(session.obtain(DEVICE), License)
    assert session.last_problem is not None
    assert session.last_problem.code == "UNKNOWN_KEY"


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (403, "LICENSE_EXPIRED", Reason.EXPIRED),
        (403, "LICENSE_FROZEN", Reason.FROZEN),
        (403, "LICENSE_REVOKED", Reason.REVOKED),
        (403, "LICENSE_RELEASED", Reason.RELEASED),
        (409, "DEVICE_MISMATCH", Reason.DEVICE_MISMATCH),
        (409, "DEVICE_LIMIT_REACHED", Reason.REFUSED),
        (404, "LICENSE_NOT_FOUND", Reason.REFUSED),
        (409, "LICENSE_NOT_RECEIVED", Reason.REFUSED),
    ],
)
def test_a_refusal_is_explained(start: Start, server: FakeServer, status: int, code: str, reason: Reason) -> None:
    server.on_string = lambda _: problem(status, code, action="Do this.")
    session = start()

    outcome = session.obtain(DEVICE)

    assert isinstance(outcome, Problem)
    assert (outcome.code, outcome.action) == (code, "Do this.")
    assert (session.verdict().reason, session.verdict().action) == (reason, "Do this.")


def test_a_refusal_takes_the_stored_license_out_of_use(start: Start, server: FakeServer) -> None:
    start().obtain(DEVICE)
    server.on_string = lambda _: problem(403, "LICENSE_REVOKED")
    session = start()

    assert isinstance(session.obtain(DEVICE), Problem)
    assert session.verdict().reason is Reason.REVOKED


def test_the_signed_word_of_a_refusal_also_holds_without_network(start: Start, server: FakeServer) -> None:
    start().obtain(DEVICE)
    server.on_string = lambda _: problem(403, "LICENSE_REVOKED")
    server.lease_changes = {"status": "REVOKED", "reason": "The order was cancelled."}
    start().obtain(DEVICE)
    server.is_down = True

    session = start()
    outcome = session.obtain(DEVICE)

    assert isinstance(outcome, Problem)
    assert (outcome.code, outcome.sentence) == ("REVOKED", "The order was cancelled.")
    assert session.verdict().reason is Reason.REVOKED


def test_a_license_refused_by_mistake_is_used_again_when_the_server_hands_it_out(
    start: Start, server: FakeServer
) -> None:
    session = start()
    server.on_string = lambda _: problem(404, "LICENSE_NOT_FOUND")
    session.obtain(DEVICE)
    server.on_string = None

    assert isinstance(session.obtain(DEVICE), License)
    assert session.verdict().is_allowed


def test_a_program_that_rejects_the_license_stops_using_it(start: Start, server: FakeServer) -> None:
    session = start()
    session.obtain(DEVICE)

    session.reject("The dongle is missing.")

    assert session.verdict().reason is Reason.REJECTED_BY_PROGRAM
    assert session.verdict().sentence == "The dongle is missing."
    assert session.check_in().lease is None
    assert server.paths() == ["/v1/licenses/string"]


def test_an_answer_that_comes_after_the_rejection_is_dropped(start: Start, server: FakeServer) -> None:
    session = start()
    session.obtain(DEVICE)

    def reject_meanwhile(body: dict[str, object]) -> httpx2.Response:
        session.reject("Too late.")
        return httpx2.Response(200, json={"lease": server.vendor.lease(nonce=body["nonce"])})

    server.on_heartbeat = reject_meanwhile

    assert session.check_in().lease is None
    assert session.verdict().reason is Reason.REJECTED_BY_PROGRAM


def test_an_answer_that_comes_after_the_license_was_exchanged_is_dropped(start: Start, server: FakeServer) -> None:
    session = start()
    session.obtain(DEVICE)
    server.license_changes = {"jti": "ls_2"}

    def exchange_meanwhile(body: dict[str, object]) -> httpx2.Response:
        session.obtain(DEVICE)
        return httpx2.Response(200, json={"lease": server.vendor.lease(nonce=body["nonce"], status="REVOKED")})

    server.on_heartbeat = exchange_meanwhile

    assert session.check_in().lease is None
    assert session.lease is None
    assert session.verdict().is_allowed


def test_an_answer_that_is_overtaken_by_a_later_one_does_not_lift_it(start: Start, server: FakeServer) -> None:
    session = start()
    session.obtain(DEVICE)

    def held_back(body: dict[str, object]) -> httpx2.Response:
        good = server.vendor.lease(nonce=body["nonce"])
        server.on_heartbeat, server.lease_changes = None, {"status": "REVOKED", "reason": "Not paid."}
        assert session.check_in().lease is not None
        return httpx2.Response(200, json={"lease": good})

    server.on_heartbeat = held_back

    late = session.check_in()

    assert late.problem is not None
    assert session.verdict().reason is Reason.REVOKED
    assert session.verdict().sentence == "Not paid."


# -- outages -------------------------------------------------------------------------------------------------------


def test_without_server_and_store_there_is_a_problem(start: Start, server: FakeServer) -> None:
    server.is_down = True
    session = start()

    outcome = session.obtain(DEVICE)

    assert isinstance(outcome, Problem)
    assert outcome.code == problems.SERVER_UNREACHABLE
    assert session.verdict() == NO_LICENSE


@pytest.mark.parametrize(
    "answer",
    [problem(503, "MARKETPLACE_UNAVAILABLE"), problem(429, "TOO_MANY_REQUESTS"), httpx2.Response(403, text="portal")],
    ids=["503", "429", "captive portal"],
)
def test_a_server_that_does_not_answer_is_not_noticed_inside_the_grace(
    start: Start, server: FakeServer, clock: FakeClock, answer: httpx2.Response
) -> None:
    first = start()
    first.obtain(DEVICE)
    first.check_in()
    server.on_string = server.on_heartbeat = lambda _: answer
    clock.pass_time(3 * DAY)

    session = start()

    assert isinstance(session.obtain(DEVICE), License)
    assert session.verdict().permission is Permission.ALLOWED_OFFLINE
    assert session.verdict().until == NOW + 7 * DAY
    assert session.check_in().problem is not None
    assert session.verdict().is_allowed


def test_after_the_grace_the_program_asks_for_the_network(start: Start, server: FakeServer, clock: FakeClock) -> None:
    first = start()
    first.obtain(DEVICE)
    first.check_in()
    server.is_down = True
    clock.pass_time(7 * DAY + HOUR)

    outcome = start().obtain(DEVICE)

    assert isinstance(outcome, Problem)
    assert outcome.code == "LEASE_ENDED"


def test_when_the_server_is_back_the_grace_begins_anew(start: Start, server: FakeServer, clock: FakeClock) -> None:
    session = start()
    session.obtain(DEVICE)
    clock.pass_time(8 * DAY)
    assert session.verdict().reason is Reason.LEASE_ENDED

    session.check_in()

    assert session.verdict().until == clock.now() + 7 * DAY


def test_the_retry_after_of_a_heartbeat_is_passed_on(start: Start, server: FakeServer) -> None:
    session = start()
    session.obtain(DEVICE)
    server.on_heartbeat = lambda _: problem(503, "SERVICE_UNAVAILABLE")

    assert session.check_in().retry_after == timedelta(seconds=90)


def test_a_store_that_cannot_be_written_does_not_stop_the_program(
    configuration: Configuration, server: FakeServer, clock: FakeClock
) -> None:
    assert configuration.store_path is not None
    configuration.store_path.parent.parent.joinpath("store").write_text("in the way")
    transport = DirectTransport(configuration, transport=httpx2.MockTransport(server.handle), clock=clock)
    session = LicenseSession(
        configuration, transport=transport, store=LicenseStore(configuration.stored_at), clock=clock
    )

    assert isinstance(session.obtain(DEVICE), License)
    assert session.check_in().lease is not None
    session.close()


def test_a_copied_store_is_of_no_use_on_another_machine(start: Start, server: FakeServer) -> None:
    start().obtain(DEVICE)
    server.is_down = True

    session = start()

    assert isinstance(session.obtain(OTHER_DEVICE), Problem)
    assert session.verdict() == NO_LICENSE


def test_a_stored_license_whose_key_was_unpinned_is_not_used(
    start: Start, configuration: Configuration, server: FakeServer, clock: FakeClock
) -> None:
    start().obtain(DEVICE)
    server.is_down = True
    other_product = replace(configuration, product="cam")
    transport = DirectTransport(other_product, transport=httpx2.MockTransport(server.handle), clock=clock)
    session = LicenseSession(
        other_product, transport=transport, store=LicenseStore(configuration.stored_at), clock=clock
    )

    assert isinstance(session.obtain(DEVICE), Problem)
    assert session.verdict().reason is Reason.INVALID_LICENSE


# -- clocks --------------------------------------------------------------------------------------------------------


@pytest.fixture
def true_time(server: FakeServer) -> FakeClock:
    """A server clock of its own, so the client's may be wrong."""
    true_clock = FakeClock()
    server.now = true_clock.now
    return true_clock


@pytest.mark.parametrize("offset", [-400 * DAY, -DAY, DAY, 20 * DAY, 400 * DAY], ids=str)
def test_a_wrong_clock_does_not_matter_while_the_server_tells_the_time(
    start: Start, clock: FakeClock, true_time: FakeClock, offset: timedelta
) -> None:
    clock.set_by_hand(NOW + offset)
    session = start()

    assert isinstance(session.obtain(DEVICE), License)
    session.check_in()

    assert session.now() == true_time.now()
    assert session.verdict().permission is Permission.ALLOWED


def test_a_clock_set_back_is_noticed_without_network(start: Start, server: FakeServer, clock: FakeClock) -> None:
    first = start()
    first.obtain(DEVICE)
    first.check_in()
    clock.pass_time(6 * DAY)
    first.verdict()
    first.close()
    server.is_down = True
    clock.set_by_hand(NOW + DAY)

    session = start()
    outcome = session.obtain(DEVICE)

    assert isinstance(outcome, Problem)
    assert outcome.code == "CLOCK_SET_BACK"
    assert session.verdict().reason is Reason.CLOCK_SET_BACK


def test_a_clock_set_back_while_the_program_runs_gains_nothing(
    start: Start, server: FakeServer, clock: FakeClock
) -> None:
    session = start()
    session.obtain(DEVICE)
    session.check_in()
    server.is_down = True
    clock.pass_time(7 * DAY + HOUR)
    clock.set_by_hand(NOW)

    assert session.verdict().reason is Reason.LEASE_ENDED


def test_a_clock_that_once_ran_ahead_is_forgiven_when_the_server_tells_the_time(
    start: Start, clock: FakeClock, true_time: FakeClock
) -> None:
    first = start()
    first.obtain(DEVICE)
    clock.set_by_hand(NOW + 300 * DAY)
    first.verdict()
    first.close()
    clock.set_by_hand(NOW)

    session = start()

    assert isinstance(session.obtain(DEVICE), License)
    assert session.verdict().permission is Permission.ALLOWED
    assert isinstance(start().obtain(DEVICE), License)


def test_the_time_seen_is_saved_now_and_then_and_at_the_end(
    start: Start, configuration: Configuration, clock: FakeClock
) -> None:
    def saved() -> int:
        return int(json.loads(configuration.stored_at.read_text())["record"]["highest_seen_at"])

    session = start()
    session.obtain(DEVICE)
    clock.pass_time(timedelta(seconds=599))
    session.verdict()
    assert saved() == unix(NOW)
    clock.pass_time(timedelta(seconds=1))
    session.verdict()
    assert saved() == unix(clock.now())
    clock.pass_time(timedelta(seconds=30))
    session.verdict()
    session.close()
    assert saved() == unix(clock.now())


# -- strings that age ----------------------------------------------------------------------------------------------


def test_a_string_is_exchanged_at_refresh_after(start: Start, server: FakeServer, clock: FakeClock) -> None:
    server.refresh_after = (NOW + DAY).isoformat()
    server.license_changes = {"prov": True}
    session = start()
    session.obtain(DEVICE)
    session.keep_up()
    server.license_changes = {"jti": "ls_2"}
    server.lease_changes = {"jti": "ls_2"}
    server.refresh_after = None
    clock.pass_time(DAY)

    check_in = session.keep_up()

    assert check_in.lease is not None
    assert check_in.lease.string_id == "ls_2"
    assert server.paths() == ["/v1/licenses/string", "/v1/heartbeats"] * 2


def test_a_string_is_exchanged_at_once_when_a_lease_has_moved_its_end(start: Start, server: FakeServer) -> None:
    session = start()
    session.obtain(DEVICE)
    server.lease_changes = {"license_exp": unix(NOW + 700 * DAY)}
    server.license_changes = {"exp": unix(NOW + 700 * DAY)}

    session.keep_up()
    session.keep_up()

    assert server.paths().count("/v1/licenses/string") == 2
    assert session.license is not None
    assert session.license.expires_at == NOW + 700 * DAY


def test_after_such_an_exchange_there_is_a_lease_of_the_new_string(start: Start, server: FakeServer) -> None:
    session = start()
    session.obtain(DEVICE)
    server.license_changes = {"exp": unix(NOW + 700 * DAY), "jti": "ls_2"}
    answers = iter(("ls_1", "ls_2"))

    def lease(body: dict[str, object]) -> httpx2.Response:
        claims = {"nonce": body["nonce"], "jti": next(answers), "license_exp": unix(NOW + 700 * DAY)}
        return httpx2.Response(200, json={"lease": server.vendor.lease(server.now(), **claims)})

    server.on_heartbeat = lease

    check_in = session.keep_up()

    assert session.lease is not None
    assert check_in.lease == session.lease
    assert session.lease.string_id == "ls_2"


def test_a_lease_of_a_stolen_key_is_worth_one_grace(start: Start, server: FakeServer, clock: FakeClock) -> None:
    """Who holds the lease key answers check-ins; strings and lists stay those of the vendor."""
    server.license_changes = {"exp": unix(NOW + DAY)}
    session = start()
    session.obtain(DEVICE)
    server.on_string = lambda _: problem(503, "SERVICE_UNAVAILABLE")
    server.lease_changes = {"license_exp": unix(NOW + 5000 * DAY), "exp": unix(NOW + 5000 * DAY)}
    session.keep_up()

    clock.pass_time(8 * DAY)
    assert session.keep_up().lease is not None
    assert session.verdict().is_allowed
    clock.pass_time(timedelta(minutes=5))
    assert session.keep_up().lease is not None

    assert session.verdict().reason is Reason.EXPIRED


@pytest.mark.parametrize(
    "answer",
    [problem(503, "SERVICE_UNAVAILABLE"), problem(403, "LICENSE_FROZEN"), httpx2.Response(200, json={})],
    ids=["503", "403", "nonsense"],
)
def test_a_string_that_cannot_be_exchanged_is_used_on(
    start: Start, server: FakeServer, clock: FakeClock, answer: httpx2.Response
) -> None:
    server.refresh_after = NOW.isoformat()
    session = start()
    session.obtain(DEVICE)
    server.on_string = lambda _: answer

    assert session.keep_up().lease is not None
    assert session.verdict().is_allowed


def test_an_exchanged_string_that_is_not_believed_is_not_used(start: Start, server: FakeServer) -> None:
    server.refresh_after = NOW.isoformat()
    session = start()
    session.obtain(DEVICE)
    good = session.license_string
    server.license_changes = {"product": "cam"}

    session.keep_up()

    assert session.license_string == good


def test_asking_again_for_the_same_string_keeps_its_lease(start: Start) -> None:
    first = start()
    first.obtain(DEVICE)
    first.check_in()

    session = start()
    session.obtain(DEVICE)

    assert session.lease == first.lease
