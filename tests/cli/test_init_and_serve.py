"""``licsrv init`` and what ``licsrv serve`` refuses to start with."""

from __future__ import annotations

import errno
import json
import socket
from contextlib import closing
from pathlib import Path

import pytest

from licsrv.cli.workplace import listening_url
from licsrv.licensing import key_folder
from tests.cli.conftest import FurnishedHouse, Run
from tests.tables import each


def test_init_makes_what_is_missing_once(environment: pytest.MonkeyPatch, licsrv: Run, tmp_path: Path) -> None:
    environment.setenv("LICSRV_KEYS_DIR", str(tmp_path / "new"))

    first = licsrv("init", "--json").document
    second = licsrv("init", "--json").document

    assert {key["purpose"] for key in first["keys_made"]} == {"license", "lease", "release"}
    assert (first["is_upgraded"], second["keys_made"], second["is_upgraded"]) == (True, [], False)
    assert licsrv("init").out == "Nothing to do: keys and database are ready.\n"
    assert licsrv("init", "--quiet").out == ""
    assert licsrv("licenses", "list").exit_code == 0


def test_init_says_what_it_made(environment: pytest.MonkeyPatch, licsrv: Run, tmp_path: Path) -> None:
    environment.setenv("LICSRV_KEYS_DIR", str(tmp_path / "new"))

    out = licsrv("init").out

    assert out.count("Made key") == 3
    assert "is at schema step" in out


def test_init_on_something_that_is_no_database_is_refused(
    environment: pytest.MonkeyPatch, licsrv: Run, tmp_path: Path
) -> None:
    (tmp_path / "none.db").write_bytes(b"\xff" * 10_000)

    ran = licsrv("init")

    assert (ran.exit_code, ran.err.count("\n")) == (1, 1)


def test_init_where_nothing_can_be_written_is_refused(
    environment: pytest.MonkeyPatch, licsrv: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    environment.setenv("LICSRV_KEYS_DIR", str(tmp_path / "file" / "keys"))

    ran = licsrv("init")

    assert (ran.exit_code, ran.err) == (1, f"licsrv: Not a directory: {tmp_path / 'file' / 'keys'}\n")


def test_serve_names_an_address_in_use(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        ran = licsrv("serve", "--port", port)

    assert ran.exit_code == 1
    assert ran.err.startswith(f"licsrv: Cannot listen on 127.0.0.1:{port} (Address already in use).")


def test_serve_does_not_start_without_keys(sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    (tmp_path / "keys" / "device.key").unlink()

    ran = licsrv("serve", "--port", 0)

    assert (ran.exit_code, "device.key is missing: run `licsrv init`" in ran.err) == (1, True)


def test_serve_names_the_way_out_where_seals_cannot_be_noted(
    sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    seal_key = tmp_path / "keys" / "seal.key"
    document = json.loads(seal_key.read_text("ascii"))
    monkeypatch.setattr(key_folder, "_write", refuse)
    for content in (json.dumps(document | {"sealed": "rows"}), None):  # sealed by an older start, or not there
        seal_key.unlink()
        if content is not None:
            seal_key.write_text(content, "ascii")

        ran = licsrv("serve", "--port", 0)

        says = "seal.key cannot be written (Read-only file system): run `licsrv init` where the folder can be written."
        assert (ran.exit_code, ran.err) == (1, f"licsrv: {says}\n")


def test_the_address_of_a_listener_is_written_as_a_browser_takes_it() -> None:
    addresses = [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("localhost", "http://localhost:8000"),
        ("::1", "http://[::1]:8000"),
        ("::", "http://[::]:8000"),
        ("fe80::1%eth0", "http://[fe80::1%eth0]:8000"),
    ]
    for row in each(addresses):
        with row as (host, address):
            assert listening_url(host, 8000) == address
