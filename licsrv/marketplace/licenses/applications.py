"""Use cases of applications: a desktop asks for its license through the marketplace (online-license-and-sdk.md §3.6).

The license is issued in the transaction of the callback and uploaded through the outbox. One event and one device have
one license. An application for a license whose order is not known yet waits, what the device said of itself sealed,
and is answered by the upload once the order is there: no page says that the marketplace would ask a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from licsrv.audit import Action, Cause, record
from licsrv.errors import (
    CallbackError,
    DeviceLimitError,
    InvalidRequestError,
    KeyringError,
    LicenseExpiredError,
    LicenseReleasedError,
    RefusalError,
    VirtualMachineError,
)
from licsrv.licensing import devices, fingerprints, lifecycle
from licsrv.licensing import store as licenses
from licsrv.licensing.devices import Activation, LicenseForDevice, Terms
from licsrv.licensing.issuing import issuing
from licsrv.licensing.keyring import Keyring
from licsrv.licensing.tables import License
from licsrv.marketplace import store
from licsrv.marketplace.commands import ApplyForLicense, Outcome, ResultCode
from licsrv.marketplace.open_api.order_answers import PERIOD
from licsrv.marketplace.tables import Application
from licsrv.outbox import store as outbox
from licsrv.outbox.messages import UploadLicense
from licsrv.outbox.rules import State
from licsrv.platform import logs, sealing
from licsrv.platform.db import savepoint

# The marketplace's clock and ours, and a renewal whose refreshInstance is still on its way.
TOLERANCE = timedelta(days=1)

_FILE_NAME = "license.lic"
_PROCESSING = "request is processing"
_log = logs.logger(__name__)


@dataclass(frozen=True)
class Issuer:
    """What issuing needs in addition to the license: the settings, and the present keys."""

    terms: Terms
    keyring: Callable[[], Keyring]


def apply(session: Session, command: ApplyForLicense, issuer: Issuer, *, cause: Cause, now: datetime) -> Outcome:
    """Issue the license that is applied for, or note the application where it cannot be issued yet.

    Raises:
        CallbackError: ``000003`` no such license; ``000903`` no fingerprint; ``000902`` a period license without an
            end; ``000901`` outside the period that was bought; ``000900`` every place is taken; ``000005`` the license
            must not be used now.
    """
    license = licenses.license_for_update(session, command.code)
    if license is None or license.released_at is not None:
        raise CallbackError(ResultCode.UNKNOWN_LICENSE, "This instance is not known here.")
    fingerprint = _fingerprint(command, issuer)
    known = store.application(session, command.event_id, fingerprint)
    if known is not None and known.code != command.code:
        raise CallbackError(ResultCode.INVALID_PARAMETER, "eventId is that of another instance's application.")
    if known is not None and (known.sealed or known.issued_id is not None):
        _try_refused_upload_again(session, license, known, cause=cause, now=now)
        return _answer(known)

    application = known or Application(
        event_id=command.event_id,
        fingerprint=fingerprint,
        code=command.code,
        effective_at=command.effective_at,
        expires_at=command.expires_at,
        applied_at=now,
    )
    if license.activated_at is None:
        application.sealed = sealing.seal(command.device_info or "", device_key=issuer.keyring().device_key)
    else:
        _issue(
            session, license, application, device_info=command.device_info or "", issuer=issuer, cause=cause, now=now
        )
    session.add(application)
    return _answer(application)


def issue_waiting(session: Session, license: License, issuer: Issuer, *, cause: Cause, now: datetime) -> None:
    """Issue what was applied for before the license was confirmed.

    One that cannot be issued waits no longer: a repeated callback tries it again and answers the reason.
    """
    for application in store.waiting_applications(session, license.code):
        sealed, application.sealed = application.sealed, ""
        session.add(application)
        try:
            device_info = sealing.unseal(sealed, device_key=issuer.keyring().device_key)
            with savepoint(session):
                _issue(session, license, application, device_info=device_info, issuer=issuer, cause=cause, now=now)
        except CallbackError as error:
            _log.warning("an application cannot be granted", result_code=error.result_code, why=error.message)
        except KeyringError as error:  # the order's facts must not be lost over it
            _log.error("an application cannot be read any more", why=str(error))


def _try_refused_upload_again(
    session: Session, license: License, known: Application, *, cause: Cause, now: datetime
) -> None:
    """Let the same license travel once more: who applies again after a broken transfer did not get it (§3.6).

    What the marketplace took is not sent twice.
    """
    for row in outbox.rows(session, state=State.PARKED, key=license.id):
        if row.kind == UploadLicense.KIND and row.payload.get("event_id") == known.event_id and row.id is not None:
            outbox.reopen(session, row.id, now=now)
            detail = {"row": row.id, "kind": row.kind, "was": row.state, "error": row.last_error}
            record(session, Action.DELIVERY_RETRIED, subject=license.id, cause=cause, detail=detail, now=now)


def _answer(application: Application) -> Outcome:
    return Outcome(_PROCESSING, ResultCode.IN_PROGRESS) if application.sealed else Outcome()


def _fingerprint(command: ApplyForLicense, issuer: Issuer) -> str:
    if command.device_info is None:
        raise CallbackError(ResultCode.FINGERPRINT_REQUIRED, "deviceFingerprint is missing: licenses are for a device.")
    try:
        fingerprints.binding(fingerprints.parse(command.device_info))
    except InvalidRequestError as error:
        raise CallbackError(
            ResultCode.FINGERPRINT_REQUIRED, f"deviceFingerprint cannot be used: {error.detail}"
        ) from error
    return fingerprints.hash_text(command.device_info, key=issuer.keyring().device_key)


def _issue(
    session: Session,
    license: License,
    application: Application,
    device_info: str,
    issuer: Issuer,
    *,
    cause: Cause,
    now: datetime,
) -> None:
    _require_inside_period(session, license, application, now=now)
    issued = _activate(session, application, device_info, issuer=issuer, cause=cause, now=now)
    application.issued_id = issued.issued_id
    upload = UploadLicense(
        license.id,
        event_id=application.event_id,
        file_name=_FILE_NAME if issued.form == issuing.FILE else None,
        sealed=sealing.seal(issued.text, device_key=issuer.keyring().device_key),
    )
    outbox.enqueue(session, upload, now=now)


def _require_inside_period(session: Session, license: License, application: Application, now: datetime) -> None:
    """Refuse what the order in force does not cover (§4.1: 000902, 000901)."""
    order = store.order(session, license.order_id, license.order_line_id)
    if application.expires_at is None and order is not None and order.charging_mode == PERIOD:
        raise CallbackError(ResultCode.EXPIRY_REQUIRED, "expireTime is missing: the license is bought for a period.")
    if application.expires_at is not None and application.expires_at <= application.effective_at:
        raise CallbackError(ResultCode.OUTSIDE_PERIOD, "expireTime is not after effectiveTime.")
    ends_at = lifecycle.end_of_use(license)
    if ends_at is None:
        return
    asked_until = application.expires_at or application.effective_at
    # Taken off on this side of the comparison: a license may end with the last year that there is.
    if application.effective_at >= ends_at or asked_until - ends_at > TOLERANCE or now >= ends_at:
        raise CallbackError(ResultCode.OUTSIDE_PERIOD, "The order in force does not cover the time applied for.")


def _activate(
    session: Session, application: Application, device_info: str, issuer: Issuer, cause: Cause, now: datetime
) -> LicenseForDevice:
    """Give the device its place and its license, or say in the marketplace's words why not."""
    request = Activation(
        application.code, device_info, form=None, starts_at=application.effective_at, ends_by=application.expires_at
    )
    try:
        return devices.activate(session, request, keyring=issuer.keyring(), terms=issuer.terms, cause=cause, now=now)
    except DeviceLimitError as error:
        raise CallbackError(ResultCode.QUOTA_USED_UP, error.detail) from error
    except VirtualMachineError as error:
        raise CallbackError(ResultCode.FINGERPRINT_REQUIRED, error.detail) from error
    except LicenseExpiredError as error:
        raise CallbackError(ResultCode.OUTSIDE_PERIOD, error.detail) from error
    except LicenseReleasedError as error:
        raise CallbackError(ResultCode.UNKNOWN_LICENSE, error.detail) from error
    except RefusalError as error:
        raise CallbackError(ResultCode.INTERNAL_ERROR, error.detail) from error
    except KeyringError as error:
        _log.exception("a license cannot be issued: a key is missing")
        raise CallbackError(ResultCode.INTERNAL_ERROR, "The license cannot be signed now.") from error
