"""Servers as child processes: started on given cores, waited for, always ended by their own process id."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

from benchmarks.errors import BenchmarkError
from benchmarks.load import HOST, http_request
from benchmarks.machine import running_on

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_STEP_SECONDS = 0.005
_LOG_TAIL = 2000


@dataclass(frozen=True)
class Server:
    """A server that answers. ``ready_seconds`` is the time from its start to its first good answer."""

    port: int
    process_id: int
    ready_seconds: float

    def resident_mebibytes(self) -> float:
        """Return the memory that the process holds now (``VmRSS``), in MiB."""
        for line in Path(f"/proc/{self.process_id}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise BenchmarkError("The server is gone.")

    def cpu_seconds(self) -> float:
        """Return how long the process, its threads included, has used a core so far."""
        fields = Path(f"/proc/{self.process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime (proc(5))


@contextmanager
def serving(
    arguments: Sequence[str], *, cores: Sequence[int], ready_path: str, log: Path, environment: Mapping[str, str] = {}
) -> Iterator[Server]:
    """Run ``python <arguments> --port <free port>`` on these cores for as long as the block lasts.

    Args:
        arguments: What Python runs, for instance ``-m licsrv serve``.
        cores: Where it may run, its threads and children too.
        ready_path: The path whose first 200 says that it serves.
        log: Where its output goes.
        environment: Added to a bare environment; no setting of the caller's shell reaches the server.

    Raises:
        BenchmarkError: It does not serve within a minute; the message ends with what it wrote.
    """
    port = free_port()
    command = [sys.executable, *arguments, "--port", str(port)]
    started = perf_counter()
    with log.open("wb") as output, running_on(cores):
        child = subprocess.Popen(
            command, env={**_bare_environment(), **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        _wait(child, port, path=ready_path, log=log, started=started)
        yield Server(port, child.pid, perf_counter() - started)
    except BaseException:
        child.kill()  # nothing that it holds is wanted any more
        raise
    finally:
        _end(child)


def run(arguments: Sequence[str], *, environment: Mapping[str, str]) -> None:
    """Run ``python <arguments>`` to its end.

    Raises:
        BenchmarkError: It failed; the message ends with what it wrote.
    """
    finished = subprocess.run(
        [sys.executable, *arguments],
        env={**_bare_environment(), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_START_SECONDS,
    )
    if finished.returncode:
        raise BenchmarkError(f"{' '.join(arguments)} failed: {finished.stderr[-_LOG_TAIL:].decode(errors='replace')}")


def get(port: int, path: str, *, seconds: float = 5.0) -> tuple[int, bytes]:
    """Get one document over a connection of its own; return status and body, or status 0 where nothing listens."""
    try:
        with socket.create_connection((HOST, port), timeout=seconds) as connection:
            connection.sendall(http_request("GET", path, connection="close"))
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return 0, b""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head[9:12] or 0), body


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _bare_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _wait(child: subprocess.Popen[bytes], port: int, path: str, log: Path, started: float) -> None:
    while get(port, path)[0] != 200:
        if child.poll() is not None or perf_counter() - started > _START_SECONDS:
            tail = log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
            raise BenchmarkError(f"{log.stem} does not serve: {tail}")
        sleep(_STEP_SECONDS)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
