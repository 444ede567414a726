"""Issuing: a license for a device is written down first, then handed out.

What is stored are the claims without the salt of the device's hashes: the salt is worked out from the device secret
and the license's id, so a stolen database does not let anybody try out MAC addresses.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlmodel import Session

from licsrv.licensing import lifecycle, store, strings
from licsrv.licensing.fingerprints import DeviceFacts
from licsrv.licensing.keyring import Keyring, Purpose
from licsrv.licensing.lifecycle import LicenseFacts
from licsrv.licensing.store import ProductRow
from licsrv.licensing.strings import LicenseTerms
from licsrv.platform.ids import new_id

STRING = "string"
_OF_ONE_ISSUE = frozenset({"jti", "iat", "nbf", "dev"})  # differ between two licenses that say the same


@dataclass(frozen=True)
class Issued:
    """A license as it is handed out. ``is_new`` is False when it is the one handed out before."""

    text: str
    issued_id: str
    is_new: bool


class IssuableLicense(LicenseFacts, Protocol):
    """The facts of a license that stand in its string; a table row and a plain row both have them."""

    @property
    def id(self) -> str:
        """Our id."""

    @property
    def code(self) -> str:
        """The authorization code."""

    @property
    def product_id(self) -> str:
        """The product as the marketplace numbers it."""

    @property
    def is_test(self) -> bool:
        """Whether it is for trying things out."""


@dataclass(frozen=True)
class Recipient:
    """The device that gets a license. A device that is new here cannot have got one before."""

    device_id: str
    facts: DeviceFacts
    is_new: bool


@dataclass(frozen=True)
class Wording:
    """What a license says, apart from when and for which device."""

    issuer: str
    product: ProductRow | None
    amount: int


def issue_string(
    session: Session,
    license: IssuableLicense,
    recipient: Recipient,
    *,
    wording: Wording,
    keyring: Keyring,
    now: datetime,
) -> Issued:
    """Return a license string for the device: the one handed out before if it still says the same, else a new one.

    Raises:
        InvalidRequestError: The string would be too long to travel.
        KeyringError: No key signs licenses.
    """
    device_id, facts = recipient.device_id, recipient.facts
    before = None if recipient.is_new else store.latest_issued(session, device_id, STRING)
    terms = _terms(license, wording, new_id(now), now)
    if before is not None and (text := _again(before, terms, facts, keyring)) is not None:
        return Issued(text, before.id, is_new=False)

    key = keyring.signer(Purpose.LICENSE)
    text, claims = strings.sign_license(terms, facts, salt=salt(keyring.device_key, terms.issued_id), key=key)

    store.add_issued(
        session,
        {
            "id": terms.issued_id,
            "license_id": license.id,
            "device_id": device_id,
            "form": STRING,
            "digest": strings.digest(text),
            "key_id": key.key_id,
            "claims": json.dumps(_without_salt(claims), separators=(",", ":"), ensure_ascii=False),
            "issued_at": now,
        },
    )
    return Issued(text, terms.issued_id, is_new=True)


def _terms(license: IssuableLicense, wording: Wording, issued_id: str, now: datetime) -> LicenseTerms:
    product = wording.product
    features: Sequence[str] = product.features if product is not None else ()
    return LicenseTerms(
        issuer=wording.issuer,
        issued_id=issued_id,
        license_id=license.id,
        code=license.code,
        product=product.name if product is not None else license.product_id,
        features=features,
        amount=wording.amount,
        is_test=license.is_test,
        is_provisional=lifecycle.is_provisional(license, now),
        issued_at=now,
        ends_at=lifecycle.end_of_use(license),
    )


def salt(device_key: bytes, issued_id: str) -> bytes:
    """Return the salt of one license's device hashes; the same whenever it is asked for."""
    return hmac.digest(device_key, b"salt:" + issued_id.encode("ascii"), hashlib.sha256)[: strings.SALT_BYTES]


def _again(before: Any, terms: LicenseTerms, facts: DeviceFacts, keyring: Keyring) -> str | None:
    """Return the text handed out before, if it says what a new one would; Ed25519 signs the same bytes the same way."""
    key = keyring.signer(Purpose.LICENSE)
    claims: dict[str, Any] = json.loads(before.claims)
    fresh = terms.claims()
    if before.key_id != key.key_id or _lasting(claims) != _lasting(fresh):
        return None
    old_salt = salt(keyring.device_key, before.id)
    claims["dev"] = {"v": claims["dev"]["v"], "s": strings.b64(old_salt), **claims["dev"]}
    if claims["dev"] != strings.device_claim(facts, salt=old_salt, most=_most(claims["dev"])):
        return None
    text = key.sign(strings.payload(claims))
    return text if strings.digest(text) == before.digest else None


def _lasting(claims: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if name not in _OF_ONE_ISSUE}


def _without_salt(claims: dict[str, Any]) -> dict[str, Any]:
    device = {name: value for name, value in claims["dev"].items() if name != "s"}
    return claims | {"dev": device}


def _most(device: dict[str, Any]) -> int:
    """Return how many values of a part the claim had room for; 8 unless it had to be cut."""
    longest = max((len(value) for value in device.values() if isinstance(value, list)), default=0)
    return longest if longest in {1, 2, 4} else 8
