"""The seat of one running program: take it, renew it, borrow it, give it back; believe each answer only as signed.

A seat counts until its signed end, or until the program gives it back; no unsigned refusal takes it away. All questions
carry one session id for the whole run, so a reconnect takes no second seat. A borrowed seat is kept on disk with its
session, and taken up by the next start.

Questions are asked by one thread at a time (``seat_renewals``); what is held may be read by any.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from client_stub.machine.seat_store import KeptSeat, SeatStore
from client_stub.session import problems
from client_stub.session.configuration import Configuration
from client_stub.session.connection import RefusedError, TransportError, UnansweredError
from client_stub.session.problems import Problem
from client_stub.session.transport import Transport
from client_stub.trust import refusals
from client_stub.trust.claims import License
from client_stub.trust.errors import VerificationError
from client_stub.trust.seats import Seat, authenticate_seat

_LOG = logging.getLogger(__name__)
_RANDOM_BYTES = 24
_GONE = frozenset({"SEAT_NOT_FOUND", "SEAT_ENDED"})


@dataclass(frozen=True)
class Credential:
    """What a question about a seat is asked with: the license string, believed and as text, and the device text."""

    string: License
    text: str
    device_info: str


@dataclass(frozen=True)
class Wish:
    """How the program wants its seat.

    Args:
        user: Who works with it; the server keeps a keyed hash only.
        is_queued: Whether to wait in line where no seat is free.
    """

    user: str = ""
    is_queued: bool = False


class SeatTaker:
    """Takes a seat for this run of the program.

    Args:
        credential: Returns what to ask with, or why nothing can be asked.
        believe_string: Returns the license of a string that is believed on this machine; raises VerificationError.
        confirm: Takes the server's time, fresh and signed.
    """

    def __init__(
        self,
        configuration: Configuration,
        transport: Transport,
        *,
        credential: Callable[[], Credential | Problem],
        believe_string: Callable[[str], License],
        confirm: Callable[[datetime], object],
    ) -> None:
        self._configuration = configuration
        self._transport = transport
        self._store = SeatStore(configuration.seat_stored_at)
        self._credential = credential
        self._believe_string = believe_string
        self._confirm = confirm
        self._session = secrets.token_urlsafe(_RANDOM_BYTES)
        self._is_looked_for = False
        self._wish: Wish | None = None
        self._asked_with: Credential | None = None
        self.seat: Seat | None = None
        self.problem: Problem | None = None
        self.retry_after: timedelta | None = None
        self.is_license_in_doubt = False

    @property
    def is_wanted(self) -> bool:
        """True while the program wants a seat, whether it has one or not."""
        return self._wish is not None

    @property
    def is_in_line(self) -> bool:
        """True while the program waits for a seat to become free."""
        return self.is_wanted and self.problem is not None and self.problem.code == "NO_SEAT_FREE"

    def seat_of(self, license: License) -> Seat | None:
        """Return the seat, if it is one of this license."""
        seat = self.seat
        is_ours = seat is not None and (seat.issuer, seat.license_id) == (license.issuer, license.license_id)
        return seat if is_ours else None

    def take_up(self, license: License, now: datetime) -> None:
        """Take up the seat that an earlier run has borrowed; only the first time.

        One that has ended is only asked about when the program wants a seat: the clock may be wrong.
        """
        if self._is_looked_for or not license.is_floating:
            return
        self._is_looked_for = True
        kept = self._store.load()
        seat = self._believed(kept) if kept else None
        if kept is None or seat is None:
            self._store.close()
            return
        self._session, self.seat, self._wish = kept.session, seat, Wish() if seat.is_live(now) else None

    def check_out(self, wish: Wish) -> Seat | Problem:
        """Take a seat, and want one from now on unless the answer says that there is none.

        The second time, the seat that this program has is renewed. While the server does not answer, a seat that is
        held already is the answer.
        """
        self._wish = wish
        return self._take()

    def renew(self) -> Seat | Problem:
        """Ask for more time for the seat, or for one where the program has none; with the same session."""
        seat = self.seat
        if seat is None:
            return self._take()
        outcome = self._ask("renew", {"seat_id": seat.seat_id})
        if isinstance(outcome, Problem) and outcome.code in _GONE:
            return self._take()
        return outcome

    def borrow(self, until: datetime) -> Seat | Problem:
        """Make the seat good without network until then; asked again, until another moment."""
        seat = self.seat
        if seat is None:
            return problems.NO_SEAT_HELD
        moment = until.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return self._ask("borrow", {"seat_id": seat.seat_id, "until": moment})

    def give_back(self) -> Problem | None:
        """Give the seat back, and want none any more; the second time nothing happens.

        Return why the seat is still there: a borrowed one may not be given back yet, or the server does not answer.
        """
        seat, wish = self.seat, self._wish
        self._wish = None
        if seat is None:
            return None
        try:
            self._send("return", {"seat_id": seat.seat_id})
        except TransportError as error:
            if error.problem.code not in _GONE:
                self._wish = wish
                return self._failed(error)
        self.seat = self.problem = None
        self._store.forget()
        return None

    def return_at_end(self) -> None:
        """Give the seat back because the program ends, unless it is borrowed: that one is left to the next start."""
        seat = self.seat
        if seat is not None and not seat.is_borrowed:
            self.give_back()

    def leave(self) -> None:
        """Leave a borrowed seat to the next start."""
        self._store.close()

    def _take(self) -> Seat | Problem:
        wish = self._wish or Wish()
        more: dict[str, object] = {"queue": wish.is_queued} | ({"user": wish.user} if wish.user else {})
        described = self._configuration.described
        return self._ask("checkout", more | ({"client": described} if described else {}))

    def _ask(self, action: str, more: Mapping[str, object]) -> Seat | Problem:
        nonce = secrets.token_urlsafe(_RANDOM_BYTES)
        try:
            credential, answer = self._send(action, {**more, "nonce": nonce})
            text = answer.get("seat")
            if not isinstance(text, str):
                raise UnansweredError(problems.unexpected(200))
            seat = authenticate_seat(
                text, self._configuration.keys, license=credential.string, session=self._session, nonce=nonce
            )
        except TransportError as error:
            return self._failed(error)
        except VerificationError as error:
            return self._failed(UnansweredError(problems.from_error(error)))
        return self._hold(seat, KeptSeat(text, credential.text, self._session, nonce=nonce))

    def _send(self, action: str, more: Mapping[str, object]) -> tuple[Credential, Mapping[str, object]]:
        credential = self._credential()
        if isinstance(credential, Problem):
            if action != "return" or self._asked_with is None:
                raise UnansweredError(credential)
            credential = self._asked_with  # the license is out of use, and its seat goes back
        self._asked_with = credential
        body = {"session": self._session, "device_info": credential.device_info, **more}
        return credential, self._transport.ask(f"seats/{action}", credential.text, body)

    def _hold(self, seat: Seat, kept: KeptSeat) -> Seat:
        self._confirm(seat.issued_at)
        self._wish = self._wish or Wish()
        self.seat, self.problem, self.retry_after, self.is_license_in_doubt = seat, None, None, False
        if not seat.is_borrowed:
            self._store.forget()
        elif not self._store.save(kept):
            self.problem = problems.NOT_STORED
        return seat

    def _failed(self, error: TransportError) -> Problem:
        """Take a note of a refusal or of no answer; the seat that is held stays."""
        problem = error.problem
        _LOG.info("a question about a seat did not succeed: %s", problem.code)
        self.problem, self.retry_after = problem, getattr(error, "retry_after", None)
        is_refused = isinstance(error, RefusedError)
        self.is_license_in_doubt = problem.code not in refusals.SEAT_CODES and (is_refused or problem.status == 401)
        if problem.code == "NOT_FLOATING":
            self.is_license_in_doubt, self._wish = True, None
        elif problem.code == "NO_SEAT_FREE" and self.seat is None and not (self._wish and self._wish.is_queued):
            self._wish = None
        return problem

    def _believed(self, kept: KeptSeat) -> Seat | None:
        try:
            string = self._believe_string(kept.license_string)
            return authenticate_seat(
                kept.seat, self._configuration.keys, license=string, session=kept.session, nonce=kept.nonce
            )
        except VerificationError as error:
            _LOG.warning("the borrowed seat is not used: %s", error.code)
            return None
