"""License files: their form, their signatures, what they say to people, and the names they may have."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import KeySet, OKPKey

from licsrv.errors import InvalidRequestError
from licsrv.licensing import fingerprints
from licsrv.licensing.issuing import files, strings
from licsrv.licensing.issuing.files import FileDetails, SignedFile
from licsrv.licensing.issuing.strings import LicenseTerms
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Algorithm, Keyring, Purpose
from tests.conftest import DEVICE, NOW
from tests.licensing.reading import read_file

REGISTRY = jws.JWSRegistry(algorithms=["EdDSA"], strict_check_header=False)
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
TERMS = LicenseTerms(
    issuer="licsrv", issued_id="j" * 23, license_id="l" * 23, code="PL0000000001", product="CAD", features=["export"],
    amount=2, is_test=False, is_provisional=False, issued_at=NOW, starts_at=NOW,
    ends_at=NOW + timedelta(days=1),
)  # fmt: skip


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    folder = KeyFolder(tmp_path_factory.mktemp("keys"))
    folder.ensure(now=NOW)
    folder.make(Purpose.LICENSE, now=NOW, algorithm=Algorithm.ML_DSA_65)
    return folder.read()


def sign(
    keyring: Keyring, terms: LicenseTerms = TERMS, *, twice: bool = False, info: str = DEVICE, **details: Any
) -> SignedFile:
    return files.sign_file(
        terms,
        FileDetails(**details),
        fingerprints.parse(info),
        salt=b"s" * 12,
        key=keyring.signer(Purpose.LICENSE, now=NOW),
        second=keyring.second_signer(now=NOW) if twice else None,
    )


@pytest.mark.parametrize("twice", [False, True])
def test_a_file_has_the_form_and_the_signatures(keyring: Keyring, *, twice: bool) -> None:
    signed = sign(keyring, twice=twice, order_id="CS1", file_name="a.lic", device_name="CAD-WS-07")

    read = read_file(signed.text.encode(), keyring.jwks())
    assert read.claims == signed.claims
    assert (read.claims["order"], read.claims["file"], read.claims["sub"]) == ("CS1", "a.lic", "l" * 23)
    assert len(read.headers) == (2 if twice else 1)


def test_an_independent_library_verifies_a_file(keyring: Keyring) -> None:
    signed = sign(keyring)
    body = "".join(line for line in signed.text.splitlines() if not line.startswith(("#", "-")))
    keys = KeySet([OKPKey.import_key(dict(jwk)) for jwk in keyring.jwks()["keys"] if jwk["kty"] == "OKP"])

    read = jws.deserialize_json(json.loads(base64.b64decode(body)), keys, registry=REGISTRY)

    assert json.loads(read.payload) == signed.claims


def test_an_independent_library_verifies_the_first_of_two_signatures(keyring: Keyring) -> None:
    signed = sign(keyring, twice=True)
    document = read_file(signed.text.encode(), keyring.jwks()).document
    keys = KeySet([OKPKey.import_key(dict(jwk)) for jwk in keyring.jwks()["keys"] if jwk["kty"] == "OKP"])

    alone = document | {"signatures": document["signatures"][:1]}

    assert json.loads(jws.deserialize_json(alone, keys, registry=REGISTRY).payload) == signed.claims


def test_a_file_can_be_made_again_from_what_is_kept(keyring: Keyring) -> None:
    signed = sign(keyring, twice=True)
    comments = files.comment_lines(TERMS, FileDetails())
    key = keyring.signer(Purpose.LICENSE, now=NOW)

    again = files.armoured(comments, strings.payload(signed.claims), key=key, second=signed.second)

    assert again == signed.text
    assert sign(keyring, twice=True).text != signed.text, "ML-DSA signs the same bytes in many ways"


def test_a_changed_comment_is_noticed(keyring: Keyring) -> None:
    text = sign(keyring).text.replace("PL0000000001", "PL0000000002")

    with pytest.raises(AssertionError):
        read_file(text.encode(), keyring.jwks())


def test_the_second_signature_cannot_be_taken_away_or_changed(keyring: Keyring) -> None:
    signed = sign(keyring, twice=True)
    assert signed.second is not None
    other = keyring.second_signer(now=NOW).sign(strings.payload(signed.claims))
    comments, key = files.comment_lines(TERMS, FileDetails()), keyring.signer(Purpose.LICENSE, now=NOW)
    unsigned_header = files.armoured(comments, strings.payload(signed.claims), key=key)

    replaced = signed.text.replace(_lines(signed.text), _lines_with(signed.text, other.value))

    assert replaced != signed.text
    with pytest.raises(AssertionError):
        read_file(replaced.encode(), keyring.jwks())
    assert "second" not in read_file(unsigned_header.encode(), keyring.jwks()).headers[0]


def _lines(text: str) -> str:
    return text.split("-----BEGIN LICENSE-----\n")[1].split("-----END", maxsplit=1)[0]


def _lines_with(text: str, second: bytes) -> str:
    document = json.loads(base64.b64decode(_lines(text).replace("\n", "")))
    document["signatures"][1]["signature"] = strings.b64(second)
    body = base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()
    return "".join(f"{body[start : start + 64]}\n" for start in range(0, len(body), 64))


def test_a_string_does_not_verify_as_a_file(keyring: Keyring) -> None:
    key = keyring.signer(Purpose.LICENSE, now=NOW)
    _, payload, signature = key.sign(b"{}").split(".")
    header = files.armoured("", b"{}", key=key)
    protected = json.loads(base64.b64decode(_lines(header).replace("\n", "")))["signatures"][0]["protected"]

    with pytest.raises(InvalidSignature):
        key.private.public_key().verify(base64.urlsafe_b64decode(signature + "=="), f"{protected}.{payload}".encode())


def test_the_comments_say_what_a_person_wants_to_know(keyring: Keyring) -> None:
    terms = replace(TERMS, product="三维设计", maintenance_until=datetime(2027, 1, 31, tzinfo=UTC))

    comments = read_file(sign(keyring, terms, device_name="设计-07").text.encode(), keyring.jwks()).comments

    assert comments.splitlines() == [
        "# License file / 许可证文件",
        "#",
        "# Product / 产品: 三维设计",
        "# License code / 授权码: PL0000000001",
        "# Device / 设备: 设计-07",
        "# Valid until / 有效期至: 2026-03-02 09:30 UTC",
        "# Updates until / 更新维护至: 2027-01-31 00:00 UTC",
        "# Issued at / 签发时间: 2026-03-01 09:30 UTC",
        "# Issuer / 签发方: licsrv",
        "#",
        "# Any change to this file makes it invalid. / 请勿修改本文件，任何改动都会使其失效。",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"ends_at": None}, "# Valid until / 有效期至: without an end / 永久有效"),
        ({"starts_at": NOW + timedelta(days=1)}, "# Valid from / 有效期自: 2026-03-02 09:30 UTC"),
        ({"is_test": True}, "# Kind / 类型: test license / 测试许可证"),
        ({"is_provisional": True}, "# Kind / 类型: provisional / 临时许可证"),
    ],
)
def test_what_is_special_of_a_license_is_told(changes: dict[str, Any], line: str) -> None:
    assert line in files.comment_lines(replace(TERMS, **changes), FileDetails()).splitlines()


def test_no_device_fact_stands_in_a_file(keyring: Keyring) -> None:
    text = sign(keyring, device_name="CAD").text
    claims = json.dumps(read_file(text.encode(), keyring.jwks()).claims)

    for raw in ("047C165EE35D", "04:7C:16:5E:E3:5D", "001B_444A_488B_5CEC", "BOARD-1", "BFEBFBFF00090672"):
        assert raw not in text
        assert raw not in claims


@given(st.text(max_size=100), st.text(max_size=64))
def test_no_name_can_leave_its_line(device_name: str, product: str) -> None:
    comments = files.comment_lines(replace(TERMS, product=product), FileDetails(device_name=device_name))

    assert comments.endswith("\n")
    for line in comments[:-1].split("\n"):
        assert line == "#" or line.startswith("# ")
        assert line.isprintable()


def test_a_file_has_room_for_what_a_string_has_not(keyring: Keyring) -> None:
    macs = ",".join(f"02:00:00:00:00:{number:02X}" for number in range(1, 65))
    terms = replace(TERMS, features=["feature" * 9] * 200)

    read = read_file(sign(keyring, terms, twice=True, info=f"{macs}|D|B|C").text.encode(), keyring.jwks())

    assert len(read.claims["dev"]["m"]) == 64
    assert len(read.claims["feat"]) == 200


def test_a_file_that_no_verifier_would_read_is_refused(keyring: Keyring) -> None:
    with pytest.raises(InvalidRequestError, match="65536"):
        sign(keyring, replace(TERMS, features=["feature" * 9] * 1000))


def test_the_end_of_maintenance_stands_in_both_forms(keyring: Keyring) -> None:
    terms = replace(TERMS, maintenance_until=NOW + timedelta(days=30))
    key = keyring.signer(Purpose.LICENSE, now=NOW)

    _, in_string = strings.sign_license(terms, fingerprints.parse(DEVICE), salt=b"s" * 12, key=key)

    assert in_string["maint"] == sign(keyring, terms).claims["maint"] == in_string["iat"] + 30 * 86400
    assert "maint" not in sign(keyring).claims


@pytest.mark.parametrize(
    ("name", "is_safe"),
    [
        ("license.lic", True), ("设计 许可证.lic", True), ("a", True), (".lic", True), ("a..b", True),
        ("CONSOLE", True),
        (".", False), ("..", False), ("a/b", False), ("a\\b", False), ("c:x", False), ("a*", False), ("a?", False),
        ('a"', False), ("<a", False), ("a>", False), ("a|b", False), ("a\x00", False), ("a\n", False),
        ("a\u202eb", False), ("a\u2028", False), (" a", False), ("a ", False), ("a.", False), ("CON", False),
        ("con.lic", False), ("nul .lic", False), ("COM1.lic", False), ("lpt9", False), ("\ud800", False),
    ],
)  # fmt: skip
def test_a_name_is_safe_on_every_system(name: str, *, is_safe: bool) -> None:
    assert files.is_safe_name(name) is is_safe


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("license.lic", 'attachment; filename="license.lic"'),
        ("my license.lic", 'attachment; filename="my license.lic"'),
        ("许可.lic", "attachment; filename=\"__.lic\"; filename*=UTF-8''%E8%AE%B8%E5%8F%AF.lic"),
        ("50%.lic", "attachment; filename=\"50_.lic\"; filename*=UTF-8''50%25.lic"),
        ("é'x.lic", "attachment; filename=\"_'x.lic\"; filename*=UTF-8''%C3%A9%27x.lic"),
    ],
)
def test_a_download_is_named_in_ascii_and_whole(name: str, header: str) -> None:
    assert files.content_disposition(name) == header
    header.encode("latin-1")


def test_a_files_first_key_is_that_of_strings(keys_dir: Path) -> None:
    keyring = KeyFolder(keys_dir).read()

    assert "second" not in read_file(sign(keyring).text.encode(), keyring.jwks()).headers[0]
