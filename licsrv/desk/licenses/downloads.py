"""Files for a device that is known already, to be sent to a customer who cannot fetch them: license, clock reset."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.desk import names
from licsrv.errors import ConflictError, NotFoundError
from licsrv.licensing import bearers, fingerprints, lifecycle
from licsrv.licensing import store as licensing
from licsrv.licensing.devices import Terms
from licsrv.licensing.issuing import clock_resets, issuing
from licsrv.licensing.issuing.issuing import Issued, Recipient, Wording
from licsrv.licensing.keyring import Keyring
from licsrv.licensing.tables import Device, License


def license_file(
    session: Session,
    name: str,
    device_id: str,
    *,
    device_info: str | None,
    keyring: Keyring,
    terms: Terms,
    cause: Cause,
    now: datetime,
) -> Issued:
    """Issue a license file for a device that holds a place.

    Args:
        device_info: The device's own description; without it, the hashes of the device's earlier license are used.

    Raises:
        LicenseNotFoundError: There is no such license.
        NotFoundError: It has no such device.
        LicenseExpiredError: And its relatives: no device may use it now.
        DeviceMismatchError: ``device_info`` is another device's.
        ConflictError: The device holds no place, or was never handed out anything.
        KeyringError: A key is missing.
    """
    license = names.locked_license(session, name)
    device = names.device_of(session, license, device_id, locked=True)
    lifecycle.require_usable(license, now)
    if device.released_at is not None:
        raise ConflictError("This device holds no place on the license.", action="Let it ask for its license again.")

    wording = _wording(session, license, terms)
    if device_info is None:
        issued = _again(session, license, device, wording=wording, keyring=keyring, now=now)
    else:
        issued = _for_facts(
            session, license, device, device_info=device_info, wording=wording, keyring=keyring, now=now
        )

    detail = {"device": device.id, "issued": issued.issued_id}
    audit.record(session, Action.LICENSE_DOWNLOADED, subject=license.id, cause=cause, detail=detail, now=now)
    return issued


def clock_reset(session: Session, name: str, device_id: str, *, keyring: Keyring, issuer: str, now: datetime) -> str:
    """Return the clock reset of a device, to be carried to it. The same comes out each time.

    Raises:
        LicenseNotFoundError: There is no such license.
        NotFoundError: It has no such device, or the device's clock was not reset.
        KeyringError: A key is missing.
    """
    license = names.license_of(session, name)
    device = names.device_of(session, license, device_id)
    text = clock_resets.sign(session, device, issuer=issuer, keyring=keyring, now=now)
    if text is None:
        raise NotFoundError("There is no clock reset for this device.", action="Reset its clock first.")
    return text


def _again(
    session: Session, license: License, device: Device, wording: Wording, keyring: Keyring, now: datetime
) -> Issued:
    issued = issuing.issue_file_again(
        session, license, device_id=device.id, device_name=device.name, wording=wording, keyring=keyring, now=now
    )
    if issued is None:
        raise ConflictError(
            "This device was never issued a license, or has returned it.",
            action="Ask the customer for the device's fingerprint and paste it.",
        )
    return issued


def _for_facts(
    session: Session,
    license: License,
    device: Device,
    device_info: str,
    wording: Wording,
    keyring: Keyring,
    now: datetime,
) -> Issued:
    facts = fingerprints.parse(device_info)
    bearers.require_same_device(device.parts, fingerprints.hash_parts(facts, key=keyring.device_key))
    known = fingerprints.known_facts(facts, device.parts, key=keyring.device_key)
    recipient = Recipient(device.id, known, is_new=False, name=device.name)
    return issuing.issue_file(session, license, recipient, wording=wording, file_name=None, keyring=keyring, now=now)


def _wording(session: Session, license: License, terms: Terms) -> Wording:
    product = licensing.product_row(licensing.product(session, license.product_id))
    policy = terms.policies.of(licensing.policy_text(session, license.product_id))
    return terms.wording(session, license, product, rules=policy.places)
