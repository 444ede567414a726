"""A real browser for the tests: Chromium without a window, spoken to through a pair of pipes.

Its own protocol (Chrome DevTools) over ``--remote-debugging-pipe`` needs no driver program, no port and no package.
Where there is no Chromium the tests that need one are skipped, loudly.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "NO CHROMIUM ON THIS MACHINE (apt-get install chromium): THE CONSOLE IS NOT TRIED IN A REAL BROWSER"
SECONDS = 30
WIDE, NARROW = (1280, 900), (390, 844)
_SWITCHES = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--no-proxy-server", "--password-store=basic", "--disable-extensions",
)  # fmt: skip
# A program started with the pipes as descriptors 3 and 4, as the browser expects them.
_LAUNCHER = "import os,sys;os.dup2(int(sys.argv[1]),3);os.dup2(int(sys.argv[2]),4);os.execv(sys.argv[3],sys.argv[3:])"


def binary() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """One browser with one page."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []
        self._session = ""
        self.target = ""

    def open(self) -> None:
        """Open a page with cookies of its own."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        self.target = self.send("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.size(*WIDE)

    def close(self) -> None:
        target, self._session = self.target, ""
        self.send("Target.closeTarget", targetId=target)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def wait_for(self, method: str) -> None:
        """Wait for an event that comes after the last :meth:`forget`."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._receive())

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], SECONDS)
            assert ready, "the browser does not answer"
            self._buffer += os.read(self._read, 1 << 20)
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    # what a person does

    def go(self, address: str) -> None:
        self._until_loaded(lambda: self.send("Page.navigate", url=address))

    def _until_loaded(self, action: Any) -> None:
        self.events = [event for event in self.events if event.get("method") != "Page.loadEventFired"]
        action()
        self.wait_for("Page.loadEventFired")

    def click(self, selector: str, text: str = "") -> None:
        """Click on the first visible element that a selector finds and that has a text; it leads to another page."""
        self._until_loaded(lambda: self.poke(selector, text))

    def poke(self, selector: str, text: str = "") -> None:
        """Click on something that leads to no other page."""
        found = self.run(
            f"""(() => {{
              const one = [...document.querySelectorAll({json.dumps(selector)})]
                .find((e) => e.textContent.includes({json.dumps(text)}) && e.getClientRects().length);
              if (!one) return null;
              one.scrollIntoView({{block: "center", behavior: "instant"}});
              const box = one.getBoundingClientRect();
              return [box.x + box.width / 2, box.y + box.height / 2];
            }})()"""
        )
        assert found, f"there is no {selector} with {text!r} on {self.address}:\n{self.text}"
        x, y = found
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, selector: str, text: str) -> None:
        """Put a text into a field, as keys would."""
        expression = f"""(() => {{
              const one = document.querySelector({json.dumps(selector)});
              if (!one) return false;
              one.focus();
              if (one.select) one.select();
              return true;
            }})()"""
        assert self.run(expression), f"there is no {selector} on {self.address}"
        self.send("Input.insertText", text=text)

    def press(self, key: str) -> None:
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {"Enter": 13, "Tab": 9}.get(key, 0)
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=text, windowsVirtualKeyCode=code)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def enter(self) -> None:
        """Press Enter in a form."""
        self._until_loaded(lambda: self.press("Enter"))

    # what a person sees

    def run(self, expression: str) -> Any:
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    @property
    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    @property
    def address(self) -> str:
        return str(self.run("location.href"))

    def size(self, width: int, height: int) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def dark(self, *, on: bool) -> None:
        value = "dark" if on else "light"
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def picture(self, path: Path, *, whole: bool = True) -> None:
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def complaints(self) -> list[str]:
        """What the browser found wrong: script errors, blocked contents, failed loads."""
        logged = [event["params"]["entry"] for event in self.events if event.get("method") == "Log.entryAdded"]
        thrown = [str(event["params"]) for event in self.events if event.get("method") == "Runtime.exceptionThrown"]
        return [str(entry["text"]) for entry in logged if entry["level"] == "error"] + thrown

    @property
    def asked(self) -> set[str]:
        """Every address that was asked for."""
        return {
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        }


@contextmanager
def running(folder: Path) -> Iterator[Chromium]:
    """Run a browser; skip the test where there is none."""
    program = binary()
    if program is None:
        pytest.skip(MISSING)
    to_browser, from_browser = _pipe(), _pipe()
    switches = [*_SWITCHES, f"--user-data-dir={folder}"]
    process = subprocess.Popen(
        [sys.executable, "-c", _LAUNCHER, str(to_browser[0]), str(from_browser[1]), program, *switches],
        pass_fds=(to_browser[0], from_browser[1]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser[0])
    os.close(from_browser[1])
    browser = Chromium(from_browser[0], to_browser[1])
    try:
        browser.open()
        yield browser
        browser.close()
    finally:
        os.close(to_browser[1])  # the browser ends when nobody speaks to it any more
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        os.close(from_browser[0])


def _pipe() -> tuple[int, int]:
    """Return a pipe whose descriptors are in nobody's way."""
    found = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in found)
    for end in found:
        os.close(end)
    return moved[0], moved[1]
