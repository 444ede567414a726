"""The messages of events: to the letter as published, and read in every form that was seen."""

from __future__ import annotations

import json

import pytest

from client_stub.session import events
from client_stub.session.events import EventMessageError, EventType, LicenseType, read_message
from tests.tables import each

# protocol/online-license-and-sdk.md §1.4, "Published samples".
SAMPLES = [
    (
        EventType.EVENT_LICENSE_VERIFY,
        events.license_arrived("0078369f54-a3ce-4dc7-8a62-904555416f9000"),
        (
            r'{"operate":"LicenseVerify","params":{"Status":"success",'
            r'"LicenseContent":"0078369f54-a3ce-4dc7-8a62-904555416f9000","LicenseType":"string"},"comeBackParams":{}}'
        ),
    ),
    (
        EventType.EVENT_LICENSE_VERIFY,
        events.license_file_arrived("D:\\license.lic"),
        (
            r'{"operate":"LicenseVerify","params":{"Status":"success","LicenseFilePath":"D:\\license.lic",'
            r'"LicenseType":"file"},"comeBackParams":{}}'
        ),
    ),
    (
        EventType.EVENT_UPGRADENOTICE,
        events.upgrade_notice(available=False),
        r'{"operate":"UpgradeNotice","params":{"available":"false"},"comeBackParams":{}}',
    ),
    (
        EventType.EVENT_UPDATE,
        events.update(is_forced=True),
        r'{"operate":"Update","params":{"fromForceWin":"true"},"comeBackParams":{}}',
    ),
    (
        EventType.EVENT_OPENCLOUDFILE_RESULT,
        events.open_file_result("路径\\xxx3.txt"),
        (
            r'{"operate":"OpenFile","params":{"mainFile":"路径\\xxx3.txt","openType":"OpenOnly","workState":"CHECKIN",'
            r'"assembly":"false"},"comeBackParams":{}}'
        ),
    ),
    (
        EventType.EVENT_SAVE_RESULT,
        events.save_result(is_saved=True),
        r'{"operate":"SaveResult","params":{"status":"success"},"comeBackParams":{}}',
    ),
]


def test_messages_are_the_published_ones_to_the_letter() -> None:
    for row in each(SAMPLES):
        with row as (event, made, published):
            assert made == published
            assert read_message(published).event is event
            assert json.loads(published)["comeBackParams"] == {}


def test_messages_without_a_sample_keep_the_form() -> None:
    for row in each(
        [
            (
                events.license_failed(),
                (
                    '{"operate":"LicenseVerify","params":{"Status":"failed","LicenseContent":"","LicenseType":"string"},'
                    '"comeBackParams":{}}'
                ),
            ),
            (
                events.license_failed(LicenseType.LICENSE_TYPE_FILE),
                (
                    '{"operate":"LicenseVerify","params":{"Status":"failed","LicenseFilePath":"","LicenseType":"file"},'
                    '"comeBackParams":{}}'
                ),
            ),
            (
                events.upgrade_notice(available=True),
                '{"operate":"UpgradeNotice","params":{"available":"true"},"comeBackParams":{}}',
            ),
            (
                events.upgrade_notice(available=False, as_boolean=True),
                '{"operate":"UpgradeNotice","params":{"available":false},"comeBackParams":{}}',
            ),
            (
                events.update(is_forced=False),
                '{"operate":"Update","params":{"fromForceWin":"false"},"comeBackParams":{}}',
            ),
            (
                events.save_result(is_saved=False),
                '{"operate":"SaveResult","params":{"status":"failed"},"comeBackParams":{}}',
            ),
            (
                events.open_file_result("/a/b", open_type="OpenAndCheckout", work_state="CHECKOUT", is_assembly=True),
                (
                    '{"operate":"OpenFile","params":{"mainFile":"/a/b","openType":"OpenAndCheckout","workState":"CHECKOUT",'
                    '"assembly":"true"},"comeBackParams":{}}'
                ),
            ),
        ]
    ):
        with row as (made, expected):
            assert made == expected


def test_available_is_read_as_a_string_and_as_a_boolean() -> None:
    for row in each(
        [
            ('"true"', True),
            ("true", True),
            ('"TRUE"', True),
            ('"false"', False),
            ("false", False),
            ("null", False),
            ("1", False),
        ]
    ):
        with row as (available, expected):
            message = read_message(
                f'{{"operate":"UpgradeNotice","params":{{"available":{available}}},"comeBackParams":{{}}}}'
            )

            assert message.flag("available") is expected


def test_a_failure_is_read_with_and_without_content() -> None:
    for row in each([{"Status": "failed"}, {"Status": "failed", "LicenseContent": ""}, {}]):
        with row as parameters:
            message = read_message(json.dumps({"operate": "LicenseVerify", "params": parameters}))

            assert not message.is_success
            assert message.text("LicenseContent") == ""


def test_success_is_read_in_both_spellings() -> None:
    assert all(read_message(made).is_success for _, made, _ in SAMPLES if "success" in made)
    assert not read_message(events.save_result(is_saved=False)).is_success


def test_an_operate_that_is_not_known_is_no_event() -> None:
    assert read_message('{"operate":"Heartbeat","params":{}}').event is None


def test_what_is_no_message_is_refused() -> None:
    for row in each(
        [
            "",
            "no json",
            "[]",
            "null",
            "{}",
            '{"operate":7,"params":{}}',
            '{"operate":"Update"}',
            "[" * 5000,
            " " * 300_000,
        ]
    ):
        with row as text, pytest.raises(EventMessageError):
            read_message(text)
