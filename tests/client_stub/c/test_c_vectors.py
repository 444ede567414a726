"""The C verifier, the Python verifier and an independent JOSE library agree on every vector."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from client_stub.trust import revocations, verification
from client_stub.trust import verdict as verdicts
from client_stub.trust.claims import License
from client_stub.trust.errors import VerificationError
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.revocations import Outcome, RevocationList
from tests.client_stub import make_license_texts
from tests.client_stub.c.c_verifier import VECTORS, Tool, case_bytes
from tests.tables import Row, each

KEYS = PinnedKeys.from_jwks(VECTORS["jwks"])
VERDICTS = {
    "UNREADABLE": "UNREADABLE",
    "WRONG_ISSUER": "WRONG_ISSUER",
    "WRONG_PRODUCT": "WRONG_PRODUCT",
    "NOT_YET_VALID": "NOT_YET",
    "EXPIRED": "EXPIRED",
    "INVALID_DEVICE_INFO": "DEVICE_INFO",
    "DEVICE_MISMATCH": "WRONG_DEVICE",
    "FOREIGN_LEASE": "FOREIGN_LEASE",
    "NONCE_MISMATCH": "WRONG_NONCE",
    "LEASE_ENDED": "LEASE_ENDED",
    "NEEDS_SEAT": "NEEDS_SEAT",
}
"""The Python verifier's codes in the words of the C library; every other one is INVALID."""

Case = dict[str, Any]


def cases(*sections: str, having: str = "name") -> Iterator[Row[Case]]:
    """Every vector of these sections."""
    found = [case for section in sections for case in VECTORS[section] if having in case]
    return each(found, names=[case["name"] for case in found])


def verdict_of(verify: Callable[..., object], *arguments: object, **more: object) -> str:
    try:
        verify(*arguments, **more)
    except VerificationError as error:
        return VERDICTS.get(error.code, "INVALID")
    return "OK"


def circumstances(case: Case) -> dict[str, Any]:
    return {
        "device_info": case.get("device", VECTORS["device"]),
        "now": datetime.fromtimestamp(case.get("now", VECTORS["now"]), UTC),
        "issuer": case.get("issuer"),
        "product": case.get("product"),
    }


def test_the_vectors_are_those_that_the_generator_makes() -> None:
    assert make_license_texts.build(VECTORS["second_signatures"]) == VECTORS


# -- the C library ------------------------------------------------------------------------------------------------


def test_a_string_has_one_verdict_in_c(tool: Tool) -> None:
    for row in cases("strings"):
        with row as case:
            assert tool.verify("string", case)["verdict"] == case["verdict"]


def test_a_lease_has_one_verdict_in_c(tool: Tool) -> None:
    for row in cases("leases"):
        with row as case:
            assert tool.verify_lease(case)["verdict"] == case["verdict"]


def test_a_lease_moves_the_end_of_a_license_in_c(tool: Tool) -> None:
    for row in cases("ends"):
        with row as case:
            answer = tool.verify_lease(case)

            assert (answer["verdict"], answer["lease"]["license_end"]) == (case["verdict"], case["end"])


def test_a_lease_does_not_lift_a_listed_revocation_in_c(tool: Tool) -> None:
    listed = next(case["text"] for case in VECTORS["revocations"] if case["name"] == "our license")
    younger = next(case for case in VECTORS["leases"] if case["name"] == "a lease from the future")

    answer = tool.verify_lease(younger, "--revocations", tool.file("held.jws", listed))

    assert (answer["verdict"], answer["lease"]["status"]) == ("REVOKED", "ACTIVE")


def test_a_file_has_one_verdict_in_c(tool: Tool) -> None:
    for row in cases("files"):
        with row as case:
            assert tool.verify("file", case)["verdict"] == case["verdict"]


def test_a_feature_is_granted_or_not_in_c(tool: Tool) -> None:
    for row in cases("features"):
        with row as case:
            answer = tool.verify("string", case, "--feature", case["feature"])

            assert answer["feature"] == {"granted": case["granted"], "value": case["value"] or ""}


def test_a_list_has_one_verdict_in_c(tool: Tool) -> None:
    for row in cases("revocations"):
        with row as case:
            answer = tool.verify_list(case)

            assert answer["verdict"] == case["verdict"]
            if "entries" in case:
                assert (answer["revocations"]["number"], answer["revocations"]["add"]) == (
                    case["number"],
                    case["entries"],
                )


def test_a_license_is_looked_up_in_a_list_in_c(tool: Tool) -> None:
    for row in cases("revocations", having="license"):
        with row as case:
            held = tool.file("held.jws", case["text"])

            answer = tool.verify("string", {"text": VECTORS["license"]}, "--revocations", held)

            assert answer["verdict"] == case["license"]


# -- the Python client --------------------------------------------------------------------------------------------


def test_a_string_has_one_verdict_in_python() -> None:
    for row in cases("strings"):
        with row as case:
            assert (
                verdict_of(verification.verify_license, case_bytes(case), KEYS, **circumstances(case))
                == case["verdict"]
            )


def test_a_lease_has_one_verdict_in_python() -> None:
    for row in cases("leases"):
        with row as case:
            license = verification.authenticate_license(VECTORS["license"], KEYS)
            nonce, now = case.get("nonce", VECTORS["nonce"]), circumstances(case)["now"]

            verdict = verdict_of(
                verification.verify_lease, case_bytes(case), KEYS, license=license, nonce=nonce, now=now
            )

            assert verdict == case["verdict"]


def test_a_lease_moves_the_end_of_a_license_in_python() -> None:
    for row in cases("ends"):
        with row as case:
            license = verification.authenticate_license(case["license"], KEYS)
            lease = verification.authenticate_lease(case["text"], KEYS, license=license, nonce=VECTORS["nonce"])

            assert unix(verdicts.license_end(license, lease, grace=timedelta(days=7))) == case["end"]


def test_a_file_has_one_verdict_in_python() -> None:
    for row in cases("files"):
        with row as case:
            assert (
                verdict_of(verification.verify_license_file, case_bytes(case), KEYS, **circumstances(case))
                == case["verdict"]
            )


def test_a_feature_is_granted_or_not_in_python() -> None:
    for row in cases("features"):
        with row as case:
            license = verification.authenticate_license(case["text"], KEYS)

            found = license.feature(case["feature"], circumstances(case)["now"])

            assert (found is not None, found.value if found else None) == (case["granted"], case["value"])


def test_a_list_has_one_verdict_in_python() -> None:
    for row in cases("revocations"):
        with row as case:
            verdict = verdict_of(revocations.open_update, case_bytes(case), KEYS, issuer=case.get("issuer"))

            assert verdict == ("OK" if "update" in case else case["verdict"])


def test_a_list_is_brought_up_to_date_in_python() -> None:
    for row in cases("revocations", having="update"):
        with row as case:
            held, _ = revocations.apply(RevocationList(), revocations.open_update(case["text"], KEYS))

            updated, outcome = revocations.apply(held, revocations.open_update(case["update"], KEYS))

            words = {Outcome.OLDER: "ROLLED_BACK", Outcome.GAP: "NEEDS_FULL"}
            assert words.get(outcome, "OK") == case["verdict"]
            if "entries" in case:
                assert (updated.number, len(updated)) == (case["number"], case["entries"])


def test_c_and_python_read_the_same_in_a_good_license(tool: Tool) -> None:
    for row in cases("strings", "files"):
        with row as case:
            if case["verdict"] != "OK":
                continue
            is_file = case in VECTORS["files"]
            authenticate = verification.authenticate_license_file if is_file else verification.authenticate_license

            in_python = authenticate(case_bytes(case), KEYS)

            in_c = tool.verify("file" if is_file else "string", case)["license"]
            assert {name: in_c[name] for name in as_json(in_python)} == as_json(in_python)


def unix(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None


def as_json(license: License) -> Case:
    return {
        "issuer": license.issuer,
        "string_id": license.string_id,
        "license_id": license.license_id,
        "code": license.code,
        "product": license.product,
        "issued_at": unix(license.issued_at),
        "not_before": unix(license.not_before),
        "expires_at": unix(license.expires_at),
        "features": list(license.features),
        "quantity": license.quantity,
        "is_test": license.is_test,
        "is_provisional": license.is_provisional,
        "maintenance_until": unix(license.maintenance_ends_at),
        "order_id": license.order_id,
        "file_name": license.file_name,
    }


# -- an independent JOSE library ----------------------------------------------------------------------------------


def signature_is_good(compact: str) -> bool:
    """Verify with the one pinned key of this purpose that the header names, as a careful user of the library would."""
    try:
        header = json.loads(base64.urlsafe_b64decode(compact.partition(".")[0] + "=="))
        key = next(entry for entry in VECTORS["jwks"]["keys"] if entry["kid"] == header["kid"])
        wanted = {
            "license+jwt": "license",
            "lease+jwt": "lease",
            "license-file+jwt": "license",
            "revocations": "license",
        }
        if key["purpose"] != wanted[header["typ"]]:
            return False
        public_key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": key["x"]})
        registry = JWSRegistry(algorithms=["EdDSA"], strict_check_header=False)  # it does not know our `second`
        jws.deserialize_compact(compact, public_key, registry=registry)
    except (JoseError, StopIteration, ValueError):
        return False
    return True


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_an_independent_library_finds_the_same_signatures_good() -> None:
    for row in cases("strings", "leases", "revocations", having="signature"):
        with row as case:
            assert signature_is_good(case["text"]) is case["signature"]


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 names the curve; the formats were fixed before
def test_an_independent_library_finds_the_signature_of_a_file_good() -> None:
    for row in cases("files", having="signature"):
        with row as case:
            armour = case["text"].rpartition("-----BEGIN LICENSE-----\n")[2].partition("-----END")[0]
            document = json.loads(base64.b64decode(armour))
            first = document["signatures"][0]

            assert signature_is_good(f"{first['protected']}.{document['payload']}.{first['signature']}")
