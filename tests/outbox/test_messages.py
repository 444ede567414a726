"""What is stored of a message is stable: rows of the version before are read, and damaged ones are named."""

from __future__ import annotations

import json
from datetime import date

import pytest

from licsrv.errors import UnreadableMessageError
from licsrv.outbox.messages import ActivateLicense, Message, QueryLicense, QueryOrder, ReportUsage, UploadLicense
from tests.tables import each

LICENSE = "01JD0000000000000000000"
SEALED = "v1.c2VhbGVk"

# The rows as they are in databases in use: kind, ordering key and payload. Never change a line; add one.
STORED: list[tuple[str, str, str, Message]] = [
    ("activate_license", LICENSE, '{"code": "PL1"}', ActivateLicense(LICENSE, code="PL1")),
    ("query_license", LICENSE, '{"code": "PL1"}', QueryLicense(LICENSE, code="PL1")),
    (
        "query_order", LICENSE, '{"code": "PL1", "order_id": "CS1", "order_line_id": "CS1-1"}',
        QueryOrder(LICENSE, code="PL1", order_id="CS1", order_line_id="CS1-1"),
    ),
    (
        "query_order", "CS1", '{"code": "", "order_id": "CS1", "order_line_id": ""}',
        QueryOrder("", code="", order_id="CS1", order_line_id=""),
    ),
    (
        "report_usage", LICENSE, '{"code": "PL1", "client_id": "01JD1", "day": "2026-11-30"}',
        ReportUsage(LICENSE, code="PL1", client_id="01JD1", day=date(2026, 11, 30)),
    ),
    (
        "upload_license", LICENSE, f'{{"event_id": "E1", "file_name": null, "sealed": "{SEALED}"}}',
        UploadLicense(LICENSE, event_id="E1", file_name=None, sealed=SEALED),
    ),
    (
        "upload_license", LICENSE, f'{{"event_id": "E1", "file_name": "license.lic", "sealed": "{SEALED}"}}',
        UploadLicense(LICENSE, event_id="E1", file_name="license.lic", sealed=SEALED),
    ),
]  # fmt: skip


def test_a_message_is_stored_as_it_always_was_and_read_back() -> None:
    for row in each(STORED):
        with row as (kind, ordering_key, payload, message):
            assert kind == message.KIND
            assert message.ordering_key == ordering_key
            assert message.payload() == json.loads(payload)
            assert type(message).read(ordering_key, payload) == message


def test_a_member_that_a_newer_version_wrote_is_ignored() -> None:
    for row in each(STORED):
        with row as (_, ordering_key, payload, message):
            newer = json.dumps(json.loads(payload) | {"since_next_version": [1], "license_id": "another"})
            assert type(message).read(ordering_key, newer) == message


def test_a_damaged_payload_is_named_by_its_members_and_never_by_its_values() -> None:
    for row in each(STORED):
        with row as (_, ordering_key, payload, message):
            members = json.loads(payload)
            for name in members:
                for damaged in ({**members, name: {"secret": 1}}, {**members, name: 7.5}, without(members, name)):
                    with pytest.raises(UnreadableMessageError, match=rf"cannot be read: {name} missing or wrong$"):
                        type(message).read(ordering_key, json.dumps(damaged))


def without(members: dict[str, object], name: str) -> dict[str, object]:
    return {kept: value for kept, value in members.items() if kept != name}


def test_what_is_no_json_object_is_refused() -> None:
    nested = "[" * 100_000
    for row in each(["", "{", "[]", "null", "7", '"text"', "\ufeff{}", nested], names=range(8)):
        with row as payload, pytest.raises(UnreadableMessageError, match="the stored message is not "):
            QueryLicense.read(LICENSE, payload)


def test_a_sealed_license_is_in_no_printed_form() -> None:
    assert SEALED not in repr(STORED[-1][-1])
