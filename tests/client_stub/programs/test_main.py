"""The CAD program in the terminal, against a fake server on a real socket."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from client_stub.__main__ import main, this_device
from client_stub.programs.terminal import Terminal
from client_stub.session import events
from client_stub.trust import devices
from tests.client_stub.fake_seats import FakeSeats
from tests.client_stub.fakes import FakeIscdesk, FakeServer, problem, serving
from tests.client_stub.signing import DEVICE, SigningKey, Vendor, dev_claim, license_claims, list_entry


@pytest.fixture
def live_server(vendor: Vendor) -> FakeServer:
    """A server that goes by the same clock as the program, which is this computer's."""
    return FakeServer(vendor, now=lambda: datetime.now(UTC))


def play(tmp_path: Path, *arguments: str, commands: list[str] | None = None) -> tuple[int, str]:
    output = io.StringIO()
    fixed = ["--code", "PL0001", "--device", DEVICE, "--store", str(tmp_path / "store.json")]
    code = main([*fixed, *arguments], output=output, commands=commands)
    return code, output.getvalue()


def test_one_round_with_a_good_license(live_server: FakeServer, tmp_path: Path) -> None:
    with serving(live_server) as url:
        code, output = play(tmp_path, "--server", url, "--trust-server-keys", "--once")

    assert code == 0, output
    assert "License for cad verified on this computer" in output
    assert "flange DN50" in output
    assert "Lease: ACTIVE, valid until 2" in output
    assert "ALLOWED (LICENSED)" in output
    assert "\x1b" not in output
    assert live_server.paths()[-1] == "/v1/heartbeats"


def test_a_floating_license_is_played_with_a_seat(live_server: FakeServer, tmp_path: Path) -> None:
    seats = FakeSeats(live_server.vendor, live_server.now, seats=1)
    live_server.license_changes = {"dev": dev_claim() | {"v": 2, "f": 1}, "ent": {"export": {"v": "3"}}}
    live_server.on_ask = lambda path, body: seats.answer(path.removeprefix("seats/"), body)
    with serving(live_server) as url:
        arguments = ["--server", url, "--trust-server-keys"]
        code, output = play(tmp_path, *arguments, commands=["b", "d"])
        other = play(tmp_path / "other", *arguments, commands=["r", "d"])
        seats.taken.clear()
        back = play(tmp_path / "back", *arguments, commands=["r", "d"])

    assert (code, other[0], back[0]) == (0, 1, 1)
    assert "Features: draw, export=3" in output
    assert "renewed in the background" in output
    assert "borrowed, good without network" in output
    assert "There is no seat for this program." in other[1]
    assert "The seat was given back." in back[1]
    assert "DENIED (NO_SEAT)" in back[1]


def test_keys_can_be_pinned_from_a_file(live_server: FakeServer, tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(live_server.vendor.jwks))

    with serving(live_server) as url:
        code, output = play(tmp_path, "--server", url, "--keys", str(keys), "--product", "cad", "--once")

    assert code == 0, output


def test_a_license_signed_by_a_stranger_is_not_accepted(live_server: FakeServer, tmp_path: Path) -> None:
    stranger = SigningKey("license").sign(license_claims(datetime.now(UTC)), "license+jwt")
    live_server.on_string = lambda _: httpx2.Response(200, json={"license_string": stranger})

    with serving(live_server) as url:
        code, output = play(tmp_path, "--server", url, "--trust-server-keys", "--once")

    assert code == 1
    assert "(UNKNOWN_KEY)" in output
    assert "flange" not in output


def test_a_refusal_is_explained_with_what_to_do(live_server: FakeServer, tmp_path: Path) -> None:
    live_server.on_string = lambda _: problem(
        409, "DEVICE_LIMIT_REACHED", action="Give a place back\x1b[2J first.", request_id="req-7"
    )

    with serving(live_server) as url:
        code, output = play(tmp_path, "--server", url, "--trust-server-keys", "--once")

    assert code == 1
    assert "Why: Detail of DEVICE_LIMIT_REACHED. (DEVICE_LIMIT_REACHED)" in output
    assert "What to do: Give a place back [2J first." in output
    assert "request req-7" in output


def test_a_license_revoked_meanwhile_stops_the_drawing(live_server: FakeServer, tmp_path: Path) -> None:
    live_server.lease_changes = {"status": "REVOKED", "reason": "The order was cancelled."}

    with serving(live_server) as url:
        code, output = play(tmp_path, "--server", url, "--trust-server-keys", commands=["d\n"])

    assert code == 1
    assert "DENIED (REVOKED): The order was cancelled." in output


def test_an_outage_after_the_first_start_is_survived(live_server: FakeServer, tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(live_server.vendor.jwks))
    with serving(live_server) as url:
        play(tmp_path, "--server", url, "--keys", str(keys), "--once")
        live_server.on_string = live_server.on_heartbeat = lambda _: httpx2.Response(502, text="bad gateway")

        code, output = play(tmp_path, "--server", url, "--keys", str(keys), "--once")

    assert code == 0, output
    assert "the license stored here is used" in output
    assert "The check-in did not succeed." in output
    assert "flange DN50" in output


def test_commands_are_obeyed_until_quit(live_server: FakeServer, tmp_path: Path) -> None:
    with serving(live_server) as url:
        code, output = play(
            tmp_path, "--server", url, "--trust-server-keys", commands=["d\n", "s\n", "c\n", "x\n", "q\n", "d\n"]
        )

    assert code == 0
    assert output.count("flange DN50") == 2
    assert output.count("Checking in") == 2
    assert output.count("Commands:") == 2
    assert output.rstrip().endswith("CAD closes.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--server", "http://license.example", "--trust-server-keys"], "server_url"),
        (["--server", "https://license.example", "--keys", "missing.json"], "missing.json cannot be read"),
        (["--server", "http://127.0.0.1:1", "--trust-server-keys"], "cannot be reached"),
    ],
)
def test_a_program_that_cannot_start_says_why(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    code, output = play(tmp_path, *arguments, "--once")

    assert code == 2
    assert sentence in output


@pytest.mark.parametrize("content", ["[]", "{}", "no json"])
def test_a_file_that_holds_no_keys_is_named(tmp_path: Path, content: str) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_text(content)

    code, output = play(tmp_path, "--server", "https://license.example", "--keys", str(keys), "--once")

    assert code == 2
    assert "key" in output


def test_keys_have_to_come_from_somewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        play(tmp_path, "--server", "https://license.example")

    assert caught.value.code == 2
    assert "--trust-server-keys" in capsys.readouterr().err


def test_colours_are_for_people() -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen, file = Screen(), io.StringIO()
    Terminal(screen).say("It works.", "good")
    Terminal(file).say("It works.", "good")

    assert screen.getvalue() == "\x1b[32mIt works.\x1b[0m\n"
    assert file.getvalue() == "It works.\n"


# -- files, versions and the cloud ---------------------------------------------------------------------------------


def test_a_license_file_is_asked_for_and_verified(live_server: FakeServer, tmp_path: Path) -> None:
    with serving(live_server) as url:
        code, output = play(
            tmp_path, "--server", url, "--trust-server-keys", "--file", "cad.lic", "--folder", str(tmp_path), "--once"
        )

    assert code == 0, output
    assert f"The license file is {tmp_path / 'cad.lic'}." in output
    assert "License for cad verified on this computer" in output
    assert "Lease: ACTIVE" in output


def test_a_file_name_that_cannot_be_is_named(live_server: FakeServer, tmp_path: Path) -> None:
    with serving(live_server) as url:
        code, output = play(tmp_path, "--server", url, "--trust-server-keys", "--file", "../x", "--once")

    assert code == 1
    assert "INVALID_ARGUMENT" in output


def test_every_call_of_the_sdk_can_be_tried(live_server: FakeServer, tmp_path: Path) -> None:
    live_server.offer_version()

    with serving(live_server) as url:
        code, output = play(
            tmp_path,
            "--server",
            url,
            "--trust-server-keys",
            "--product",
            "cad",
            commands=[f"{command}\n" for command in ("y", "u", "n", "y", "f", "o", "w", "g")],
        )

    assert code == 0, output
    assert "No new version was offered." in output
    assert "There is version 4.0.0: y to take it, n to leave it." in output
    assert "SHA-256 0000" in output
    assert "It is not installed." in output
    assert "It is installed after the program closes." in output
    assert "license.lic" in output
    for done in ("opened", "saved", "computed"):
        assert f"Nothing was {done} in the cloud." in output


def test_a_forced_version_is_taken(live_server: FakeServer, tmp_path: Path) -> None:
    live_server.offer_version(forced=True)

    with serving(live_server) as url:
        _, output = play(tmp_path, "--server", url, "--trust-server-keys", "--product", "cad", commands=["u", "n"])

    assert "it has to be installed; save your work" in output
    assert "The vendor leaves no choice" in output


def test_without_a_new_version_it_says_so(live_server: FakeServer, tmp_path: Path) -> None:
    with serving(live_server) as url:
        _, output = play(tmp_path, "--server", url, "--trust-server-keys", commands=["u"])

    assert "There is no new version to be had." in output


def test_a_revocation_list_stops_the_program(live_server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "list.jws"
    late = int(datetime.now(UTC).timestamp()) + 60
    path.write_text(live_server.vendor.revocation_list([list_entry("license:lic_1")], iat=late))

    with serving(live_server) as url:
        code, output = play(
            tmp_path, "--server", url, "--trust-server-keys", "--revocations", str(path), "--file", "--once"
        )

    assert code == 1
    assert "revoked" in output


def test_a_license_comes_through_iscdesk(live_server: FakeServer, tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(live_server.vendor.jwks))
    iscdesk = FakeIscdesk()
    iscdesk.on_apply = lambda _: iscdesk.happen(
        "EVENT_LICENSE_VERIFY", events.license_arrived(live_server.vendor.license_string(datetime.now(UTC)))
    )

    with serving(iscdesk) as url:
        code, output = play(tmp_path, "--iscdesk", url, "--instance", "RA0001", "--keys", str(keys), "--once")

    assert code == 0, output
    assert "License for cad verified on this computer" in output
    assert iscdesk.bodies("verdicts") == [{"result": True, "error": ""}]
    assert iscdesk.sessions == set()


def test_some_way_to_a_license_has_to_be_named(tmp_path: Path) -> None:
    code, output = play(tmp_path, "--keys", "jwks.json", "--once")

    assert code == 2
    assert "--iscdesk" in output


def test_this_computer_has_a_device_text() -> None:
    assert not devices.parse(this_device()).identifies_nothing
