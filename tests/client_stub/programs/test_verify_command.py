"""``python -m client_stub verify FILE``."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from client_stub.__main__ import main
from tests.client_stub.signing import DEVICE, OTHER_DEVICE, Vendor, list_entry

AT = ["--at", "2026-05-04T08:00:00Z"]


@pytest.fixture
def folder(tmp_path: Path, vendor: Vendor) -> Path:
    (tmp_path / "cad.lic").write_bytes(
        vendor.license_file(maint=1800000000, ent={"export": {"v": "3", "exp": 1900000000}})
    )
    (tmp_path / "double.lic").write_bytes(vendor.license_file(is_double=True))
    (tmp_path / "string.lic").write_text(vendor.license_string())
    (tmp_path / "keys.json").write_text(json.dumps(vendor.jwks_with_second))
    (tmp_path / "list.jws").write_text(vendor.revocation_list([list_entry("string:lf_1")]) + "\n")
    return tmp_path


def verify(folder: Path, file: str, *arguments: str, device: str = DEVICE) -> tuple[int, str]:
    output = io.StringIO()
    fixed = ["verify", str(folder / file), "--keys", str(folder / "keys.json"), "--device", device, *AT]
    return main([*fixed, *arguments], output=output), output.getvalue()


def test_a_good_file_is_described(folder: Path) -> None:
    code, output = verify(folder, "cad.lic", "--product", "cad", "--issuer", "https://license.example")

    assert code == 0
    assert "License for cad verified on this computer, without network." in output
    assert "draw, export" in output
    assert "New versions until: 2027-01-15" in output


@pytest.mark.parametrize(
    ("file", "arguments", "word"),
    [
        ("string.lic", [], "MALFORMED"),
        ("list.jws", [], "MALFORMED"),
        ("cad.lic", ["--device", OTHER_DEVICE], "DEVICE_MISMATCH"),
        ("cad.lic", ["--product", "cam"], "WRONG_PRODUCT"),
        ("cad.lic", ["--issuer", "https://other.example"], "WRONG_ISSUER"),
        ("cad.lic", ["--require-both"], "BAD_SIGNATURE"),
        ("cad.lic", ["--at", "2099-01-01"], "EXPIRED"),
    ],
)
def test_a_file_that_is_not_believed_is_refused_with_a_reason(
    folder: Path, file: str, arguments: list[str], word: str
) -> None:
    code, output = verify(folder, file, *arguments)

    assert code == 1
    assert f"({word})" in output


def test_both_signatures_can_be_demanded(folder: Path) -> None:
    assert verify(folder, "double.lic", "--require-both")[0] == 0


def test_a_file_on_the_revocation_list_is_refused(folder: Path) -> None:
    code, output = verify(folder, "cad.lic", "--revocations", str(folder / "list.jws"))

    assert code == 1
    assert "(REVOKED)" in output


def test_a_list_that_is_not_believed_is_no_list(folder: Path) -> None:
    assert verify(folder, "cad.lic", "--revocations", str(folder / "cad.lic"))[0] == 1


def test_changes_alone_are_no_list_unless_they_name_the_license(folder: Path, vendor: Vendor) -> None:
    for name, entries in (("others", []), ("ours", [list_entry("string:lf_1")])):
        (folder / name).write_text(vendor.revocation_list(entries, number=9, since=7))

    silent = verify(folder, "cad.lic", "--revocations", str(folder / "others"))
    naming = verify(folder, "cad.lic", "--revocations", str(folder / "ours"))

    assert (silent[0], naming[0]) == (1, 1)
    assert "(NEEDS_FULL)" in silent[1]
    assert "(REVOKED)" in naming[1]


def test_programs_get_json(folder: Path) -> None:
    good, bad = verify(folder, "cad.lic", "--json"), verify(folder, "string.lic", "--json")

    read = json.loads(good[1])
    assert read["verified"] is True
    assert read["license"]["license_id"] == "lic_1"
    assert read["license"]["expires_at"] == "2027-05-04T08:00:00+00:00"
    assert read["license"]["entitlements"] == {"export": {"value": "3", "ends_at": "2030-03-17T17:46:40+00:00"}}
    assert (good[0], bad[0]) == (0, 1)
    assert json.loads(bad[1])["code"] == "MALFORMED"


@pytest.mark.parametrize(
    ("file", "arguments", "word"),
    [
        ("missing.lic", [], "No such file"),
        ("cad.lic", ["--keys", "missing.json"], "missing.json cannot be read"),
        ("cad.lic", ["--revocations", "missing.jws"], "No such file"),
    ],
)
def test_what_cannot_be_looked_at_is_named(folder: Path, file: str, arguments: list[str], word: str) -> None:
    code, output = verify(folder, file, *arguments)

    assert code == 2
    assert word in output


@pytest.mark.parametrize("content", ["[]", "{}", "no json", '{"keys":[]}'])
def test_a_file_that_holds_no_keys_is_named(folder: Path, content: str) -> None:
    (folder / "keys.json").write_text(content)

    assert verify(folder, "cad.lic")[0] == 2


def test_a_moment_that_is_none_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        verify(folder, "cad.lic", "--at", "soon")

    assert "--at" in capsys.readouterr().err
