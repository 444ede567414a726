"""The emulator as a process: command line, real sockets, graceful end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest

from licsrv.emulator.__main__ import main
from licsrv.emulator.aksk import SignedRequest, authorization
from licsrv.emulator.moments import sdk_date
from tests.emulator.conftest import ACTIVATE, BASE


@pytest.fixture(scope="module")
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "licsrv.emulator", "serve", "--port", "0", "--speed", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture(scope="module")
def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"control +(http://\S+)/control", line):
            return found[1]
    pytest.fail("the emulator printed no address")


def _activate(address: str, code: str) -> httpx2.Response:
    body = f'{{"license":"{code}"}}'.encode()
    headers = {
        "host": address.removeprefix("http://"),
        "content-type": "application/json",
        "x-sdk-date": sdk_date(datetime.now(UTC)),
    }
    signed = SignedRequest("POST", BASE + ACTIVATE, "", headers, body)
    headers["authorization"] = authorization("DEMOAK", "demo-secret-key", signed, headers)
    return httpx2.post(address + BASE + ACTIVATE, content=body, headers=headers, trust_env=False)


def test_the_process_serves_and_ends_gracefully(process: subprocess.Popen[str], address: str) -> None:
    with httpx2.Client(base_url=address, trust_env=False) as http:
        http.post("/control/codes", json={"code": "PL1"}).raise_for_status()
        http.post("/control/faults", json={"side": "open_api", "kind": "lose_answer", "value": "close", "times": 1})
        with pytest.raises(httpx2.RemoteProtocolError):
            _activate(address, "PL1")
        answer = _activate(address, "PL1")
        assert answer.json()["error_code"] == "92020003"
        assert len(answer.headers.get_list("date")) == 1

        late = {"side": "callbacks", "kind": "late_seconds", "value": 86_400}
        http.post("/control/faults", json=late).raise_for_status()
        http.post("/control/codes/PL1/freeze").raise_for_status()

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=10) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_an_address_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 1

    assert capsys.readouterr().err.startswith("The emulator cannot start: cannot listen on 127.0.0.1")


@pytest.mark.parametrize("options", [["--speed", "0"], ["--callback-url", "x"], ["--port", "70000"], ["--sk", ""]])
def test_options_that_make_no_sense_are_one_sentence(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *options]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["serve", "--help"])

    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"--{name}" in shown for name in ("host", "port", "callback-url", "access-key", "ak", "sk", "speed"))
