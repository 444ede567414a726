"""The emulator as a process: command line, real sockets, graceful end."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx2
import pytest

from licsrv.emulator.__main__ import main
from licsrv.emulator.aksk import SignedRequest, authorization
from licsrv.emulator.moments import sdk_date
from tests.emulator.conftest import ACTIVATE
from tests.emulator.open_api_client import BASE


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


class _Merchant(BaseHTTPRequestHandler):
    """A merchant's server that says yes to everything."""

    def do_POST(self) -> None:
        members = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = json.dumps({"resultCode": "000000", "instanceId": members.get("businessId")}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def merchant_url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Merchant) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def _upload_file(address: str, event_id: str, content: bytes) -> httpx2.Response:
    """Upload through a real client's own multipart writer, signed over what it wrote."""
    path = f"{BASE}/v1/market-event/{event_id}/file"
    fields = {"type": "FILE", "file_name": "license.lic", "sha256": hashlib.sha256(content).hexdigest()}
    parts = {"file": ("111.jpg", content), "isvUpdateFileReq": (None, json.dumps(fields), "application/json")}
    request = httpx2.Request("POST", address + path, files=parts)
    headers = {
        "host": address.removeprefix("http://"),
        "content-type": request.headers["content-type"],
        "x-sdk-date": sdk_date(datetime.now(UTC)),
    }
    signed = SignedRequest("POST", path, "", headers, request.read())
    headers["authorization"] = authorization("DEMOAK", "demo-secret-key", signed, headers)
    return httpx2.post(address + path, content=request.read(), headers=headers, trust_env=False)


def test_a_license_file_goes_the_whole_way_over_real_sockets(merchant_url: str) -> None:
    command = [sys.executable, "-m", "licsrv.emulator", "serve", "--port", "0", "--callback-url", merchant_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = next(
            found[1] for line in process.stdout if (found := re.search(r"control +(http://\S+)/control", line))
        )
        with httpx2.Client(base_url=address, trust_env=False) as http:
            bought = http.post("/control/online/orders", json={"linear_value": 5}).json()["instance"]["order_id"]
            http.post("/control/callbacks/settle").raise_for_status()
            instance = http.get(f"/control/online/instances/{bought}").json()["instance_id"]
            session = {"instance_id": instance, "application": "cad", "version": "1"}
            path = "/iscdesk/sessions/" + http.post("/iscdesk/sessions", json=session).json()["session"]
            wish = {"kind": "file", "device_info": "A|B|C|D", "file_name": "x.lic"}
            event_id = http.post(f"{path}/licenses", json=wish).json()["event_id"]

            assert _upload_file(address, event_id, b"\x00license\xff").json()["error_code"] == "CBC.0000"

            (event,) = http.get(f"{path}/events?after=0&wait=20").json()["events"]
            assert event["file"] == {"name": "x.lic", "content": "AGxpY2Vuc2X/"}
        process.terminate()

    assert process.returncode == 0


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
