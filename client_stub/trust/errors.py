"""Every reason for which something signed or a device text is not believed, and what a person can do about it.

::

    VerificationError
    ├── MalformedError           MALFORMED             not a token or file in its one spelling, or no JSON inside
    │   └── UnreadableFileError  UNREADABLE            a license file that was changed on its way, as by a mail program
    ├── WrongTypeError           WRONG_TYPE            a lease for a license, another algorithm, a header to spare
    ├── UnknownKeyError          UNKNOWN_KEY           signed with a key that is not pinned in the program
    ├── WrongKeyPurposeError     WRONG_KEY_PURPOSE     signed with a pinned key that is meant for something else
    ├── BadSignatureError        BAD_SIGNATURE         changed after it was signed
    ├── BadClaimsError           BAD_CLAIMS            well signed, but does not say what it has to
    ├── WrongIssuerError         WRONG_ISSUER          issued by another issuer
    ├── WrongProductError        WRONG_PRODUCT         meant for another program
    ├── NotYetValidError         NOT_YET_VALID         begins later than the clock says
    ├── ExpiredError             EXPIRED               its last moment has passed
    ├── InvalidDeviceInfoError   INVALID_DEVICE_INFO   the device text is not MAC|disk|board|CPU
    ├── DeviceMismatchError      DEVICE_MISMATCH       issued for another machine; says which parts fit
    ├── NeedsSeatError           NEEDS_SEAT            floating: each running program needs a seat as well
    ├── ForeignLeaseError        FOREIGN_LEASE         a lease of another license
    ├── ForeignSeatError         FOREIGN_SEAT          a seat of another license, machine or program
    ├── ForeignResetError        FOREIGN_RESET         a clock reset of another license
    ├── UsedResetError           USED_RESET            a clock reset that was used, or is older than what is known
    ├── NonceMismatchError       NONCE_MISMATCH        the answer to another question, or to an old one
    └── LeaseEndedError          LEASE_ENDED           not renewed in time

The errors of the network live in ``transport``, those of a wrong set-up in ``configuration``. No message repeats
what was being verified: it goes into logs and bug reports.
"""

from __future__ import annotations

from typing import ClassVar

from client_stub.trust.device_match import DeviceMatch


class VerificationError(Exception):
    """Something is not believed; ``code`` is stable, ``str()`` a sentence, ``action`` what a person can do."""

    code: ClassVar[str]
    action: ClassVar[str] = (
        "Ask for the license again; if it is refused once more, send the code to the vendor's support."
    )


class MalformedError(VerificationError):
    """The text is not a token or a license file: wrong shape, wrong alphabet, or not plain JSON inside."""

    code = "MALFORMED"


class UnreadableFileError(MalformedError):
    """A license file whose text was changed on its way: other line ends, another encoding, text around it, or a cut."""

    code = "UNREADABLE"
    action = "Have the license file sent again inside a ZIP archive; mail programs change the text of plain files."


class WrongTypeError(VerificationError):
    """The header does not announce exactly what is expected here."""

    code = "WRONG_TYPE"


class UnknownKeyError(VerificationError):
    """The key that signed this is not pinned in the program."""

    code = "UNKNOWN_KEY"
    action = "Install the newest version of the program; it knows the vendor's newest keys."


class WrongKeyPurposeError(VerificationError):
    """The key is pinned, for another purpose."""

    code = "WRONG_KEY_PURPOSE"


class BadSignatureError(VerificationError):
    """The signature does not fit the text."""

    code = "BAD_SIGNATURE"


class BadClaimsError(VerificationError):
    """The signed claims are incomplete or make no sense."""

    code = "BAD_CLAIMS"


class WrongIssuerError(VerificationError):
    """The issuer is not the one that the program expects."""

    code = "WRONG_ISSUER"


class WrongProductError(VerificationError):
    """The license is for another product of the vendor."""

    code = "WRONG_PRODUCT"
    action = "Enter the code that was bought for this program."


class NotYetValidError(VerificationError):
    """The license begins later than this computer's clock says."""

    code = "NOT_YET_VALID"
    action = "Check date, time and time zone of this computer."


class ExpiredError(VerificationError):
    """The license's last moment has passed."""

    code = "EXPIRED"
    action = "Renew the license at the marketplace, then ask for it again."


class InvalidDeviceInfoError(VerificationError):
    """The device text is not ``MAC|disk|board|CPU`` of at most 5 KiB."""

    code = "INVALID_DEVICE_INFO"
    action = "Send the four parts MAC|disk|board|CPU; parts that are not known stay empty."


class DeviceMismatchError(VerificationError):
    """The license was issued for another machine.

    Args:
        match: Part by part what fits and what does not.
    """

    code = "DEVICE_MISMATCH"
    action = "Ask for a license on this computer, or have the vendor's support move the place here."

    def __init__(self, match: DeviceMatch) -> None:
        super().__init__(f"The license was issued for another machine ({match.explain()}).")
        self.match = match


class NeedsSeatError(VerificationError):
    """The license is floating, and the caller did not say that its program takes seats."""

    code = "NEEDS_SEAT"
    action = "Install a version of the program that takes seats."


class ForeignLeaseError(VerificationError):
    """The lease belongs to another license."""

    code = "FOREIGN_LEASE"


class ForeignSeatError(VerificationError):
    """The seat belongs to another license, another machine or another running program."""

    code = "FOREIGN_SEAT"
    action = "Check a seat out again."


class ForeignResetError(VerificationError):
    """The clock reset belongs to another license."""

    code = "FOREIGN_RESET"
    action = "Ask the vendor's support for a clock reset of the license on this computer."


class UsedResetError(VerificationError):
    """The clock reset is not younger than everything that is known here."""

    code = "USED_RESET"
    action = "Ask the vendor's support for a new clock reset."


class NonceMismatchError(VerificationError):
    """The lease does not answer the question that was asked."""

    code = "NONCE_MISMATCH"


class LeaseEndedError(VerificationError):
    """The lease was not renewed before its end."""

    code = "LEASE_ENDED"
    action = "Connect this computer to the network so that the license can be renewed."
