"""The C library and the second signature: verified where libcrypto knows ML-DSA-65, and a clear word where not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client_stub.c import c_verifier
from tests.client_stub.c.c_verifier import VECTORS, Tool
from tests.client_stub.signing import DEVICE, NOW, SecondKey, Vendor, armour, compact, file_claims, file_document

VENDOR = Vendor()
DOUBLE = VENDOR.license_file(is_double=True)
SINGLE = VENDOR.license_file()


class Impostor(SecondKey):
    """Signs with a key of its own under the name of the vendor's."""

    @property
    def kid(self) -> str:
        return VENDOR.second_key.kid


FORGED = armour(compact(file_document(VENDOR.license_key, file_claims(), Impostor())))
UNKNOWN = armour(compact(file_document(VENDOR.license_key, file_claims(), SecondKey())))


@pytest.fixture(scope="module")
def old_tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return c_verifier.tool(tmp_path_factory)


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return c_verifier.newer_libcrypto(tmp_path_factory.mktemp("libcrypto"))


@pytest.fixture(scope="module")
def tool(old_tool: Tool, libraries: Path) -> Tool:
    return replace(old_tool, libraries=libraries)


def verdict(tool: Tool, file: bytes, *options: str, jwks: object = None) -> str:
    keys = tool.file("second.json", json.dumps(jwks or VENDOR.jwks_with_second))
    circumstances = ["--keys", keys, "--now", str(int(NOW.timestamp())), "--device", DEVICE]
    answer: str = tool.ask("file", "-", *circumstances, *options, text=file)["verdict"]
    return answer


def test_both_signatures_are_verified_and_can_be_demanded(tool: Tool) -> None:
    assert verdict(tool, DOUBLE) == "OK"
    assert verdict(tool, DOUBLE, "--require-both") == "OK"
    assert verdict(tool, SINGLE) == "OK"
    assert verdict(tool, SINGLE, "--require-both") == "INVALID"


@pytest.mark.parametrize("file", [FORGED, UNKNOWN], ids=["forged", "of an unknown key"])
def test_a_wrong_second_signature_refuses_the_file_although_the_first_is_good(tool: Tool, file: bytes) -> None:
    assert verdict(tool, file) == "INVALID"
    assert verdict(tool, file, "--require-both") == "INVALID"
    assert verdict(tool, file, jwks=VENDOR.jwks) == "OK"  # nothing to verify the second one with


def test_both_cannot_be_demanded_without_a_second_key(tool: Tool) -> None:
    assert verdict(tool, DOUBLE, "--require-both", jwks=VENDOR.jwks) == "ARGUMENT"


@pytest.mark.parametrize("position", [0, 1, 1500, 3308])
def test_a_changed_second_signature_is_noticed_although_the_first_covers_it(tool: Tool, position: int) -> None:
    class Scratched(SecondKey):
        kid = VENDOR.second_key.kid

        def sign(self, message: bytes) -> bytes:
            signature = bytearray(VENDOR.second_key.sign(message))
            signature[position] ^= 1
            return bytes(signature)

    file = armour(compact(file_document(VENDOR.license_key, file_claims(), Scratched())))

    assert verdict(tool, file) == "INVALID"
    assert verdict(tool, file, jwks=VENDOR.jwks) == "OK"


def test_every_file_of_the_vectors_has_its_verdict_here_too(tool: Tool) -> None:
    for case in VECTORS["files"]:
        assert tool.verify("file", case)["verdict"] == case["verdict"], case["name"]


def test_a_libcrypto_without_ml_dsa_believes_the_first_signature_and_says_what_it_cannot_do(old_tool: Tool) -> None:
    answers = [verdict(old_tool, DOUBLE), verdict(old_tool, DOUBLE, "--require-both"), verdict(old_tool, FORGED)]

    assert answers in (["OK", "UNAVAILABLE", "OK"], ["OK", "OK", "INVALID"])


def test_a_damaged_key_set_is_refused(tool: Tool, tmp_path: Path) -> None:
    for changes in ({"pub": VENDOR.second_key.pub[:-4]}, {"kid": "A" * 16}, {"priv": "AAAA"}):
        path = tmp_path / "keys.json"
        path.write_text(json.dumps({"keys": [VENDOR.license_key.jwk, VENDOR.second_key.jwk | changes]}))
        with pytest.raises(AssertionError, match="the key set is damaged"):
            tool.ask("file", "-", "--keys", str(path), "--now", "0", "--device", DEVICE, text=DOUBLE)


@pytest.mark.soak
def test_second_signatures_are_read_within_their_memory(
    libraries: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tool = Tool(c_verifier.sanitized(tmp_path_factory) / "licsrv-verify", tmp_path, libraries)

    assert [verdict(tool, file, "--require-both") for file in (DOUBLE, FORGED, UNKNOWN, SINGLE, DOUBLE[:-99])] == [
        "OK",
        *["INVALID"] * 3,
        "UNREADABLE",
    ]
