"""Commands typed in the story: each a process of its own, forked from a prompt that was warmed up once."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from demo.expectations import UnexpectedError

_SECONDS = 30.0


@dataclass(frozen=True)
class Finished:
    """How a command ended: its exit code, what it printed, and what it complained about."""

    code: int
    output: str
    complaint: str

    @property
    def last_words(self) -> str:
        """What it said for a reason."""
        return (self.complaint or self.output).strip()[:500]


class Commands:
    """The prompt that commands are typed at, started with the first one; what they print passes through ``folder``."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        self._prompt: subprocess.Popen[str] | None = None

    def warm_up(self) -> subprocess.Popen[str]:
        """Return the prompt, started where it is not yet; it becomes ready by itself."""
        if self._prompt is None:
            with (self._folder / "prompt.log").open("ab") as log:
                self._prompt = subprocess.Popen(
                    [sys.executable, "-m", "demo.prompt"],
                    cwd=self._root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                    start_new_session=True,  # Ctrl-C is ours to handle, once
                )  # fmt: skip
        return self._prompt

    def run(self, module: str, words: Sequence[str], environment: Mapping[str, str]) -> Finished:
        """Run ``python -m module words`` to its end.

        Raises:
            UnexpectedError: It did not end.
        """
        output, complaint = self._folder / "command.out", self._folder / "command.err"
        command = {"module": module, "words": words, "environment": dict(environment)}
        code = self._ask({**command, "output": str(output), "complaint": str(complaint)})
        if not code:
            raise UnexpectedError(f"`{module} {' '.join(words)}` did not end.")
        return Finished(int(code), output.read_text("utf-8"), complaint.read_text("utf-8"))

    def _ask(self, command: Mapping[str, object]) -> str:
        """Return the line that the prompt answers; nothing when it does not, or is not there any more."""
        prompt = self.warm_up()
        assert prompt.stdin is not None
        assert prompt.stdout is not None
        try:
            print(json.dumps(command), file=prompt.stdin, flush=True)
        except BrokenPipeError:
            return ""
        is_answered, _, _ = select.select([prompt.stdout], [], [], _SECONDS)
        return prompt.stdout.readline() if is_answered else ""

    def close(self) -> None:
        """End the prompt, and with it a command that hangs; again: nothing happens."""
        if self._prompt is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._prompt.pid, signal.SIGKILL)
        self._prompt.communicate()
        self._prompt = None
