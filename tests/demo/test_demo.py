"""The demo as a newcomer meets it: a process of its own that tells the truth and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from demo.story import ACTS, STEPS
from tests.docs.pages import DEMO, ROOT, text

_DEMO = [sys.executable, "-m", "demo"]


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}


@pytest.mark.timeout(150)
@pytest.mark.soak
def test_the_demo_plays_the_whole_story_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        _DEMO,
        cwd=ROOT,
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"All {len(STEPS)} steps went as described" in done.stdout
    assert all(act.title in done.stdout for act in ACTS)
    assert done.stderr == ""
    assert "Traceback" not in done.stdout
    assert "\x1b" not in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert list(tmp_path.iterdir()) == []


@pytest.mark.soak
@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_says_so_and_ends_its_processes(number: signal.Signals, tmp_path: Path) -> None:
    output = tmp_path / "output"
    folder = tmp_path / "temporary"
    folder.mkdir()
    with (
        output.open("wb") as file,
        subprocess.Popen(
            _DEMO, cwd=ROOT, env=_environment(folder), stdin=subprocess.DEVNULL, stdout=file, stderr=file
        ) as process,
    ):
        _wait_for(output, process, STEPS[1].title)
        process.send_signal(number)
        status = process.wait(60)

    assert status == 130
    told = output.read_text(encoding="utf-8")
    assert told.rstrip().endswith("Stopped; nothing is left behind.")
    assert "Traceback" not in told
    assert list(folder.iterdir()) == []
    for url in re.findall(r"http://127\.0\.0\.1:\d+", told):
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(url, trust_env=False)


def test_the_page_about_the_demo_shows_steps_of_the_story() -> None:
    shown = text(DEMO).split("<!-- demo output begins -->")[1].split("<!-- demo output ends -->")[0]
    titles = {(int(number), title) for number, title in re.findall(r"^ ?(\d+) (\w.*)$", shown, re.MULTILINE)}

    assert titles
    assert titles <= {(number, step.title) for number, step in enumerate(STEPS, 1)}
    assert f"All {len(STEPS)} steps went as described" in shown


def _wait_for(output: Path, process: subprocess.Popen[bytes], words: str) -> None:
    deadline = time.monotonic() + 40
    while words not in output.read_text(encoding="utf-8"):
        assert process.poll() is None, output.read_text(encoding="utf-8")
        assert time.monotonic() < deadline
        time.sleep(0.05)
