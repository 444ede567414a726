"""Uploads of licenses: both forms, every way to be wrong, and every documented code."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.online import Shop, form

KEY = "demo-callback-access-key"
PROCESSING = {"resultCode": "000004"}


async def test_a_string_is_uploaded(shop: Shop) -> None:
    event = (await shop.apply((await shop.buy())["instance_id"]))["event_id"]

    assert await shop.upload_string(event, "a.b.c") == {"error_code": "CBC.0000", "error_msg": "Success"}

    application = await shop.get(f"/online/applications/{event}")
    assert (application["state"], application["upload"]["characters"]) == ("uploaded", "a.b.c")


async def test_a_file_is_uploaded(shop: Shop) -> None:
    event = (await shop.apply((await shop.buy())["instance_id"], kind="file"))["event_id"]
    content = bytes(range(256)) * 40 + b"\r\n--the-other\r\n\r\n"

    assert (await shop.upload_file(event, content))["error_code"] == "CBC.0000"

    upload = (await shop.get(f"/online/applications/{event}"))["upload"]
    assert (upload["size"], upload["file_name"]) == (len(content), "license.lic")


async def test_the_file_parts_own_name_stands_in_and_surplus_characters_are_ignored(shop: Shop) -> None:
    event = (await shop.apply((await shop.buy())["instance_id"]))["event_id"]

    answer = await shop.upload_file(event, b"x", file_name=None, characters="111")

    assert answer["error_code"] == "CBC.0000"
    assert (await shop.get(f"/online/applications/{event}"))["upload"]["file_name"] == "111.jpg"


async def test_a_body_may_be_left_out_of_an_uploads_signature_and_of_no_other(shop: Shop) -> None:
    event = (await shop.apply((await shop.buy())["instance_id"]))["event_id"]

    assert (await shop.upload_string(event, "a.b.c", unsigned=True))["error_code"] == "CBC.0000"
    assert await shop.open_api.code("/v1/license/activate", {}, unsigned=True) == "APIGW.0301"


SHA_X = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
BAD_UPLOADS: list[tuple[Any, bytes | None, int, str]] = [
    ([], None, 400, "CBC.0101"),
    ({}, None, 400, "CBC.0101"),
    ({"type": "characters", "characters": "x"}, None, 400, "CBC.0101"),
    ({"type": "CHARACTERS"}, None, 400, "CBC.0101"),
    ({"type": "CHARACTERS", "characters": 5}, None, 400, "CBC.0101"),
    ({"type": "CHARACTERS", "characters": "x" * 1025}, None, 400, "CBC.0101"),
    ({"type": "CHARACTERS", "characters": " "}, None, 200, "91381037"),
    ({"type": "FILE", "file_name": "a", "sha256": SHA_X}, None, 400, "CBC.0101"),
    ({"type": "FILE", "file_name": "a"}, b"x", 400, "CBC.0101"),
    ({"type": "FILE", "file_name": "", "sha256": SHA_X}, b"x", 400, "CBC.0101"),
    ({"type": "FILE", "file_name": "a", "sha256": "授"}, b"x", 200, "91381037"),
    ({"type": "FILE", "file_name": "a", "sha256": SHA_X}, b"y", 200, "91381037"),
]


@pytest.mark.parametrize(("fields", "file", "status", "code"), BAD_UPLOADS, ids=range(len(BAD_UPLOADS)))
async def test_wrong_uploads_are_refused(
    shop: Shop, fields: object, file: bytes | None, status: int, code: str
) -> None:
    event = (await shop.apply((await shop.buy())["instance_id"]))["event_id"]

    answer = await shop.send_form(event, form(fields, file))

    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert (await shop.get(f"/online/applications/{event}"))["state"] == "open"


BAD_FORMS = [
    (b"", None),
    (b"--the-boundary--\r\n", None),
    (b'{"type":"CHARACTERS","characters":"x"}', "application/json"),
    (b"--the-boundary\r\n\r\n\r\n--the-boundary--", None),
    (b"--the-boundary\r\nno header\r\n--the-boundary--", None),
    (b"--the-boundary\r\nbroken\r\n\r\nx\r\n--the-boundary--", None),
    (b"--the-boundary\r\nContent-Disposition: form-data\r\n\r\nx\r\n--the-boundary--", None),
    (b"--the-boundary\r\n\xff: x\r\n\r\nx\r\n--the-boundary--", None),
    (b"--the-boundary\r\n" * 30 + b"--the-boundary--", None),
    (b"--x--", "multipart/form-data"),
]


@pytest.mark.parametrize(("content", "content_type"), BAD_FORMS, ids=range(len(BAD_FORMS)))
async def test_a_form_that_cannot_be_read_is_an_invalid_parameter(
    shop: Shop, content: bytes, content_type: str | None
) -> None:
    answer = await shop.send_form("evt", content, **({"content_type": content_type} if content_type else {}))

    assert (answer.status_code, answer.json()["error_code"]) == (400, "CBC.0101")


async def test_an_upload_belongs_to_an_application(shop: Shop) -> None:
    assert await shop.upload_string("evt-nobody", "x") == {
        "error_code": "91381034",
        "error_msg": "license apply invalid",
    }
    assert (await shop.upload_string("e" * 65, "x"))["error_code"] == "CBC.0101"


async def test_the_same_upload_again_succeeds_and_another_one_does_not(shop: Shop) -> None:
    event = (await shop.apply((await shop.buy())["instance_id"]))["event_id"]

    codes = [(await shop.upload_string(event, text))["error_code"] for text in ("a", "a", "b")]

    assert codes == ["CBC.0000", "CBC.0000", "91381034"]
    assert (await shop.get(f"/online/applications/{event}"))["uploads"] == 2


async def test_a_quota_counts_devices(shop: Shop) -> None:
    instance = (await shop.buy(license_quota=1))["instance_id"]
    first = (await shop.apply(instance, device_info="A|||"))["event_id"]
    await shop.upload_string(first, "a")
    again = (await shop.apply(instance, device_info="A|||"))["event_id"]
    other = (await shop.apply(instance, device_info="B|||"))["event_id"]

    assert (await shop.upload_string(again, "a2"))["error_code"] == "CBC.0000"
    assert (await shop.upload_string(other, "b"))["error_code"] == "91381035"
    await shop.post(f"/online/instances/{instance}/quota", {"license_quota": 2})
    assert (await shop.upload_string(other, "b"))["error_code"] == "CBC.0000"


async def test_a_released_instance_takes_no_upload(shop: Shop) -> None:
    instance = (await shop.buy())["instance_id"]
    event = (await shop.apply(instance))["event_id"]
    await shop.post(f"/online/instances/{instance}/release")

    assert (await shop.upload_string(event, "a"))["error_code"] == "91381033"


FORCED = ["CBC.0150", "CBC.0101", "CBC.0999", "91381033", "91381034", "91381035", "91381036", "91381037", "91381038"]


@pytest.mark.parametrize("code", [*FORCED, "91380150"])
async def test_every_code_of_the_upload_can_be_forced(shop: Shop, code: str) -> None:
    event = (await shop.apply((await shop.buy())["instance_id"]))["event_id"]
    await shop.post("/faults", {"side": "open_api", "kind": "error_code", "value": code, "path": "upload", "times": 1})

    codes = [(await shop.upload_string(event, "a"))["error_code"] for _ in range(2)]

    assert codes == [code, "CBC.0000"]
