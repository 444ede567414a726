"""``python -m demo``: play the story. Exits with 0 when all went as described, 1 when not, 130 when interrupted."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from client_stub import VerificationError
from demo.expectations import UnexpectedError
from demo.narrator import Narrator
from demo.stage import Stage
from demo.story import play

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the story and return the exit code."""
    argparse.ArgumentParser(prog="python -m demo", description="Play the whole life of a license.").parse_args(
        arguments
    )
    logging.getLogger("client_stub").addHandler(logging.NullHandler())  # the story prints what it would log
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    narrator = Narrator()
    try:
        with Stage() as stage:
            return _played(stage, narrator)
    except KeyboardInterrupt:
        narrator.fail("Stopped; nothing is left behind.")
        return _INTERRUPTED
    except BrokenPipeError:
        return _INTERRUPTED


def _played(stage: Stage, narrator: Narrator) -> int:
    try:
        play(stage, narrator)
    except (UnexpectedError, VerificationError) as error:
        narrator.fail(f"This is not as it should be. {error}", stage.last_words())
        return 1
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
