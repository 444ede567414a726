"""The stage: a temporary folder, two server processes on free loopback ports, the command line, and one clock for all.

Whatever happens, the processes are ended and the folder is removed: use it as a context manager.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from client_stub import PinnedKeys
from demo.commands import Commands
from demo.expectations import UnexpectedError, wait_for
from demo.marketplace import Marketplace
from demo.workstation import StoryClock, Surroundings, Workstation

LOOPBACK = "127.0.0.1"
AK, SK, ACCESS_KEY = "DEMOAK", "demo-secret-key", "demo-callback-access-key"
_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_TRIES = 3


class Stage:
    """Server, marketplace and desktops, from nothing."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="licsrv-demo-"))
        self.clock = StoryClock()
        self._commands = Commands(_ROOT, self.folder)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._workstations: list[Workstation] = []
        self._ports = {"server": 0, "marketplace": 0}
        self._http = httpx2.Client(trust_env=False, timeout=10)
        self._marketplace: Marketplace | None = None

    def __enter__(self) -> Stage:
        """Return the stage; nothing runs yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything that was started, and remove the folder."""
        for workstation in self._workstations:
            workstation.close()
        self._commands.close()
        self._end_all()
        if self._marketplace is not None:
            self._marketplace.close()
        self._http.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def marketplace(self) -> Marketplace:
        """The emulator, once the stage is set up."""
        if self._marketplace is None:
            raise AssertionError  # set_up comes first
        return self._marketplace

    @property
    def server_url(self) -> str:
        """Where the server is."""
        return f"http://{LOOPBACK}:{self._ports['server']}"

    @property
    def marketplace_url(self) -> str:
        """Where the marketplace is."""
        return f"http://{LOOPBACK}:{self._ports['marketplace']}"

    def set_up(self) -> str:
        """Make keys and database, start both processes, and return what the commands said."""
        said = ""
        self._commands.warm_up()
        for _ in range(_TRIES):  # another process may take a port between looking and listening
            self._ports = {name: free_port() for name in self._ports}
            self._launch_marketplace()
            said = said or self.command("init") + self.command("keys", "new", "license", "--algorithm", "ML-DSA-65")
            self._launch_server()
            if self._is_marketplace_up() and self._is_server_up():
                self._marketplace = Marketplace(self.marketplace_url)
                self.set_clocks(story_begins_at())
                return said
            self._end_all()
        raise UnexpectedError("No free ports were found.")

    def start_server_again(self) -> bool:
        """Start the server on its port and wait until it is ready; False when the port was taken meanwhile.

        It begins with this computer's time and delivers at once, so the marketplace goes by that time until the story's
        clock can be given to both: signed with another day's time its calls would be refused.
        """
        self.marketplace.move_clock(datetime.now(UTC))
        self._launch_server()
        is_up = self._is_server_up()
        self.set_clocks(self.clock.now())
        return is_up

    def kill_server(self) -> None:
        """Kill the server as ``kill -9`` does: it gets no chance to finish anything."""
        process = self._processes.pop("server")
        process.kill()
        process.wait()

    def readiness(self) -> dict[str, Any]:
        """Return what ``/readyz`` says."""
        answer: dict[str, Any] = self._http.get(f"{self.server_url}/readyz").json()
        return answer

    def metric(self, name: str) -> float:
        """Return the value of a metric without labels."""
        text = self._http.get(f"{self.server_url}/metrics").text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        if found is None:
            raise UnexpectedError(f"There is no metric {name}.")
        return float(found[1])

    def workstation(self, name: str, device_info: str, code: str, *, with_iscdesk: bool = False) -> Workstation:
        """Set up a desktop with the program and the vendor's public keys on it."""
        iscdesk_url = self.marketplace_url if with_iscdesk else ""
        keys = PinnedKeys.from_jwks(json.loads(self.public_keys()))
        around = Surroundings(self.server_url, keys=keys, folder=self.folder, clock=self.clock, iscdesk_url=iscdesk_url)
        workstation = Workstation(name, device_info, code, around=around)
        self._workstations.append(workstation)
        return workstation

    def public_keys(self) -> str:
        """Return the server's public keys as it publishes them."""
        return self._http.get(f"{self.server_url}/.well-known/jwks.json").text

    def wait_for_empty_outbox(self) -> None:
        """Wait until nothing waits to be delivered to the marketplace."""
        wait_for(lambda: self.metric("licsrv_outbox_waiting"), lambda seen: seen == 0, "an empty outbox")

    def verify_offline(self, file: Path, device_info: str, *options: str) -> tuple[bool, dict[str, Any]]:
        """Verify a license file in a process of its own that knows public keys and nothing else.

        Returns:
            Whether it is believed, and what was said.
        """
        keys = self.folder / "public-keys.json"
        keys.write_text(self.public_keys(), encoding="utf-8")
        words = [str(file), "--keys", str(keys), "--device", device_info, "--at", self.clock.now().isoformat()]
        done = self._commands.run("client_stub", ["verify", *words, *options, "--json"], {})
        if done.code not in {0, 1}:
            raise UnexpectedError(f"The license file was not looked at: {done.last_words}")
        return done.code == 0, json.loads(done.output)

    def pass_time(self, span: timedelta) -> None:
        """Let time pass for the server, the marketplace and every desktop alike."""
        self.set_clocks(self.clock.now() + span)

    def set_clocks(self, moment: datetime) -> None:
        """Let all clocks go on from a moment."""
        self.clock.move_to(moment)
        self.marketplace.move_clock(moment)
        self.set_server_clock()

    def set_server_clock(self) -> None:
        """Give the server the story's time, as after a start."""
        response = self._http.post(f"{self.server_url}/v1/test/clock", json={"now": self.clock.now().isoformat()})
        if response.status_code != 200:
            raise UnexpectedError(f"The server's clock did not move: {response.text[:200]}")

    def command(self, *words: str) -> str:
        """Run ``licsrv`` with these words and return what it printed.

        Raises:
            UnexpectedError: It failed.
        """
        done = self._commands.run("licsrv", words, self._environment())
        if done.code != 0:
            raise UnexpectedError(f"`licsrv {' '.join(words)}` failed: {done.last_words}")
        return done.output

    def command_json(self, *words: str) -> Any:
        """Run ``licsrv`` with ``--json`` and return the document it printed."""
        return json.loads(self.command(*words, "--json"))

    def last_words(self, most: int = 5) -> Sequence[str]:
        """Return the last warnings and errors of the server, for the person who looks for the fault."""
        log = self.folder / "server.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        return [line[:300] for line in lines if '"level": "info"' not in line][-most:]

    def _launch_server(self) -> None:
        self._launch("server", ["-m", "licsrv", "serve", "--port", str(self._ports["server"])])

    def _is_server_up(self) -> bool:
        return self._wait_until_up("server", f"{self.server_url}/readyz")

    def _launch_marketplace(self) -> None:
        port, callback = str(self._ports["marketplace"]), f"{self.server_url}/marketplace/callback"
        words = ["serve", "--port", port, "--callback-url", callback, "--quiet"]
        keys = ["--access-key", ACCESS_KEY, "--ak", AK, "--sk", SK]
        self._launch("marketplace", ["-m", "licsrv.emulator", *words, *keys])

    def _is_marketplace_up(self) -> bool:
        return self._wait_until_up("marketplace", f"{self.marketplace_url}/control/clock")

    def _launch(self, name: str, words: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*_bound_to_us(), sys.executable, *words],
                cwd=_ROOT, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,  # Ctrl-C is ours to handle, once
            )  # fmt: skip

    def _wait_until_up(self, name: str, url: str) -> bool:
        """Wait for the first good answer; False when the process ended instead, as when its port is taken."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._processes[name].poll() is not None:
                del self._processes[name]
                return False
            if self._answers(url):
                return True
            time.sleep(0.05)
        raise UnexpectedError(f"The {name} did not start within {_START_SECONDS:g} s.")

    def _answers(self, url: str) -> bool:
        try:
            return self._http.get(url).status_code == 200
        except httpx2.HTTPError:
            return False

    def _end_all(self) -> None:
        processes = [self._processes.pop(name) for name in list(self._processes)]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _environment(self) -> Mapping[str, str]:
        """Return the environment of our processes: the user's own, without settings and proxies of theirs."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LICSRV_")}
        settings = {
            "DATABASE_URL": f"sqlite:///{self.folder / 'licsrv.db'}",
            "KEYS_DIR": str(self.folder / "keys"),
            "CALLBACK_ACCESS_KEYS": ACCESS_KEY,
            "MARKETPLACE_URLS": self.marketplace_url,
            "MARKETPLACE_AK": AK,
            "MARKETPLACE_SK": SK,
            "ALLOW_INSECURE_MARKETPLACE": "1",
            "ALLOW_TEST_CLOCK": "1",
            "ACTIVATION_TIMEOUT_SECONDS": "2",
        }
        ours = {f"LICSRV_{name}": value for name, value in settings.items()}
        return kept | ours | {"NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK, "NO_COLOR": "1", "COLUMNS": "200"}


def story_begins_at() -> datetime:
    """Return tomorrow, 01:00 UTC: morning at the marketplace too, so that no midnight falls into the story."""
    return (datetime.now(UTC) + timedelta(days=1)).replace(hour=1, minute=0, second=0, microsecond=0)


def free_port() -> int:
    """Return a loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _bound_to_us() -> Sequence[str]:
    """Return what makes a child end with us even if we are killed, where the system has it."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
