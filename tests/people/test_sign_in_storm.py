"""Hundreds of sign-ins at once at a real server: few are taken, the rest is refused early, devices do not notice."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.processes import Server, licsrv, serving

pytestmark = [pytest.mark.soak, pytest.mark.timeout(90)]
MANY = 300
DEVICE = "3C:52:82:11:22:33|WD-WX11A1|BOARD-1|BFEBFBFF000906EA"
# One sign-in after the other took 34 s for so many. The bounds leave room for a machine that does other work, too.
LONGEST_STORM, LONGEST_REFUSAL, USUAL_PROBE, LONGEST_PROBE = 15.0, 5.0, 0.25, 2.0


@dataclass(frozen=True)
class Answer:
    """What came back, and after how many seconds."""

    status: int
    retry_after: str
    seconds: float


async def call(server: Server, method: str, path: str, *, body: object = None, **headers: str) -> Answer:
    """Send one request on a connection of its own; plain sockets, so that the measuring costs next to nothing."""
    host = server.address.removeprefix("http://")
    content = b"" if body is None else json.dumps(body).encode()
    lines = {"Host": host, "Connection": "close", "Content-Length": str(len(content))} | headers
    lines |= {"Content-Type": "application/json"} if content else {}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(head.encode() + content)
    raw = (await reader.read()).decode()
    writer.close()
    fields = dict(line.lower().split(": ", 1) for line in raw.partition("\r\n\r\n")[0].split("\r\n")[1:])
    return Answer(int(raw.split()[1]), fields.get("retry-after", ""), time.monotonic() - began)


async def sign_in(server: Server, name: str, password: str, address: str) -> Answer:
    body = {"name": name, "password": password, "code": ""}
    headers = {"Origin": server.address, "X-Forwarded-For": address}
    return await call(server, "POST", "/admin/api/session", body=body, **headers)


async def probe(server: Server, string: str, until: asyncio.Event) -> list[Answer]:
    """Check in, and look whether the server lives, in turn until the storm is over."""
    answers = []
    while not until.is_set():
        beat = {"device_info": DEVICE, "nonce": "n"}
        headers = {"Authorization": f"Bearer {string}"}
        answers.append(await call(server, "POST", "/v1/heartbeats", body=beat, **headers))
        answers.append(await call(server, "GET", "/healthz"))
        await asyncio.sleep(0.02)
    return answers


def furnished(folder: Path) -> str:
    """Make an installation with a person and a license; return the person's password."""
    licsrv(folder, "init")
    licsrv(folder, "licenses", "add", "PL-STORM")
    made = json.loads(licsrv(folder, "accounts", "add", "ann", "--role", "viewer", "--json"))
    password: str = made["password"]
    return password


async def test_a_storm_of_sign_ins_is_bounded_and_devices_do_not_notice(tmp_path: Path) -> None:
    password = furnished(tmp_path)
    with serving(tmp_path, TRUSTED_PROXIES="127.0.0.1") as server:
        asked = {"code": "PL-STORM", "device_info": DEVICE, "nonce": "n"}
        given = httpx2.post(f"{server.address}/v1/licenses/string", json=asked, trust_env=False)
        string = given.json()["license_string"]
        is_over = asyncio.Event()
        probing = asyncio.create_task(probe(server, string, is_over))

        began = time.monotonic()
        # A name and an address for each: no lock of either takes part.
        trying = (
            sign_in(server, f"name{n}", "a wrong password", f"198.51.{n // 250}.{n % 250 + 1}") for n in range(MANY)
        )
        storm = await asyncio.gather(*trying)
        lasted = time.monotonic() - began
        is_over.set()
        probes = await probing
        after = await sign_in(server, "ann", password, "203.0.113.1")

    counted = Counter(answer.status for answer in storm)
    refused = [answer for answer in storm if answer.status == 503]
    waits = sorted(answer.seconds for answer in probes)
    usual, longest = waits[len(waits) // 2], waits[-1]
    slowest = max((answer.seconds for answer in refused), default=0.0)
    print(
        f"\nstorm {lasted:.1f} s, {dict(counted)}, slowest refusal {slowest:.2f} s, "
        f"{len(probes)} probes: usual {usual * 1000:.0f} ms, longest {longest * 1000:.0f} ms"
    )
    assert set(counted) == {401, 503}, counted
    assert counted[503] > MANY / 2
    assert all(1 <= int(answer.retry_after) <= 60 for answer in refused)
    assert slowest < LONGEST_REFUSAL
    assert lasted < LONGEST_STORM
    assert {answer.status for answer in probes} == {200}
    assert (usual < USUAL_PROBE, longest < LONGEST_PROBE) == (True, True), waits
    assert after.status == 200
