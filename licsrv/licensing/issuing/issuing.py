"""Issuing: a license for a device is written down first, then handed out, as a string or as a file.

What is stored are the claims without the salt of the device's hashes: the salt is worked out from the device secret
and the license's id, so a stolen database alone does not suffice to try out MAC addresses.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from sqlmodel import Session

from licsrv.errors import InvalidRequestError, KeyringError
from licsrv.licensing import entitlements, lifecycle, naming, store
from licsrv.licensing.fingerprints import MAX_VALUES, DeviceFacts
from licsrv.licensing.issuing import files, strings
from licsrv.licensing.issuing.files import FileDetails
from licsrv.licensing.issuing.strings import LicenseTerms
from licsrv.licensing.keyring import ISSUED_COLUMNS, Keyring, Purpose
from licsrv.licensing.lifecycle import SoldLicense
from licsrv.licensing.naming import Names
from licsrv.licensing.signing import SecondKey, SecondSignature, SigningKey, seconds
from licsrv.licensing.store import ProductRow
from licsrv.platform.ids import new_id

STRING = "string"
FILE = "file"
_SALT_OF = "salt_of"  # part of what is kept of a file, never of what is signed
_OF_ONE_ISSUE = frozenset({"jti", "iat", "nbf", "dev", "txt"})  # differ between two licenses that say the same


class Delivery(StrEnum):
    """In which form a license travels; AUTO is a string where it fits."""

    AUTO = "auto"
    STRING = "string"
    FILE = "file"


@dataclass(frozen=True)
class Issued:
    """A license as it is handed out. ``is_new`` is False when it is the one handed out before."""

    text: str
    issued_id: str
    is_new: bool
    form: str = STRING


class IssuableLicense(SoldLicense, Protocol):
    """The facts of a license that its string contains; a table row and a plain row both have them."""

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
    def order_id(self) -> str:
        """The order it was bought with; empty where there was none."""

    @property
    def is_test(self) -> bool:
        """Whether it is for trying things out."""

    @property
    def maintenance_until(self) -> datetime | None:
        """The last release date that it covers; None when there is no such limit."""

    @property
    def features(self) -> Sequence[str] | None:
        """Its own features; None where it has those of its product."""


@dataclass(frozen=True)
class Recipient:
    """The device that gets a license.

    ``is_new``: what it may have got before does not count, because it is new here or has given its place back since.
    """

    device_id: str
    facts: DeviceFacts
    is_new: bool
    name: str = ""


@dataclass(frozen=True)
class Wording:
    """What a license says, apart from the license's own facts and for which device.

    ``starts_at`` and ``ends_by`` narrow the time for which it was asked; they never widen the license's own.
    """

    issuer: str
    product: ProductRow | None
    amount: int
    starts_at: datetime | None = None
    ends_by: datetime | None = None
    maintenance_until: datetime | None = None
    is_floating: bool = False


@dataclass(frozen=True)
class _Issue:
    """A license about to be issued: what it says, to whom, and what signs it."""

    terms: LicenseTerms
    recipient: Recipient
    keyring: Keyring
    key: SigningKey

    @property
    def salt(self) -> bytes:
        """The salt of its device hashes."""
        return salt(self.keyring.device_key, self.terms.issued_id)


def issue(
    session: Session,
    license: IssuableLicense,
    recipient: Recipient,
    *,
    form: Delivery | None,
    wording: Wording,
    file_name: str | None,
    keyring: Keyring,
    now: datetime,
) -> Issued:
    """Return a license in a form; without one, in the form in which the product's licenses travel.

    Raises:
        InvalidRequestError: It does not fit into the form that is asked for.
        KeyringError: A key is missing.
    """
    wanted = form or (Delivery(wording.product.deliver_as) if wording.product is not None else Delivery.AUTO)
    if wanted is not Delivery.FILE:
        try:
            return issue_string(session, license, recipient, wording=wording, keyring=keyring, now=now)
        except InvalidRequestError:  # nothing is written before the string is known to fit
            if wanted is Delivery.STRING:
                raise
    return issue_file(session, license, recipient, wording=wording, file_name=file_name, keyring=keyring, now=now)


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
    issue = _begin(license, recipient, wording, keyring=keyring, now=now)
    before = _before(session, recipient, STRING, keyring=keyring, now=now)
    if before is not None and (text := _string_again(before, issue)) is not None:
        return Issued(text, before.id, is_new=False)

    text, claims = strings.sign_license(issue.terms, recipient.facts, salt=issue.salt, key=issue.key)

    return _keep(session, issue, STRING, text=text, claims=claims)


def issue_file(
    session: Session,
    license: IssuableLicense,
    recipient: Recipient,
    *,
    wording: Wording,
    file_name: str | None,
    keyring: Keyring,
    now: datetime,
) -> Issued:
    """Return a license file for the device: the one handed out before if it still says the same, else a new one.

    The text is the file's whole content; encode it as UTF-8. A second signature is made once and kept.

    Raises:
        InvalidRequestError: The file would be longer than a verifier reads.
        KeyringError: No key signs licenses, or none a second time although the product asks for it.
    """
    issue = _begin(license, recipient, wording, keyring=keyring, now=now)
    details = FileDetails(license.order_id, file_name, recipient.name)
    second = _second_key(wording, keyring, now)
    before = _before(session, recipient, FILE, keyring=keyring, now=now)
    if before is not None and (text := _file_again(before, issue, details, second=second)) is not None:
        return Issued(text, before.id, is_new=False, form=FILE)

    signed = files.sign_file(issue.terms, details, recipient.facts, salt=issue.salt, key=issue.key, second=second)

    return _keep(session, issue, FILE, text=signed.text, claims=signed.claims, second=signed.second)


def issue_file_again(
    session: Session,
    license: IssuableLicense,
    *,
    device_id: str,
    device_name: str,
    wording: Wording,
    keyring: Keyring,
    now: datetime,
) -> Issued | None:
    """Return a license file for a device that is not there to say what it is; None when it was handed out nothing.

    Its facts are known as the hashes that it was handed out before, so the file carries these, with their salt.

    Raises:
        KeyringError: As :func:`issue_file`.
    """
    recipient = Recipient(device_id, DeviceFacts({}), is_new=False, name=device_name)
    before = store.last_issued(session, device_id)
    if before is None:
        return None
    issue = _begin(license, recipient, wording, keyring=keyring, now=now)
    details = FileDetails(license.order_id, None, device_name)
    comments = files.comment_lines(issue.terms, details)
    claims = files.file_claims(issue.terms, details) | {
        "dev": device_again(before, keyring, is_floating=issue.terms.is_floating),
        "txt": files.comments_digest(comments),
    }
    payload = strings.payload(claims)
    second_key = _second_key(wording, keyring, now)
    second = second_key.sign(payload) if second_key is not None else None
    text = files.armoured(comments, payload, key=issue.key, second=second)
    return _keep(session, issue, FILE, text=text, claims=claims | {_SALT_OF: _salt_of(before)}, second=second)


def device_again(before: Any, keyring: Keyring, *, is_floating: bool = False) -> dict[str, Any]:
    """Return how a device recognises itself, as in what it was handed out before."""
    device: dict[str, Any] = json.loads(before.claims)["dev"]
    old_salt = salt(keyring.device_key, _salt_of(before))
    return strings.device_claim_again(device, salt=old_salt, is_floating=is_floating)


def _salt_of(before: Any) -> str:
    """Return the id of the license whose salt the hashes of one have: mostly its own."""
    return str(json.loads(before.claims).get(_SALT_OF, before.id))


def end_of(claims: str) -> datetime | None:
    """Return when a license ends, from its claims as they are kept; None when it never does."""
    ends_at = json.loads(claims).get("exp")
    return datetime.fromtimestamp(ends_at, UTC) if ends_at is not None else None


def says_more(claims: str, *, ends_at: datetime | None, features: Sequence[str]) -> bool:
    """Whether a text, from its claims as they are kept, says more than its license gives now."""
    said = json.loads(claims)
    end = said.get("exp")
    lasts_longer = ends_at is not None and (end is None or end > seconds(ends_at))
    return lasts_longer or entitlements.exceeds(entitlements.of_claims(said), features)


def missing_keys(session: Session, keyring: Keyring, *, now: datetime) -> str | None:
    """Return what keeps licenses from being issued because a key is missing, as a sentence; None when nothing does."""
    try:
        keyring.signer(Purpose.LICENSE, now=now)
        products = store.products_with_second_signature(session)
        if products:
            keyring.second_signer(now=now)
    except KeyringError as error:
        return str(error)
    return None


def _begin(license: IssuableLicense, recipient: Recipient, wording: Wording, keyring: Keyring, now: datetime) -> _Issue:
    key = keyring.signer(Purpose.LICENSE, now=now)
    return _Issue(_terms(license, wording, new_id(now), now=now), recipient, keyring, key=key)


def _second_key(wording: Wording, keyring: Keyring, now: datetime) -> SecondKey | None:
    """Return what signs a file a second time, where the product asks for that."""
    wants = wording.product is not None and wording.product.second_signature
    return keyring.second_signer(now=now) if wants else None


def _before(session: Session, recipient: Recipient, form: str, *, keyring: Keyring, now: datetime) -> Any:
    """Return what the device was handed out before; nothing where a check-in would not count its row.

    A new license is what mends a device whose row has no valid seal, after a restored backup for instance.
    """
    before = None if recipient.is_new else store.still_issued(session, recipient.device_id, form, now=now)
    if before is None or not keyring.is_issued_here(before.seal, [getattr(before, name) for name in ISSUED_COLUMNS]):
        return None
    return before


def _keep(
    session: Session,
    issue: _Issue,
    form: str,
    text: str,
    claims: dict[str, Any],
    second: SecondSignature | None = None,
) -> Issued:
    """Write a license down, so that nothing is handed out that is not on disk."""
    row = {
        "id": issue.terms.issued_id,
        "license_id": issue.terms.license_id,
        "device_id": issue.recipient.device_id,
        "form": form,
        "digest": strings.digest(text),
        "key_id": issue.key.key_id,
        "claims": json.dumps(_without_salt(claims), separators=(",", ":"), ensure_ascii=False),
        "issued_at": issue.terms.issued_at,
        "second_key_id": second.key_id if second is not None else None,
        "second_signature": second.value if second is not None else None,
    }
    store.add_issued(session, row | {"seal": issue.keyring.issued_seal(row)})
    return Issued(text, issue.terms.issued_id, is_new=True, form=form)


def _terms(license: IssuableLicense, wording: Wording, issued_id: str, now: datetime) -> LicenseTerms:
    product = wording.product
    features = entitlements.of_license(license.features, product.features) if product is not None else []
    names = _names(product, license.product_id)
    ends = (lifecycle.end_of_use(license), wording.ends_by)
    return LicenseTerms(
        issuer=wording.issuer,
        issued_id=issued_id,
        license_id=license.id,
        code=license.code,
        product=names.signed,
        product_name=names.shown,
        product_names=names.others,
        features=features,
        amount=wording.amount,
        is_test=license.is_test,
        is_provisional=lifecycle.is_provisional(license, now),
        issued_at=now,
        starts_at=max(wording.starts_at or now, now),
        ends_at=min((moment for moment in ends if moment is not None), default=None),
        maintenance_until=wording.maintenance_until,
        is_floating=wording.is_floating,
    )


def _names(product: ProductRow | None, product_id: str) -> Names:
    if product is None:
        return Names(product_id, product_id)
    return naming.names(product_id, product.name, product.signed_as, former=product.former_names)


def salt(device_key: bytes, issued_id: str) -> bytes:
    """Return the salt of one license's device hashes; the same whenever it is asked for."""
    return hmac.digest(device_key, b"salt:" + issued_id.encode("ascii"), hashlib.sha256)[: strings.SALT_BYTES]


def _string_again(before: Any, issue: _Issue) -> str | None:
    """Return the string handed out before, if it says what a new one would; Ed25519 signs the same bytes alike."""
    claims = _claims_again(before, issue, issue.terms.claims(), most=None)
    if claims is None:
        return None
    text = issue.key.sign(strings.payload(claims))
    return text if strings.digest(text) == before.digest else None


def _file_again(before: Any, issue: _Issue, details: FileDetails, second: SecondKey | None) -> str | None:
    """Return the file handed out before, if it says what a new one would, to people too, and is signed alike."""
    if before.second_key_id != (second.key_id if second is not None else None):
        return None
    claims = _claims_again(before, issue, files.file_claims(issue.terms, details), most=MAX_VALUES)
    if claims is None:
        return None
    began = datetime.fromtimestamp(claims["nbf"], UTC)
    comments = files.comment_lines(replace(issue.terms, issued_at=before.issued_at, starts_at=began), details)
    if claims["txt"] != files.comments_digest(comments):
        return None
    kept = SecondSignature(before.second_key_id, before.second_signature) if second is not None else None
    text = files.armoured(comments, strings.payload(claims), key=issue.key, second=kept)
    return text if strings.digest(text) == before.digest else None


def _claims_again(before: Any, issue: _Issue, fresh: Mapping[str, Any], *, most: int | None) -> dict[str, Any] | None:
    """Return the claims handed out before, if new ones would say the same.

    Args:
        most: How many values of a part the device's claim has; None where it was cut until it fitted.
    """
    claims: dict[str, Any] = json.loads(before.claims)
    begins_alike = max(claims["nbf"], fresh["iat"]) == fresh["nbf"]  # what has begun is not begun again
    if before.key_id != issue.key.key_id or not begins_alike or _lasting(claims) != _lasting(fresh):
        return None
    old_salt = salt(issue.keyring.device_key, before.id)
    was_floating = strings.is_floating(claims["dev"])
    claims["dev"] = strings.device_claim_again(claims["dev"], salt=old_salt, is_floating=was_floating)
    most = _most(claims["dev"]) if most is None else most
    now_says = strings.device_claim(
        issue.recipient.facts, salt=old_salt, most=most, is_floating=issue.terms.is_floating
    )
    return claims if claims["dev"] == now_says else None


def _lasting(claims: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if name not in _OF_ONE_ISSUE}


def _without_salt(claims: dict[str, Any]) -> dict[str, Any]:
    device = {name: value for name, value in claims["dev"].items() if name != "s"}
    return claims | {"dev": device}


def _most(device: dict[str, Any]) -> int:
    """Return how many values of a part the claim had room for; 8 unless it had to be cut."""
    longest = max((len(value) for value in device.values() if isinstance(value, list)), default=0)
    return longest if longest in {1, 2, 4} else 8
