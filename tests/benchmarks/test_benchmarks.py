"""Each benchmark is carried out whole, at a size at which its figures mean nothing: no time is judged here."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks import activation, bulk, callback, desk, heartbeat, outage, prune, releases, revocations, seats, startup
from benchmarks.__main__ import main
from benchmarks.errors import BenchmarkError
from benchmarks.installation import Installation
from benchmarks.load import HOST
from benchmarks.machine import Others, describe, placement, running_on
from benchmarks.processes import free_port, get, run, serving
from benchmarks.report import Figure
from benchmarks.suite import BENCHMARKS

TINY = {
    heartbeat.NAME: partial(heartbeat.measure, scale=heartbeat.Scale(devices=40, rounds=2, connections=4)),
    seats.NAME: partial(seats.measure, scale=seats.Scale(devices=20, seats_each=2, rounds=2, connections=4)),
    activation.NAME: partial(
        activation.measure, scale=activation.Scale(few=30, many=300, rounds=2, activations=10, connections=4)
    ),
    callback.NAME: partial(callback.measure, scale=callback.Scale(callbacks=20, warm_up=5, connections=4)),
    startup.NAME: partial(startup.measure, scale=startup.Scale(starts=1)),
    releases.NAME: partial(releases.measure, scale=releases.Scale(versions=40, devices=10, rounds=2, publications=2)),
    revocations.NAME: partial(revocations.measure, scale=revocations.Scale(entries=200, delta=10, rounds=2)),
    outage.NAME: partial(outage.measure, scale=outage.Scale(waiting=50, devices=20, per_second=200, idle_seconds=0.1)),
    prune.NAME: partial(prune.measure, scale=prune.Scale(devices=30, days=3)),
    bulk.NAME: partial(bulk.measure, scale=bulk.Scale(licenses=900)),
    desk.NAME: partial(desk.measure, scale=desk.Scale(licenses=60, devices_each=2, settled=50, rounds=2)),
    bulk.NAME_ON_POSTGRESQL: partial(bulk.measure_on_postgresql, scale=bulk.Scale(licenses=900)),
    desk.NAME_ON_POSTGRESQL: partial(
        desk.measure_on_postgresql, scale=desk.Scale(licenses=60, devices_each=2, settled=50, rounds=2)
    ),
}
TARGETS = {
    bulk.NAME: 1, desk.NAME: 9, bulk.NAME_ON_POSTGRESQL: 1, desk.NAME_ON_POSTGRESQL: 9,
    outage.NAME: 1, prune.NAME: 1, seats.NAME: 3,
    heartbeat.NAME: 3, activation.NAME: 5, callback.NAME: 1, startup.NAME: 1, releases.NAME: 1, revocations.NAME: 2,
}  # fmt: skip


# The others start a dozen processes each.
EVERY_DAY = {startup.NAME}
NAMES = [name if name in EVERY_DAY else pytest.param(name, marks=pytest.mark.soak) for name in BENCHMARKS]


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_is_carried_out_and_judges_all_its_targets(name: str, tmp_path: Path) -> None:
    measure: Callable[[Path], list[Figure]] = TINY[name]
    cores = os.sched_getaffinity(0)

    figures = measure(tmp_path / name)

    assert {figure.path for figure in figures} == {name}
    assert sum(figure.target is not None for figure in figures) == TARGETS[name]
    assert all(figure.value >= 0 for figure in figures)
    assert len({figure.name for figure in figures}) == len(figures)
    assert os.sched_getaffinity(0) == cores


@pytest.mark.soak
def test_missed_targets_are_no_failure_and_nothing_is_left_behind(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status = main(["start", "--quick", "--json"], parent=tmp_path)

    document = json.loads(capsys.readouterr().out)
    assert status == 0
    assert document["scale"] == "quick"
    assert [figure["path"] for figure in document["figures"]] == ["start"] * 3
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_benchmark_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["heartbeats"])

    assert "no benchmark is called heartbeats" in capsys.readouterr().err


def test_a_server_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with (
        pytest.raises(BenchmarkError, match=r"(?s)server does not serve.*are required"),
        serving(["-m", "benchmarks.baseline", "--nonsense"], cores=placement().all, ready_path="/", log=log),
    ):
        pass


def test_a_server_is_gone_when_its_block_ends(tmp_path: Path) -> None:
    arguments = ["-m", "benchmarks.baseline", "--path", "/x", "--size", "20"]
    with serving(arguments, cores=placement().all, ready_path="/readyz", log=tmp_path / "log") as server:
        assert get(server.port, "/readyz")[0] == 200
        assert server.resident_mebibytes() > 1

    assert get(server.port, "/readyz")[0] == 0
    assert not Path(f"/proc/{server.process_id}").exists()


def test_a_command_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(BenchmarkError, match="no_such_module"):
        run(["-m", "no_such_module"], environment={})


def test_nobody_listens_on_a_free_port() -> None:
    assert get(free_port(), "/") == (0, b"")
    assert HOST == "127.0.0.1"


def test_children_inherit_the_cores_and_they_are_given_back() -> None:
    before = os.sched_getaffinity(0)

    with running_on(placement().server):
        assert os.sched_getaffinity(0) == set(placement().server)

    assert os.sched_getaffinity(0) == before


def test_the_machine_is_described_without_naming_it(tmp_path: Path) -> None:
    facts = describe(tmp_path)

    assert set(facts) == {"cores", "CPU", "Python", "SQLite", "write and sync of 4 KiB"}
    assert os.uname().nodename not in " ".join(facts.values())
    assert list(tmp_path.iterdir()) == []


def test_what_others_use_is_a_share_of_the_time_they_were_watched() -> None:
    others = Others()
    unwatched = others.share()

    with others.watched():
        sum(range(200_000))

    assert unwatched == 0
    assert 0 <= others.share() <= 1


def test_the_servers_settings_come_from_the_house_alone(tmp_path: Path) -> None:
    settings = Installation(tmp_path).settings()

    assert settings["LICSRV_DATABASE_URL"] == f"sqlite:///{tmp_path / 'licsrv.db'}"
    assert not [name for name in settings if "MARKETPLACE" in name]
