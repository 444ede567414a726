"""The API gateway in front of the open API: whose key pair signed this, and is that pair locked?

It counts failures by key pair and locks a pair after more than five in a row, for five minutes. What the caller
wants is not its business.

Source: protocol/authorization-code.md §3.2 and §4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from licsrv.emulator.aksk import Authorization, SignedRequest, is_signed_with, parse_authorization
from licsrv.emulator.errors import GatewayRefusedError
from licsrv.emulator.moments import parse_sdk_date, rfc3339, sdk_date
from licsrv.emulator.open_api_codes import TAIL_LOCKED, TAIL_SIGNATURE, TAIL_UNKNOWN_AK

CLOCK_WINDOW = timedelta(minutes=15)
TOLERATED_FAILURES = 5
LOCK_SPAN = timedelta(minutes=5)
MUST_BE_SIGNED = frozenset({"host", "x-sdk-date"})


@dataclass
class PairState:
    """Failures in a row of one key pair, and until when it is locked."""

    failures: int = 0
    locked_until: datetime | None = None


class Gateway:
    """Checks AK/SK signatures and locks pairs that fail too often.

    Args:
        secrets: Secret key by access key id.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = dict(secrets)
        self._states = {ak: PairState() for ak in secrets}

    def authenticate(self, request: SignedRequest, *, now: datetime, refuse: bool = False) -> str:
        """Return the access key id that signed the request.

        1. The header can be read; 2. the key exists; 3. it is not locked; 4. host and date are signed; 5. the date is
        within 15 minutes of ``now``; 6. the signature covers exactly this request. Success clears the failures.

        Args:
            request: The request as received.
            now: The gateway's time.
            refuse: Refuse the signature although it is right, and count that like a wrong one.

        Raises:
            GatewayRefusedError: With the documented end of the message. The sixth failure in a row is still answered
                with its own cause and locks the pair; calls during the lock neither count nor prolong it (INFER).
        """
        claim = _claim_of(request)
        state = self._state_of(claim.access)
        _require_unlocked(state, now)
        try:
            self._verify(request, claim, now, refuse=refuse)
        except ValueError as error:
            self._count_failure(state, now)
            raise GatewayRefusedError(f"{TAIL_SIGNATURE}{error}") from error
        state.failures = 0
        return claim.access

    def reset(self) -> None:
        """Forget every failure and every lock."""
        self._states = {ak: PairState() for ak in self._secrets}

    def view(self) -> list[dict[str, object]]:
        """Describe the key pairs for the control API, secrets left out."""
        return [
            {
                "ak": ak,
                "failures_in_a_row": state.failures,
                "locked_until": rfc3339(state.locked_until) if state.locked_until else None,
            }
            for ak, state in self._states.items()
        ]

    def _state_of(self, ak: str) -> PairState:
        state = self._states.get(ak)
        if state is None:
            raise GatewayRefusedError(TAIL_UNKNOWN_AK)
        return state

    def _verify(self, request: SignedRequest, claim: Authorization, now: datetime, *, refuse: bool) -> None:
        _require_signed_names(claim)
        _require_recent(request, now)
        if refuse or not is_signed_with(self._secrets[claim.access], request, claim):
            raise ValueError("the signature does not match")

    @staticmethod
    def _count_failure(state: PairState, now: datetime) -> None:
        state.failures += 1
        if state.failures > TOLERATED_FAILURES:
            state.locked_until = now + LOCK_SPAN


def _claim_of(request: SignedRequest) -> Authorization:
    # GAP: what the gateway says about a missing or unreadable header; the signature tail is taken. No key is known
    # yet, so nothing is counted.
    try:
        return parse_authorization(request.headers.get("authorization", ""))
    except ValueError as error:
        raise GatewayRefusedError(f"{TAIL_SIGNATURE}{error}") from error


def _require_unlocked(state: PairState, now: datetime) -> None:
    if state.locked_until is None:
        return
    if now < state.locked_until:
        raise GatewayRefusedError(TAIL_LOCKED)
    state.failures, state.locked_until = 0, None


def _require_signed_names(claim: Authorization) -> None:
    names = claim.signed_headers
    if list(names) != sorted({name.lower() for name in names}):
        raise ValueError("SignedHeaders must be lower-case, sorted and without repetition")
    missing = sorted(MUST_BE_SIGNED.difference(names))
    if missing:
        raise ValueError(f"{missing[0]} must be signed")


def _require_recent(request: SignedRequest, now: datetime) -> None:
    signed_at = parse_sdk_date(request.headers.get("x-sdk-date", ""))
    if abs(now - signed_at) > CLOCK_WINDOW:
        raise ValueError(f"signature expired, signature time:{sdk_date(signed_at)},server time:{sdk_date(now)}")
