"""``python -m benchmarks``: carry benchmarks out and print one table; missed targets are shown, not failures."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import perf_counter
from types import FrameType

from benchmarks import machine
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Others
from benchmarks.report import Figure, Report
from benchmarks.suite import BENCHMARKS

_FOLDER = Path(__file__).parent.parent / "var"
_INTERRUPTED = 130
_MUCH = 0.05  # of all cores


def main(arguments: Sequence[str] | None = None, *, parent: Path = _FOLDER) -> int:
    """Run the command line and return its exit status: 0 when everything could be measured, 1 when not.

    Args:
        arguments: The words after the program's name; those of the process when None.
        parent: Where the folder of the run is made, and removed at its end.
    """
    options = _options(arguments)
    parent.mkdir(exist_ok=True)
    try:
        # Next to the project's own data, not in /tmp: a commit to a folder in memory costs nothing.
        with _ended_by_signals(), tempfile.TemporaryDirectory(prefix="benchmarks-", dir=parent) as folder:
            report = measure(Path(folder), options.names or list(BENCHMARKS), quick=options.quick)
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks: stopped; nothing is left behind.", file=sys.stderr)
        return _INTERRUPTED
    print(report.json() if options.json else report.markdown() if options.markdown else report.text())
    return 0


def measure(folder: Path, names: Sequence[str], *, quick: bool) -> Report:
    """Carry out the named benchmarks one after the other, each in a folder of its own.

    Raises:
        BenchmarkError: One could not be carried out.
    """
    figures: list[Figure] = []
    others = Others()
    for name in names:
        benchmark = BENCHMARKS[name]
        print(f"{name}: {benchmark.about} …", end=" ", file=sys.stderr, flush=True)
        started = perf_counter()
        with nullcontext() if benchmark.has_database_server else others.watched():
            figures += (benchmark.quick if quick else benchmark.full)(folder / name)
        print(f"{perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    facts = machine.describe(folder) | {"used by other programs": f"{others.share():.0%}"}
    return Report(
        facts, scale="quick" if quick else "full", figures=figures, notes=_notes(quick=quick, others=others.share())
    )


def _notes(*, quick: bool, others: float) -> list[str]:
    notes = []
    if others > _MUCH:
        notes.append("Other programs were busy on this machine meanwhile: measure again when it is quiet.")
    if quick:
        notes.append("A quick run measures less; its figures say little about the targets.")
    if machine.placement().is_shared:
        notes.append("One core only: server and load generator share it, so rates are lower than the server's own.")
    return notes


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a signal end the block like Ctrl-C does, so that every child process is ended on the way out.

    Ctrl-C itself is set too: a shell lets its background processes ignore it.
    """
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _stop, signal.SIGHUP: _stop}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Pass on as Ctrl-C: a running event loop knows how to end by it, and by nothing else."""
    signal.raise_signal(signal.SIGINT)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what the service must reach.")
    parser.add_argument(
        "names", nargs="*", metavar="benchmark", help=f"{', '.join(BENCHMARKS)}; all when none is named"
    )
    parser.add_argument("--quick", action="store_true", help="measure less: under a minute")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of the table")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table instead")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - set(BENCHMARKS)):
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
