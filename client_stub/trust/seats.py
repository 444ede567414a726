"""A seat of a floating license: the server's signed word that one running program may use one of its places.

Pure. A seat belongs to one license string, so to one machine, and to one session of a program, and it answers one
question. It runs on the server's time, so no leeway is given: at its end another program may have it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime

from client_stub.trust import claim_values, tokens
from client_stub.trust.claims import License
from client_stub.trust.errors import BadClaimsError, ForeignSeatError, NonceMismatchError
from client_stub.trust.keys import KeyPurpose, PinnedKeys
from client_stub.trust.tokens import TokenKind

SEAT = TokenKind("seat+jwt", KeyPurpose.LEASE, 8 * 1024)


@dataclass(frozen=True)
class Seat:
    """A seat whose signature is good. Moments are aware UTC.

    Attributes:
        string_id: The ``jti`` of the license string that it was taken with.
        session: The running program that it was given to.
        renew_at: When to ask for more time.
        is_borrowed: It is good without network until it ends.
    """

    issuer: str
    license_id: str
    seat_id: str
    string_id: str
    session: str
    issued_at: datetime
    expires_at: datetime
    renew_at: datetime
    nonce: str
    is_borrowed: bool

    def is_live(self, now: datetime) -> bool:
        """Say whether the seat has not ended."""
        return now < self.expires_at


def authenticate_seat(text: str | bytes, keys: PinnedKeys, *, license: License, session: str, nonce: str) -> Seat:
    """Believe a seat of this license string for this session, or say why not. Whether it has ended is not looked at.

    1. The token is well-formed, of type ``seat+jwt`` and signed with a pinned lease key.
    2. The claims are complete, and the seat does not end before it begins.
    3. It belongs to this license string (``iss``, ``sub``, ``str``) and to this session (``ses``).
    4. It answers this very question: the nonce is ours.

    Raises:
        VerificationError: The first step that fails.
    """
    seat = _read(tokens.open_token(text, SEAT, keys).claims)  # 1, 2
    owner = (license.issuer, license.license_id, license.string_id, session)
    if (seat.issuer, seat.license_id, seat.string_id, seat.session) != owner:  # 3
        raise ForeignSeatError("The seat belongs to another license or another program.")
    if not hmac.compare_digest(seat.nonce.encode(), nonce.encode()):  # 4
        raise NonceMismatchError("The seat does not answer the question that was asked.")
    return seat


def _read(claims: claim_values.Claims) -> Seat:
    seat = Seat(
        issuer=claim_values.text(claims, "iss"),
        license_id=claim_values.text(claims, "sub"),
        seat_id=claim_values.text(claims, "jti"),
        string_id=claim_values.text(claims, "str"),
        session=claim_values.text(claims, "ses"),
        issued_at=claim_values.moment(claims, "iat"),
        expires_at=claim_values.moment(claims, "exp"),
        renew_at=claim_values.moment(claims, "renew"),
        nonce=claim_values.text(claims, "nonce"),
        is_borrowed=claim_values.flag(claims, "bor"),
    )
    if seat.expires_at < seat.issued_at:
        raise BadClaimsError("The seat ends before it begins.")
    return seat
