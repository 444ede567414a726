"""Read a lease as a client would, with code of its own: the published key, the signature, the nonce."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from benchmarks.errors import BenchmarkError


def require_good_lease(answer: bytes, jwks: Mapping[str, Any], *, nonce: str) -> None:
    """Require that an answer to a heartbeat holds a lease signed by a published lease key, with this nonce.

    Raises:
        BenchmarkError: It does not.
    """
    claims = _claims(json.loads(answer)["lease"], jwks, typ="lease+jwt", purpose="lease")
    if claims["nonce"] != nonce or claims["status"] != "ACTIVE":
        raise BenchmarkError(f"A lease is for another request or not active: {claims}")


def require_good_seat(answer: bytes, jwks: Mapping[str, Any], *, nonce: str) -> None:
    """Require that an answer to a renewal holds a seat signed by a published lease key, with this nonce.

    Raises:
        BenchmarkError: It does not.
    """
    said = json.loads(answer)
    claims = _claims(said["seat"], jwks, typ="seat+jwt", purpose="lease")
    if (claims["nonce"], claims["jti"]) != (nonce, said["seat_id"]):
        raise BenchmarkError(f"A seat is for another request: {claims}")


def require_good_string(answer: bytes, jwks: Mapping[str, Any], *, code: str) -> None:
    """Require that an answer to an activation holds a license string of this code signed by a published key.

    Raises:
        BenchmarkError: It does not.
    """
    claims = _claims(json.loads(answer)["license_string"], jwks, typ="license+jwt", purpose="license")
    if claims["code"] != code:
        raise BenchmarkError(f"A license string is for another code: {claims}")


def _claims(text: str, jwks: Mapping[str, Any], *, typ: str, purpose: str) -> dict[str, Any]:
    head, payload, signature = text.split(".")
    header = json.loads(_decoded(head))
    keys = {key["kid"]: key for key in jwks["keys"] if key["purpose"] == purpose}
    if header != {"alg": "EdDSA", "kid": header["kid"], "typ": typ} or header["kid"] not in keys:
        raise BenchmarkError(f"Signed by no published key for this: {header}")
    public = Ed25519PublicKey.from_public_bytes(_decoded(keys[header["kid"]]["x"]))
    try:
        public.verify(_decoded(signature), f"{head}.{payload}".encode("ascii"))
    except InvalidSignature as error:
        raise BenchmarkError("A signature does not verify.") from error
    claims: dict[str, Any] = json.loads(_decoded(payload))
    return claims


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
