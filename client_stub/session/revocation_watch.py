"""Hold the revocation list and keep it up to date: from the store, from the network, from a file.

``revocations`` decides what is believed and applied; this module remembers, in memory and in the store. Safe to use
from several threads; the network is asked outside the lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from client_stub.machine import disk
from client_stub.machine.revocation_store import RevocationStore
from client_stub.session import problems
from client_stub.session.connection import RefusedError, TransportError
from client_stub.session.problems import Problem
from client_stub.session.transport import Transport
from client_stub.trust import revocations
from client_stub.trust.claims import License
from client_stub.trust.errors import MalformedError, VerificationError
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.revocations import Outcome, RevocationList, RevocationUpdate

_LOG = logging.getLogger(__name__)
_MOST_DELTAS = 32
_ASK_EVERY = 3600.0
_OF_NO_USE = {Outcome.OLDER: problems.LIST_IS_OLDER, Outcome.GAP: problems.LIST_IS_INCOMPLETE}


class RevocationWatch:
    """The revocation list of one vendor on this computer.

    Args:
        store: Where it is kept between two starts.
        keys: The keys that may sign it.
        issuer: The only issuer that is believed; None believes any holder of a pinned key.
    """

    def __init__(self, store: RevocationStore, keys: PinnedKeys, issuer: str | None = None) -> None:
        self._store = store
        self._keys = keys
        self._issuer = issuer
        self._lock = threading.Lock()
        self._held = RevocationList()
        self._texts: tuple[str, ...] = ()
        self._etag = (0, "")
        self._is_loaded = False
        self._asked = float("-inf")
        self.problem: Problem | None = None

    @property
    def number(self) -> int:
        """The number of the held list, 0 when there is none."""
        return self._loaded().number

    @property
    def issued_at(self) -> datetime | None:
        """When the held list was issued, None when there is none."""
        return self._loaded().issued_at

    def listed_at(self, licenses: Iterable[License]) -> datetime | None:
        """Return when the held list was issued if it names one of these, else None."""
        held = self._loaded()
        return held.issued_at if any(held.names(license) for license in licenses) else None

    def take(self, text: str | bytes) -> Outcome:
        """Believe a list, apply it to the held one, and keep it.

        Raises:
            VerificationError: It is not believed.
        """
        update = revocations.open_update(text, self._keys, issuer=self._issuer)
        plain = text.decode("ascii") if isinstance(text, bytes) else text
        with self._lock, self._store.taking_turns():
            self._take_up_newer()
            before = self._texts
            outcome = self._apply(update, plain)
            if self._texts is not before:
                self.problem = None if self._store.save(self._texts) else problems.NOT_STORED
        if outcome is Outcome.OLDER:
            _LOG.warning("a revocation list that is older than the held one was offered and not used")
        return outcome

    def take_file(self, path: Path) -> Outcome:
        """Take a list that was carried to this computer; a line end behind it is allowed.

        Raises:
            OSError: It cannot be read.
            VerificationError: It is not believed.
        """
        try:
            raw = disk.read_file(path, revocations.MAXIMUM_CHARACTERS)
        except ValueError as error:
            raise MalformedError("The revocation list is too large.") from error
        return self.take(raw.rstrip(b"\r\n"))

    def take_carried(self, path: Path) -> Problem | None:
        """Take a list that was carried to this computer, and return the problem, if any."""
        try:
            problem = _OF_NO_USE.get(self.take_file(path))
        except OSError:
            problem = Problem(problems.NOT_AVAILABLE, "The revocation list cannot be read.", "Look at its path.")
        except VerificationError as error:
            problem = problems.from_error(error)
        if problem is not None:
            _LOG.warning("the revocation list that was carried here is not used: %s", problem.code)
        return problem

    def refresh_when_due(self, transport: Transport, monotonic: float, *, is_urgent: bool = False) -> None:
        """Refresh, unless that was done in the last hour and is not urgent; ``monotonic`` is in seconds."""
        if is_urgent or monotonic - self._asked >= _ASK_EVERY:
            self._asked = monotonic
            self.refresh(transport)

    def refresh(self, transport: Transport) -> bool:
        """Ask the server for what has changed. Return False when that did not succeed; the old list then holds."""
        try:
            # Many small changes cost more to read at every start than one whole list.
            outcome = self._fetch(transport, 0 if len(self._texts) > _MOST_DELTAS else self.number)
            if outcome is Outcome.GAP:
                self._fetch(transport, 0)
        except RefusedError as error:
            _LOG.warning("the server has no revocation list for us: %s", error.problem.code)
            return False
        except TransportError as error:
            _LOG.info("the revocation list was not renewed: %s", error.problem.code)
            return False
        except VerificationError as error:
            _LOG.warning("the revocation list of the server is not believed: %s", error.code)
            return False
        return True

    def _fetch(self, transport: Transport, since: int) -> Outcome:
        asked_before, etag = self._etag
        fetched = transport.fetch_revocations(since, etag if asked_before == since else "")
        if fetched is None:
            return Outcome.KNOWN
        outcome = self.take(fetched.text)
        self._etag = (since, fetched.etag)
        return outcome

    def _loaded(self) -> RevocationList:
        if not self._is_loaded:
            with self._lock:
                self._load()
        return self._held

    def _load(self) -> None:
        if not self._is_loaded:
            self._read_texts(self._store.load())
            self._is_loaded = True

    def _take_up_newer(self) -> None:
        """Take up what another program has stored since, if that is a newer list."""
        texts = self._store.load()
        if self._is_loaded and texts == self._texts:
            return
        mine = self._held, self._texts
        self._held, self._texts = RevocationList(), ()
        self._read_texts(texts)
        self._is_loaded = True
        if mine[0].number >= self._held.number:
            self._held, self._texts = mine

    def _read_texts(self, texts: Iterable[str]) -> None:
        """Take up what is kept, line by line, up to the first that does not verify or does not fit."""
        for text in texts:
            try:
                update = revocations.open_update(text, self._keys, issuer=self._issuer)
            except VerificationError as error:
                _LOG.warning("a stored revocation list is not used: %s", error.code)
                return
            if self._apply(update, text) is not Outcome.APPLIED:
                return

    def _apply(self, update: RevocationUpdate, text: str) -> Outcome:
        self._held, outcome = revocations.apply(self._held, update)
        if update.since == 0 and outcome in (Outcome.APPLIED, Outcome.KNOWN):
            self._texts = (text,)  # one whole list in the place of many changes
        elif outcome is Outcome.APPLIED:
            self._texts = (*self._texts, text)
        return outcome
