"""The files of deploy/ fit the service: the environment example loads, the wrapper reads it as systemd does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from licsrv.console import bulk_pages
from licsrv.marketplace.callbacks.routes import PATH
from licsrv.platform.config import load
from licsrv.platform.web import MAX_BODY_BYTES
from tests.docs.pages import ROOT, text

DEPLOY = ROOT / "deploy"
_SETTING = re.compile(r"^#?(LICSRV_[A-Z_]+)=(.*)$", re.MULTILINE)


def _example(tmp_path: Path) -> dict[str, str]:
    """Return the example's settings; files that it names are made."""
    found = {}
    for line in text(DEPLOY / "licsrv.env.example").splitlines():
        if match := re.fullmatch(r"(LICSRV_[A-Z_]+)=(.*)", line):
            name, value = match.groups()
            found[name] = value
            if name.endswith("_FILE"):
                path = tmp_path / Path(value).name
                path.write_text("secret\n")
                found[name] = str(path)
    return found


def test_the_environment_example_is_accepted(tmp_path: Path) -> None:
    settings = load(_example(tmp_path))

    assert settings.marketplace_sk.get_secret_value() == "secret"
    assert [key.get_secret_value() for key in settings.callback_access_keys] == ["secret"]


def test_every_command_of_the_unit_is_one_of_ours() -> None:
    commands = re.findall(r"^Exec\w+=\S+/licsrv (.+)$", text(DEPLOY / "licsrv.service"), re.MULTILINE)

    assert commands == ["init --quiet", "serve"]


def test_the_proxy_passes_callbacks_and_hides_what_is_ours() -> None:
    proxy = text(DEPLOY / "nginx.conf.example")

    hidden = re.findall(r"location (?:=|\^~) (\S+) { return 404; }", proxy)

    assert hidden == ["/metrics", "/readyz", "/v1/test/"]
    assert not any(PATH.startswith(path) for path in hidden)


def test_the_proxy_lets_through_what_the_service_reads() -> None:
    proxy = text(DEPLOY / "nginx.conf.example")
    everywhere, desk = re.findall(r"client_max_body_size (\d+)([km]);", proxy)
    unit = {"k": 1024, "m": 1024 * 1024}

    assert int(everywhere[0]) * unit[everywhere[1]] > MAX_BODY_BYTES
    assert int(desk[0]) * unit[desk[1]] > max(page.most for page in bulk_pages.pages())


@pytest.mark.parametrize("value", ["plain", "a b  c", "$HOME `id` \"'", "x=y=z", "秘密"])
def test_the_wrapper_reads_settings_without_running_them(value: str, tmp_path: Path) -> None:
    """``sudo`` is played by a script that drops its two words; the command prints what it was given."""
    (tmp_path / "sudo").write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
    (tmp_path / "command").write_text('#!/bin/sh\nprintf "%s|%s|%s" "$LICSRV_ISSUER" "$1" "$2"\n')
    for name in ("sudo", "command"):
        (tmp_path / name).chmod(0o755)
    (tmp_path / "env").write_text(f"# a comment\nLICSRV_ISSUER={value}\nOTHER=no\n", encoding="utf-8")
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LICSRV_ENVIRONMENT": str(tmp_path / "env"),
        "LICSRV_COMMAND": str(tmp_path / "command"),
    }

    done = subprocess.run(
        [DEPLOY / "licsrv-admin", "licenses", "a b"], env=environment, capture_output=True, timeout=20
    )

    assert done.stderr == b""
    assert done.stdout.decode() == f"{value}|licenses|a b"


def test_the_proxy_bounds_callers_and_keeps_browsers_on_https() -> None:
    proxy = text(DEPLOY / "nginx.conf.example")
    needed = (
        "Strict-Transport-Security",
        "limit_req zone=",
        "limit_conn ",
        "client_header_timeout",
        "client_body_timeout",
    )

    assert [words for words in needed if words not in proxy] == []


def test_the_unit_leaves_no_core_and_reloads() -> None:
    unit = text(DEPLOY / "licsrv.service")

    assert "\nLimitCORE=0\n" in unit
    assert "\nExecReload=/bin/kill -HUP $MAINPID\n" in unit


def test_the_proxy_example_is_complete() -> None:
    proxy, unit = text(DEPLOY / "nginx.conf.example"), text(DEPLOY / "licsrv.service")

    for word in ("Strict-Transport-Security", "limit_req ", "limit_conn ", "client_header_timeout", "ssl_protocols"):
        assert word in proxy
    assert "LimitCORE=0" in unit


def test_what_installs_the_rest_is_pinned_by_hash() -> None:
    makefile, pinned = text(ROOT / "Makefile"), text(ROOT / "requirements-uv.txt")
    first = [line for line in makefile.splitlines() if "pip install" in line and "$(UV)" not in line]

    assert len(first) == 2
    assert all("--require-hashes -r requirements-uv.txt" in line for line in first)
    assert re.findall(r"^(\S+)==", pinned, re.MULTILINE) == ["uv"]
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", pinned)) > 10
    assert "://" not in pinned
