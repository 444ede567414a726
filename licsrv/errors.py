"""Every error that licsrv raises on purpose.

::

    LicsrvError
    ├── SettingsError                     a setting is missing or wrong; names all of them at once
    ├── KeyringError                      a signing key is missing, locked or damaged
    ├── StorageError                      the database refused or failed
    │   ├── StorageBusyError              ... it did not answer in time; asking again may help
    │   └── StorageUnwritableError        ... it is read-only or full, or a right is missing
    ├── UnreadableMessageError            a stored message of the outbox is damaged
    ├── CallbackError                     a callback that is answered with a result code other than 000000
    ├── MarketplaceError                  a call to the marketplace's open API that did not succeed
    │   ├── MarketplaceRefusedError       ... it answered with a refusal
    │   ├── MarketplaceUnansweredError    ... no host answered in time, or the answer was not readable
    │   │   └── MarketplaceUnreadableError ... it answered, and what was asked cannot be read in the answer
    │   ├── MarketplaceAuthenticationError ... it does not accept the key pair, or has locked it
    │   └── MarketplacePausedError        ... it was not made: calls are paused after authentication failures
    │       └── MarketplaceBusyError      ... it was not made: too many calls are under way
    └── RefusalError                      an answer to a client or a person, as problem+json (RFC 9457)
        ├── InvalidRequestError           INVALID_REQUEST 422
        ├── UnauthenticatedError          UNAUTHENTICATED 401
        ├── ForbiddenError                FORBIDDEN 403
        ├── StepUpRequiredError           STEP_UP_REQUIRED 403
        ├── NotFoundError                 NOT_FOUND 404
        ├── MethodNotAllowedError         METHOD_NOT_ALLOWED 405
        ├── BodyTooLargeError             BODY_TOO_LARGE 413
        ├── UnsupportedMediaTypeError     UNSUPPORTED_MEDIA_TYPE 415
        ├── TooManyRequestsError          TOO_MANY_REQUESTS 429
        ├── LicenseNotFoundError          LICENSE_NOT_FOUND 404
        ├── LicenseNotReceivedError       LICENSE_NOT_RECEIVED 409
        ├── LicenseExpiredError           LICENSE_EXPIRED 403
        ├── LicenseFrozenError            LICENSE_FROZEN 403
        ├── LicenseRevokedError           LICENSE_REVOKED 403
        ├── LicenseReleasedError          LICENSE_RELEASED 403
        ├── DeviceLimitError              DEVICE_LIMIT_REACHED 409
        ├── DeviceMismatchError           DEVICE_MISMATCH 409
        ├── VirtualMachineError           DEVICE_NOT_ALLOWED 403
        ├── MoveLimitError                MOVE_LIMIT_REACHED 409
        ├── MoveNotAllowedError           MOVE_NOT_ALLOWED 409
        ├── NotFloatingError              NOT_FLOATING 409
        ├── NoSeatFreeError               NO_SEAT_FREE 409
        ├── SeatNotFoundError             SEAT_NOT_FOUND 404
        ├── SeatEndedError                SEAT_ENDED 409
        ├── SeatBorrowedError             SEAT_BORROWED 409
        ├── BorrowTooLongError            BORROW_TOO_LONG 409
        ├── BorrowLimitError              BORROW_LIMIT_REACHED 409
        ├── InvalidPolicyError            INVALID_POLICY 422
        ├── PolicyContradictionError      POLICY_CONTRADICTION 422
        ├── ConflictError                 CONFLICT 409
        ├── SellerDecidesError            SELLER_DECIDES 409
        ├── MarketplaceUnavailableError   MARKETPLACE_UNAVAILABLE 503
        └── ServiceUnavailableError       SERVICE_UNAVAILABLE 503

A refusal's ``code`` is stable and part of the outer contract. Details that would help an attacker go to
the log, not into an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Protocol


class LicsrvError(Exception):
    """Base of every error raised on purpose."""


class SettingsError(LicsrvError):
    """One or more settings are missing or wrong; the message names each of them."""


class KeyringError(LicsrvError):
    """A signing key is missing, locked or damaged."""


class StorageError(LicsrvError):
    """The database refused or failed; nothing was changed.

    Args:
        message: One sentence for operators.
        reason: The database's own sentence, where it gave one.
    """

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class StorageBusyError(StorageError):
    """The database did not answer in time; nothing was changed and asking again may help."""


class StorageUnwritableError(StorageError):
    """The database takes no changes (read-only, full, a right is missing): an operator has to act."""


class UnreadableMessageError(LicsrvError):
    """A stored message of the outbox is damaged, or of a version that this one cannot read."""


class CallbackError(LicsrvError):
    """A callback is answered with a result code other than ``000000`` and changes nothing.

    Args:
        result_code: One of protocol/authorization-code.md §5.8, six digits.
        message: What the marketplace's operator reads; holds nothing secret.
    """

    def __init__(self, result_code: str, message: str) -> None:
        super().__init__(message)
        self.result_code = result_code
        self.message = message


class MarketplaceError(LicsrvError):
    """A call to the marketplace's open API did not succeed.

    Args:
        error_code: The marketplace's own ``error_code`` where one was given, else an empty string.
        message: One sentence for the log and for support; holds nothing secret.
    """

    def __init__(self, message: str, *, error_code: str = "") -> None:
        super().__init__(message)
        self.error_code = error_code
        self.message = message


class MarketplaceRefusedError(MarketplaceError):
    """The marketplace answered with a refusal; the same call gets the same answer."""


class MarketplaceUnansweredError(MarketplaceError):
    """No host answered in time, or the answer was not readable; whether the call took effect is unknown.

    Args:
        is_outage: Whether the marketplace itself failed: no connection, no answer in time, or a server error. A rate
            limit or an undocumented code is an answer, and a caller can provoke it.
    """

    def __init__(self, message: str, *, error_code: str = "", is_outage: bool = True) -> None:
        super().__init__(message, error_code=error_code)
        self.is_outage = is_outage


class MarketplaceUnreadableError(MarketplaceUnansweredError):
    """The marketplace answered, and a member that decides cannot be read: it counts as no answer, with an alarm.

    Args:
        members: The members, in the marketplace's spelling.
    """

    def __init__(self, message: str, *, members: tuple[str, ...]) -> None:
        super().__init__(message, is_outage=False)
        self.members = members


class MarketplaceAuthenticationError(MarketplaceError):
    """The marketplace does not accept the key pair; more than five in a row lock it (protocol §3.2).

    Args:
        locked: The gateway said that the pair is locked already.
    """

    def __init__(self, message: str, *, error_code: str = "", locked: bool = False) -> None:
        super().__init__(message, error_code=error_code)
        self.locked = locked


class MarketplacePausedError(MarketplaceError):
    """The call was not made: calls are paused after authentication failures.

    Args:
        until: When calls may be possible again.
    """

    def __init__(self, message: str, *, until: datetime, error_code: str = "") -> None:
        super().__init__(message, error_code=error_code)
        self.until = until


class MarketplaceBusyError(MarketplacePausedError):
    """The call was not made: as many calls as are safe are under way.

    This is load, which a caller can make, and no outage: it never justifies a provisional license.
    """


class TraceStep(Protocol):
    """What one rule said before a refusal."""

    def shown(self) -> dict[str, Any]:
        """Return it as answers show it; JSON values only."""


class RefusalError(LicsrvError):
    """A refusal, answered as problem+json.

    Args:
        detail: One sentence for the person who reads it.
        action: What that person can do next.
        retry_after: Seconds after which the same request may succeed; becomes ``Retry-After``.
        extra: Further members of the problem document; JSON values only.

    Attributes:
        trace: The rules that were asked, where rules decided.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(
        self, detail: str, *, action: str | None = None, retry_after: int | None = None, **extra: object
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.action = action
        self.retry_after = retry_after
        self.extra = extra
        self.trace: Sequence[TraceStep] = ()


class InvalidRequestError(RefusalError):
    """The request cannot be understood; nothing was changed."""

    code, status, title = "INVALID_REQUEST", 422, "Invalid request"


class UnauthenticatedError(RefusalError):
    """No credential, or one that this server did not issue."""

    code, status, title = "UNAUTHENTICATED", 401, "Not authenticated"


class ForbiddenError(RefusalError):
    """The credential is known and does not allow this."""

    code, status, title = "FORBIDDEN", 403, "Forbidden"


class StepUpRequiredError(RefusalError):
    """The session is good, and what it asks for needs a fresh proof of who is using it."""

    code, status, title = "STEP_UP_REQUIRED", 403, "Proof of identity required"


class NotFoundError(RefusalError):
    """There is nothing at this address or of this name."""

    code, status, title = "NOT_FOUND", 404, "Not found"


class MethodNotAllowedError(RefusalError):
    """The address exists and does not take this method."""

    code, status, title = "METHOD_NOT_ALLOWED", 405, "Method not allowed"


class BodyTooLargeError(RefusalError):
    """The body is longer than this route reads."""

    code, status, title = "BODY_TOO_LARGE", 413, "Body too large"


class UnsupportedMediaTypeError(RefusalError):
    """The body is not JSON."""

    code, status, title = "UNSUPPORTED_MEDIA_TYPE", 415, "Unsupported media type"


class TooManyRequestsError(RefusalError):
    """The caller asks too often; ``retry_after`` says when to come back."""

    code, status, title = "TOO_MANY_REQUESTS", 429, "Too many requests"


class LicenseNotFoundError(RefusalError):
    """Neither this server nor the marketplace knows this code."""

    code, status, title = "LICENSE_NOT_FOUND", 404, "License not found"


class LicenseNotReceivedError(RefusalError):
    """The buyer has not received the code at the marketplace yet (92020004)."""

    code, status, title = "LICENSE_NOT_RECEIVED", 409, "License not received yet"


class LicenseExpiredError(RefusalError):
    """The license has ended."""

    code, status, title = "LICENSE_EXPIRED", 403, "License expired"


class LicenseFrozenError(RefusalError):
    """The marketplace has frozen the license."""

    code, status, title = "LICENSE_FROZEN", 403, "License frozen"


class LicenseRevokedError(RefusalError):
    """The vendor has revoked the license."""

    code, status, title = "LICENSE_REVOKED", 403, "License revoked"


class LicenseReleasedError(RefusalError):
    """The marketplace has released the license; this is final."""

    code, status, title = "LICENSE_RELEASED", 403, "License released"


class DeviceLimitError(RefusalError):
    """The device is new and every place is taken."""

    code, status, title = "DEVICE_LIMIT_REACHED", 409, "Device limit reached"


class DeviceMismatchError(RefusalError):
    """The license string belongs to another device."""

    code, status, title = "DEVICE_MISMATCH", 409, "Device mismatch"


class VirtualMachineError(RefusalError):
    """The device is new and a virtual machine or container, which the product does not allow."""

    code, status, title = "DEVICE_NOT_ALLOWED", 403, "Device not allowed"


class MoveLimitError(RefusalError):
    """A program may not give its place back now; it keeps it. ``next_move_at`` says when, None never."""

    code, status, title = "MOVE_LIMIT_REACHED", 409, "Move limit reached"


class NotFloatingError(RefusalError):
    """The places of the product are fixed: its programs need no seat."""

    code, status, title = "NOT_FLOATING", 409, "No seat needed"


class NoSeatFreeError(RefusalError):
    """Every seat is taken, or kept for those who wait; ``holders`` says by whom, ``position`` the place in line."""

    code, status, title = "NO_SEAT_FREE", 409, "No seat free"


class SeatNotFoundError(RefusalError):
    """There is no such seat, or it is that of another device or program."""

    code, status, title = "SEAT_NOT_FOUND", 404, "Seat not found"


class SeatEndedError(RefusalError):
    """The seat was given back, freed by staff, or lapsed and was taken by another program."""

    code, status, title = "SEAT_ENDED", 409, "Seat ended"


class SeatBorrowedError(RefusalError):
    """The borrowed seat may not be given back yet; ``return_from`` says when."""

    code, status, title = "SEAT_BORROWED", 409, "Seat borrowed"


class BorrowTooLongError(RefusalError):
    """A seat may not be borrowed for so long; ``longest_until`` says until when."""

    code, status, title = "BORROW_TOO_LONG", 409, "Borrowed for too long"


class BorrowLimitError(RefusalError):
    """As many seats as the product allows are borrowed already."""

    code, status, title = "BORROW_LIMIT_REACHED", 409, "Too many seats borrowed"


class MoveNotAllowedError(RefusalError):
    """A program may not free the place of that device; ``possible_from`` says when, None never."""

    code, status, title = "MOVE_NOT_ALLOWED", 409, "Move not allowed"


class InvalidPolicyError(RefusalError):
    """A policy has a value that is unknown or not allowed; ``errors`` names every problem."""

    code, status, title = "INVALID_POLICY", 422, "Invalid policy"


class PolicyContradictionError(RefusalError):
    """Each value of a policy is allowed, and they cannot hold together; ``errors`` says which."""

    code, status, title = "POLICY_CONTRADICTION", 422, "Policy contradicts itself"


class ConflictError(RefusalError):
    """The request conflicts with the current state."""

    code, status, title = "CONFLICT", 409, "Conflict"


class SellerDecidesError(RefusalError):
    """What shall be changed is the word of the license's seller; ``facts`` names it, ``says`` says whose it is."""

    code, status, title = "SELLER_DECIDES", 409, "Decided by the seller"


class MarketplaceUnavailableError(RefusalError):
    """The marketplace has to be asked and cannot be reached now."""

    code, status, title = "MARKETPLACE_UNAVAILABLE", 503, "Marketplace unavailable"


class ServiceUnavailableError(RefusalError):
    """The service cannot answer at this moment; nothing was changed."""

    code, status, title = "SERVICE_UNAVAILABLE", 503, "Service unavailable"
