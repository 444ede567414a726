"""The settings: everything wrong is told at once, and no secret is told ever."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from licsrv.errors import SettingsError
from licsrv.platform.config import Settings, load, unknown_names

SECRETS = ("callback-key-1", "callback-key-2", "the-secret-key", "the-passphrase", "database-password")


def read(**values: str) -> Settings:
    return load({f"LICSRV_{name}": value for name, value in values.items()})


def problems(**values: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        read(**values)
    first, *lines = str(raised.value).splitlines()
    assert first == "Settings are wrong:"
    assert all(line.startswith("  - LICSRV_") for line in lines), lines
    return [line.removeprefix("  - ") for line in lines]


def names(found: list[str]) -> list[str]:
    return [match[0].removeprefix("LICSRV_") for line in found if (match := re.match(r"[A-Z_]+", line))]


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = load({})

    assert settings.database_url == "sqlite:///var/licsrv.db"
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert settings.keys_dir == Path("keys")
    assert settings.callback_access_keys == ()
    assert settings.marketplace_urls == ("https://mkt.myhuaweicloud.com", "https://mkt.myhuaweicloud.cn")
    assert settings.marketplace_timezone == ZoneInfo("Asia/Shanghai")
    assert settings.callback_timezone == ZoneInfo("UTC")
    assert settings.lease_grace == timedelta(hours=168)
    assert settings.heartbeat_interval == timedelta(hours=24)
    assert settings.device_limit == 1
    assert settings.allow_test_clock is False


def test_every_setting_can_be_set_and_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    settings = read(PORT="0", WORKERS="2", LEASE_GRACE_HOURS="0.5", CALLBACK_ACCESS_KEYS=" a, b ,,", KEYS_DIR="/k")

    assert (settings.port, settings.workers, settings.lease_grace) == (0, 2, timedelta(minutes=30))
    assert [key.get_secret_value() for key in settings.callback_access_keys] == ["a", "b"]
    assert settings.keys_dir == Path("/k")


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert read(PORT="", CALLBACK_ACCESS_KEYS="", MARKETPLACE_URLS="", KEYS_PASSPHRASE="") == load({})


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load({}).port = 1  # type: ignore[misc]


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    found = problems(
        PORT="eighty",
        WORKERS="0",
        DATABASE_URL="mysql://root:database-password@db/licsrv",
        MARKETPLACE_URLS="http://mkt.test,ftp://mkt.test,https://good.test",
        MARKETPLACE_AK="AK",
        MARKETPLACE_TIMEZONE="Mars/Olympus",
        KEYS_PASSPHRASE_FILE=str(tmp_path / "missing"),
        ISSUER="a",
        ISSUER_FILE="b",
    )

    assert sorted(names(found)) == [
        "DATABASE_URL", "ISSUER", "KEYS_PASSPHRASE_FILE", "MARKETPLACE_AK", "MARKETPLACE_TIMEZONE",
        "MARKETPLACE_URLS", "MARKETPLACE_URLS", "PORT", "WORKERS",
    ]  # fmt: skip
    assert not any(secret in "\n".join(found) for secret in SECRETS)


WRONG: Mapping[str, tuple[Mapping[str, str], str]] = {
    "a port that is no number": ({"PORT": "http"}, "PORT"),
    "a port out of range": ({"PORT": "65536"}, "PORT"),
    "a port below zero": ({"PORT": "-1"}, "PORT"),
    "no worker": ({"WORKERS": "0"}, "WORKERS"),
    "a grace of nothing": ({"LEASE_GRACE_HOURS": "0"}, "LEASE_GRACE_HOURS"),
    "a grace that never ends": ({"LEASE_GRACE_HOURS": "inf"}, "LEASE_GRACE_HOURS"),
    "a grace that is no number": ({"LEASE_GRACE_HOURS": "nan"}, "LEASE_GRACE_HOURS"),
    "an interval of nothing": ({"HEARTBEAT_INTERVAL_HOURS": "0"}, "HEARTBEAT_INTERVAL_HOURS"),
    "no places": ({"DEVICE_LIMIT": "0"}, "DEVICE_LIMIT"),
    "half a place": ({"DEVICE_LIMIT": "1.5"}, "DEVICE_LIMIT"),
    "a switch that is neither": ({"ALLOW_TEST_CLOCK": "perhaps"}, "ALLOW_TEST_CLOCK"),
    "a level in lower case": ({"LOG_LEVEL": "info"}, "LOG_LEVEL"),
    "an unknown format": ({"LOG_FORMAT": "xml"}, "LOG_FORMAT"),
    "no issuer but blanks": ({"ISSUER": "  "}, "ISSUER"),
    "an issuer too long for a license string": ({"ISSUER": "i" * 41}, "ISSUER"),
    "a time zone nobody knows": ({"CALLBACK_TIMEZONE": "Beijing"}, "CALLBACK_TIMEZONE"),
    "a time zone that is a folder": ({"CALLBACK_TIMEZONE": "Asia"}, "CALLBACK_TIMEZONE"),
    "a time zone that climbs out": ({"CALLBACK_TIMEZONE": "../../etc/passwd"}, "CALLBACK_TIMEZONE"),
    "a time zone with an absolute path": ({"CALLBACK_TIMEZONE": "/etc/passwd"}, "CALLBACK_TIMEZONE"),
    "another kind of database": ({"DATABASE_URL": "oracle://db"}, "DATABASE_URL"),
    "a database that is only a path": ({"DATABASE_URL": "var/licsrv.db"}, "DATABASE_URL"),
    "no host at all": ({"MARKETPLACE_URLS": " , "}, "MARKETPLACE_URLS"),
    "a host in the clear": ({"MARKETPLACE_URLS": "http://mkt.test"}, "MARKETPLACE_URLS"),
    "a loopback host without permission": ({"MARKETPLACE_URLS": "http://127.0.0.1:8001"}, "MARKETPLACE_URLS"),
    "an address without a host": ({"MARKETPLACE_URLS": "https://"}, "MARKETPLACE_URLS"),
    "an address that is none": ({"MARKETPLACE_URLS": "https://[::1"}, "MARKETPLACE_URLS"),
    "an address with an impossible port": ({"MARKETPLACE_URLS": "https://mkt.test:99999"}, "MARKETPLACE_URLS"),
    "an address with port zero": ({"MARKETPLACE_URLS": "https://mkt.test:0"}, "MARKETPLACE_URLS"),
    "an address with a query": ({"MARKETPLACE_URLS": "https://mkt.test/?a=1"}, "MARKETPLACE_URLS"),
    "an address with credentials": ({"MARKETPLACE_URLS": "https://u:the-secret-key@mkt.test"}, "MARKETPLACE_URLS"),
    "a key without its secret": ({"MARKETPLACE_AK": "AK"}, "MARKETPLACE_AK"),
    "a secret without its key": ({"MARKETPLACE_SK": "the-secret-key"}, "MARKETPLACE_AK"),
    "a movable clock in many processes": ({"ALLOW_TEST_CLOCK": "1", "WORKERS": "2"}, "ALLOW_TEST_CLOCK"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_one_sentence_that_names_it(case: str) -> None:
    values, name = WRONG[case]

    found = problems(**values)

    assert names(found) == [name]
    assert "the-secret-key" not in found[0]


def test_the_trap_of_a_kubernetes_service_is_named() -> None:
    [problem] = problems(PORT="tcp://10.96.12.7:8000")

    assert "enableServiceLinks: false" in problem


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_an_address_in_the_clear_is_for_the_emulator_on_this_machine_only(host: str) -> None:
    settings = read(MARKETPLACE_URLS=f"http://{host}:8001", ALLOW_INSECURE_MARKETPLACE="1")
    assert settings.marketplace_urls == (f"http://{host}:8001",)

    for other in ("http://mkt.test", "http://127.0.0.1.mkt.test", "http://127.0.0.1@mkt.test"):
        assert names(problems(MARKETPLACE_URLS=other, ALLOW_INSECURE_MARKETPLACE="1")) == ["MARKETPLACE_URLS"]


@pytest.mark.parametrize("name", ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/Argentina/Buenos_Aires"])
def test_time_zones_are_named_as_in_the_iana_list(name: str) -> None:
    assert read(MARKETPLACE_TIMEZONE=name).marketplace_timezone == ZoneInfo(name)


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    secret, keys = tmp_path / "sk", tmp_path / "keys"
    secret.write_text("the-secret-key\n")
    keys.write_text("callback-key-1,callback-key-2\n")

    settings = read(MARKETPLACE_AK="AK", MARKETPLACE_SK_FILE=str(secret), CALLBACK_ACCESS_KEYS_FILE=str(keys))

    assert settings.marketplace_sk.get_secret_value() == "the-secret-key"
    assert [key.get_secret_value() for key in settings.callback_access_keys] == ["callback-key-1", "callback-key-2"]


@pytest.mark.parametrize("form", ["utf-8-sig", "utf-8"])
def test_a_byte_order_mark_is_no_part_of_a_setting(tmp_path: Path, form: str) -> None:
    keys = tmp_path / "keys"
    keys.write_text("callback-key-1,callback-key-2\r\n", encoding=form)

    for settings in (read(CALLBACK_ACCESS_KEYS_FILE=str(keys)), read(CALLBACK_ACCESS_KEYS=keys.read_text("utf-8"))):
        assert [key.get_secret_value() for key in settings.callback_access_keys] == ["callback-key-1", "callback-key-2"]


def test_a_setting_is_not_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "sk"
    path.write_text("the-secret-key")

    found = problems(MARKETPLACE_AK="AK", MARKETPLACE_SK="the-secret-key", MARKETPLACE_SK_FILE=str(path))

    assert found[0] == "LICSRV_MARKETPLACE_SK: set it or LICSRV_MARKETPLACE_SK_FILE, not both"
    assert "the-secret-key" not in "\n".join(found)


def test_a_file_that_cannot_be_read_is_named_and_not_shown(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")

    for path, why in ((tmp_path / "missing", "FileNotFoundError"), (tmp_path, "IsADirectoryError"),
                      (binary, "UnicodeDecodeError")):  # fmt: skip
        assert problems(KEYS_PASSPHRASE_FILE=str(path)) == [f"LICSRV_KEYS_PASSPHRASE_FILE: cannot be read ({why})"]


def test_no_secret_is_ever_shown() -> None:
    settings = read(
        CALLBACK_ACCESS_KEYS="callback-key-1,callback-key-2",
        MARKETPLACE_AK="AK",
        MARKETPLACE_SK="the-secret-key",
        KEYS_PASSPHRASE="the-passphrase",
        DATABASE_URL="postgresql://licsrv:database-password@db/licsrv",
    )

    shown = f"{settings!r} {settings!s} {settings.callback_access_keys!r}"

    assert not any(secret in shown for secret in SECRETS)


def test_a_misspelled_name_is_told_with_the_likely_meant_one() -> None:
    environ = {
        "LICSRV_DATABSE_URL": "x",
        "LICSRV_MARKETPLACE_SK_FIEL": "x",
        "LICSRV_SOMETHING_ELSE_ENTIRELY": "x",
        "LICSRV_PORT": "1",
        "LICSRV_MARKETPLACE_SK_FILE": "x",
        "PORT": "x",
    }

    assert unknown_names(environ) == [
        "LICSRV_DATABSE_URL (did you mean LICSRV_DATABASE_URL?)",
        "LICSRV_MARKETPLACE_SK_FIEL (did you mean LICSRV_MARKETPLACE_SK?)",
        "LICSRV_SOMETHING_ELSE_ENTIRELY",
    ]


@given(
    st.dictionaries(
        st.sampled_from([name.upper() for name in Settings.model_fields]),
        st.text(max_size=40).filter(lambda text: "\0" not in text),
        max_size=6,
    )
)
def test_whatever_is_set_is_read_or_refused_with_sentences(values: dict[str, str]) -> None:
    try:
        outcome = repr(read(**values))
    except SettingsError as error:
        outcome = str(error)

    assert outcome.startswith(("Settings(", "Settings are wrong:\n  - LICSRV_"))
