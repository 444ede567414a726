"""``python -m demo.prompt``: run commands that have nothing to import any more, each in a process forked from here.

Started at a prompt of their own, each needs a second to import what it uses; a dozen of them were a third of the demo.
One line of JSON on standard input is one command; one line on standard output is its exit code.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
from collections.abc import Mapping
from typing import Any

KNOWN = (
    "licsrv.app",
    "licsrv.cli",
    "licsrv.cli.license_page",
    "licsrv.cli.opening",
    "client_stub.programs.verify_command",
)


def main() -> None:
    """Import everything, then run one command after the other until the input ends."""
    for name in KNOWN:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def become(command: Mapping[str, Any]) -> None:
    """Be ``python -m module words`` from here on; what it prints goes to its files."""
    for number, name in ((0, os.devnull), (1, command["output"]), (2, command["complaint"])):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(command["environment"])
    sys.argv = [command["module"], *command["words"]]
    runpy.run_module(command["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
