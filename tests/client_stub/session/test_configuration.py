from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from client_stub.session.configuration import Configuration, ConfigurationError


@pytest.mark.parametrize(
    "url",
    [
        "https://license.example",
        "https://license.example:8443/licenses/",
        "https://[2001:db8::1]/",
        "http://127.0.0.1:8000",
        "http://127.9.9.9",
        "http://localhost:8000/",
        "http://[::1]:8000",
    ],
)
def test_https_anywhere_and_http_to_this_computer_are_accepted(configuration: Configuration, url: str) -> None:
    assert replace(configuration, server_url=url).server_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "license.example",
        "http://license.example",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://0.0.0.0",
        "http://192.168.1.1",
        "http://[::2]",
        "ftp://127.0.0.1",
        "file:///etc/hosts",
        "https://",
        "https://person:word@license.example",
        "http://localhost@license.example",
        "https://license.example/?a=b",
        "https://license.example/#top",
        "https://license.example:port",
        "https://[half",
    ],
)
def test_every_other_address_is_refused(configuration: Configuration, url: str) -> None:
    with pytest.raises(ConfigurationError, match="server_url"):
        replace(configuration, server_url=url)


@pytest.mark.parametrize(
    "change",
    [
        {"code": ""},
        {"code": "\ud800"},
        {"client_name": "\udfff"},
        {"first_grace": timedelta(seconds=-1)},
        {"first_heartbeat_within": timedelta(seconds=-1)},
        {"request_timeout": timedelta(0)},
    ],
    ids=repr,
)
def test_a_field_that_cannot_work_is_named(configuration: Configuration, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        replace(configuration, **change)


def test_iscdesk_can_take_the_place_of_the_license_server(configuration: Configuration) -> None:
    at_desk = replace(configuration, server_url="", iscdesk_url="http://127.0.0.1:8001")

    assert at_desk.iscdesk_url == "http://127.0.0.1:8001"
    with pytest.raises(ConfigurationError, match="server_url"):
        replace(at_desk, server_url="http://license.example")
    with pytest.raises(ConfigurationError, match="iscdesk_url"):
        replace(at_desk, iscdesk_url="http://desk.example")


def test_files_and_lists_go_next_to_the_store_unless_told_otherwise(
    configuration: Configuration, tmp_path: Path
) -> None:
    assert configuration.license_files_at == configuration.stored_at.parent
    assert configuration.revocations_stored_at.parent == configuration.stored_at.parent
    assert replace(configuration, license_folder=tmp_path).license_files_at == tmp_path


def test_the_platform_is_this_computers_unless_told_otherwise(configuration: Configuration) -> None:
    assert re.fullmatch(r"[a-z]+[0-9]*-[a-z0-9_]+", configuration.platform_name)
    assert replace(configuration, platform="windows-x86_64").platform_name == "windows-x86_64"
