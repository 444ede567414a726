from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client_stub.machine.store import Condition, LicenseStore, Loaded, Record, default_path
from client_stub.trust import devices
from tests.client_stub.signing import DEVICE, OTHER_DEVICE

MACHINE = devices.parse(DEVICE)
RECORD = Record(
    license_string="a.b.c",
    obtained_at=1_000,
    highest_seen_at=2_000,
    refresh_after=3_000,
    lease="d.e.f",
    lease_nonce="n",
)


@pytest.fixture
def store(tmp_path: Path) -> LicenseStore:
    return LicenseStore(tmp_path / "folder" / "license.json")


def edit(store: LicenseStore, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(store.path.read_text())
    change(content)
    store.path.write_text(json.dumps(content))


def test_what_was_saved_is_loaded(store: LicenseStore) -> None:
    assert store.save(RECORD, MACHINE)

    assert store.load(MACHINE) == Loaded(RECORD, Condition.GOOD)


def test_the_last_save_counts(store: LicenseStore) -> None:
    store.save(RECORD, MACHINE)
    store.save(replace(RECORD, highest_seen_at=9_000), MACHINE)

    loaded = store.load(MACHINE).record

    assert loaded is not None
    assert loaded.highest_seen_at == 9_000
    assert [path.name for path in store.path.parent.iterdir()] == ["license.json"]


def test_a_missing_file_is_like_a_new_store(store: LicenseStore) -> None:
    assert store.load(MACHINE) == Loaded(None, Condition.MISSING)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_the_file_is_for_its_user_only(store: LicenseStore) -> None:
    store.save(RECORD, MACHINE)

    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 60_000, b" " * 70_000, b'{"record":{},"device":{}}'],
    ids=lambda content: repr(content[:12]),
)
def test_a_damaged_file_is_like_a_new_store(store: LicenseStore, content: bytes) -> None:
    store.save(RECORD, MACHINE)
    store.path.write_bytes(content)

    assert store.load(MACHINE) == Loaded(None, Condition.DAMAGED)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["record"].update(highest_seen_at=1_999),
        lambda content: content["record"].update(obtained_at=1_001),
        lambda content: content["record"].update(lease="x.y.z"),
        lambda content: content["record"].update(license_string="x.y.z"),
        lambda content: content["record"].update(license_string=None),
        lambda content: content["record"].update(license_string="\ud800"),
        lambda content: content["record"].update(highest_seen_at=True),
        lambda content: content["record"].update(highest_seen_at=10**30),
        lambda content: content["record"].update(refresh_after="soon"),
        lambda content: content["record"].update(license_file="x"),
        lambda content: content["record"].update(license_file=None),
        lambda content: content["record"].update(more=1),
        lambda content: content["record"].pop("obtained_at"),
        lambda content: content.update(record=[]),
        lambda content: content.update(version=2),
        lambda content: content.update(check="0" * 64),
        lambda content: content.update(check="é"),
        lambda content: content.update(device={}),
        lambda content: content.update(device=[]),
        lambda content: content["device"].update(mac=[[]]),
        lambda content: content["device"].pop("mac"),
    ],
)
def test_an_edited_file_is_not_believed(store: LicenseStore, change: Callable[[dict[str, Any]], object]) -> None:
    store.save(RECORD, MACHINE)

    edit(store, change)

    assert store.load(MACHINE) == Loaded(None, Condition.DAMAGED)


def test_a_file_from_another_machine_is_not_believed(store: LicenseStore) -> None:
    store.save(RECORD, devices.parse(OTHER_DEVICE))

    assert store.load(MACHINE) == Loaded(None, Condition.FOREIGN)


def test_a_new_network_card_does_not_cost_the_store(store: LicenseStore) -> None:
    store.save(RECORD, MACHINE)

    assert store.load(devices.parse("02:00:00:00:00:01|S1|BRD-9|CPU-1")).condition is Condition.GOOD


def test_a_device_that_identifies_nothing_has_a_store_too(store: LicenseStore) -> None:
    store.save(RECORD, devices.parse("|||"))
    edit_is_noticed = store.load(devices.parse("|||"))
    edit(store, lambda content: content["record"].update(highest_seen_at=1))

    assert edit_is_noticed.condition is Condition.GOOD
    assert store.load(devices.parse("|||")).condition is Condition.DAMAGED


def test_device_facts_are_not_in_the_file(store: LicenseStore) -> None:
    store.save(RECORD, MACHINE)

    content = store.path.read_text()

    assert not any(fact in content for fact in ("047C165EE35D", "BRD-9", "CPU-1"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_any_changed_byte_is_noticed_or_meaningless(store: LicenseStore, position: int, byte: int) -> None:
    store.save(RECORD, MACHINE)
    content = bytearray(store.path.read_bytes())
    content[position % len(content)] = byte
    store.path.write_bytes(bytes(content))

    assert store.load(MACHINE).record in (RECORD, None)


def test_a_place_that_cannot_be_written_is_survived(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = LicenseStore(tmp_path / "file" / "license.json")

    assert store.save(RECORD, MACHINE) is False
    assert store.load(MACHINE).record is None


def test_a_folder_in_the_place_of_the_file_is_survived(store: LicenseStore) -> None:
    store.path.mkdir(parents=True)

    assert store.save(RECORD, MACHINE) is False
    assert store.load(MACHINE) == Loaded(None, Condition.DAMAGED)
    assert list(store.path.parent.iterdir()) == [store.path]


def test_the_default_path_is_the_users_own_and_does_not_name_the_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))

    path = default_path("PL0001")

    assert "PL0001" not in path.name
    assert path.name != default_path("PL0002").name
    if sys.platform != "darwin":
        assert path.is_relative_to(tmp_path)


def test_a_license_file_is_remembered_too(store: LicenseStore) -> None:
    record = Record(license_string="", obtained_at=1_000, highest_seen_at=2_000, license_file="# 许可证\n" * 2000)

    store.save(record, MACHINE)

    assert store.load(MACHINE).record == record


def test_a_store_written_before_there_were_license_files_is_still_good(store: LicenseStore) -> None:
    store.save(RECORD, MACHINE)

    assert "license_file" not in json.loads(store.path.read_text())["record"]
    assert store.load(MACHINE).record == RECORD
