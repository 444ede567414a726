"""A license server's seats as the wire contract has them, on a clock of its own, for many programs at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx2

from tests.client_stub.fakes import problem
from tests.client_stub.signing import Vendor, unix, without_none

SEAT_LASTS = timedelta(minutes=15)


@dataclass
class Taken:
    seat_id: str
    session: str
    until: datetime
    is_borrowed: bool = False
    returned: str = ""


@dataclass
class FakeSeats:
    """``seats`` places for ``now``; ``refuse`` answers the next questions of an action in its place."""

    vendor: Vendor
    now: Callable[[], datetime]
    seats: int = 3
    longest_borrow: timedelta = timedelta(days=7)
    claims: dict[str, Any] = field(default_factory=dict)
    taken: dict[str, Taken] = field(default_factory=dict)
    line: list[str] = field(default_factory=list)
    refuse: dict[str, httpx2.Response] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def answer(self, action: str, body: dict[str, Any]) -> httpx2.Response:
        self.asked.append((action, body))
        if action in self.refuse:
            return self.refuse[action]
        if action == "checkout":
            return self._check_out(body)
        held = self.taken.get(body["session"])
        if held is None or held.seat_id != body["seat_id"]:
            return problem(404, "SEAT_NOT_FOUND")
        if action == "return":
            return self._take_back(held)
        if held.returned or (held.until <= self.now() and len(self.live()) >= self.seats):
            return problem(409, "SEAT_ENDED")
        return self._borrow(held, body) if action == "borrow" else self._granted(held, body)

    def live(self) -> list[Taken]:
        return [one for one in self.taken.values() if one.until > self.now() and not one.returned]

    def actions(self) -> list[str]:
        return [action for action, _ in self.asked]

    def _check_out(self, body: dict[str, Any]) -> httpx2.Response:
        held = self.taken.get(body["session"])
        if held is None or held.returned or held.until <= self.now():
            if len(self.live()) >= self.seats:
                return self._refused(body)
            held = Taken(f"seat_{next(self.numbers)}", body["session"], self.now())
            self.taken[held.session] = held
        return self._granted(held, body)

    def _granted(self, held: Taken, body: dict[str, Any]) -> httpx2.Response:
        if not held.is_borrowed:
            held.until = self.now() + SEAT_LASTS
        claims = {
            "iss": "https://license.example",
            "sub": "lic_1",
            "jti": held.seat_id,
            "str": "ls_1",
            "ses": held.session,
            "iat": unix(self.now()),
            "exp": unix(held.until),
            "renew": unix(self.now() + SEAT_LASTS / 3),
            "nonce": body["nonce"],
            "bor": True if held.is_borrowed else None,
        }
        text = self.vendor.lease_key.sign(without_none(claims | self.claims), "seat+jwt")
        return httpx2.Response(200, json={"seat": text, "seat_id": held.seat_id, "borrowed": held.is_borrowed})

    def _borrow(self, held: Taken, body: dict[str, Any]) -> httpx2.Response:
        until, longest = datetime.fromisoformat(body["until"]), self.now() + self.longest_borrow
        if until > longest:
            return problem(409, "BORROW_TOO_LONG", longest_until=longest.isoformat())
        held.until, held.is_borrowed = until, True
        return self._granted(held, body)

    def _take_back(self, held: Taken) -> httpx2.Response:
        held.returned = held.returned or self.now().isoformat()
        return httpx2.Response(200, json={"seat_id": held.seat_id, "returned_at": held.returned})

    def _refused(self, body: dict[str, Any]) -> httpx2.Response:
        if body["queue"] and body["session"] not in self.line:
            self.line.append(body["session"])
        holders = [{"name": one.seat_id, "until": one.until.isoformat()} for one in self.live()]
        members: dict[str, Any] = {"seats": self.seats, "taken": len(holders), "holders": holders}
        if body["queue"]:
            members["position"] = self.line.index(body["session"]) + 1
        return problem(409, "NO_SEAT_FREE", **members)
