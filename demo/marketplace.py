"""The marketplace's side of the story: buttons of the emulator's control API, and what its records say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx2

from demo.expectations import UnexpectedError, wait_for

DELIVERED = "delivered"
_SECONDS = 15.0


class Marketplace:
    """The emulator, driven like the buyer and the marketplace's own people drive the real one."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx2.Client(base_url=f"{base_url}/control", timeout=_SECONDS, trust_env=False)

    def buy(self, *, amount: int, received: bool) -> str:
        """Buy a code for a year and return it."""
        bought = self._post("/codes", product_id="OFFI-CAD-2026", amount=amount, days=365, received=received)
        return str(bought["code"])

    def receive(self, code: str) -> None:
        """Let the buyer receive the code in the buyer center."""
        self._post(f"/codes/{code}/receive")

    def record(self, code: str) -> dict[str, Any]:
        """Return what the marketplace has on record about a code."""
        return self._answer(self._http.get(f"/codes/{code}"))

    def do(self, code: str, verb: str, **members: object) -> dict[str, Any]:
        """Renew, freeze, unfreeze or release a code, and return the callback once its first try has ended."""
        sent = self._post(f"/codes/{code}/{verb}", **members)["callback"]
        return self._tried(sent["id"], 1)

    def repeat(self, callback_id: str) -> dict[str, Any]:
        """Send a callback again, as an operator does in the seller center, and return it when it was tried."""
        tries = len(self.callback(callback_id)["attempts"])
        self._post(f"/callbacks/{callback_id}/retry")
        return self._tried(callback_id, tries + 1)

    def send(self, body: dict[str, object]) -> dict[str, Any]:
        """Send any callback, correctly signed, and return it when it was tried."""
        return self._tried(self._post("/callbacks", body=body)["id"], 1)

    def callback(self, callback_id: str) -> dict[str, Any]:
        """Return one callback with all its tries."""
        return self._answer(self._http.get(f"/callbacks/{callback_id}"))

    def misbehave(self, side: str, kind: str, value: object = None, **members: object) -> None:
        """Let something go wrong from now on."""
        self._post("/faults", side=side, kind=kind, value=value, **members)

    def behave(self) -> None:
        """End all misbehaviour."""
        self._answer(self._http.delete("/faults"))

    def move_clock(self, now: datetime) -> None:
        """Let the marketplace's clock go on from a moment."""
        self._post("/clock", now=now.isoformat())

    def wait_for(self, code: str, is_good: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait until the record of a code is as the story says, and return it."""
        return wait_for(lambda: self.record(code), is_good, what)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _tried(self, callback_id: str, tries: int) -> dict[str, Any]:
        return wait_for(
            lambda: self.callback(callback_id), lambda seen: len(seen["attempts"]) >= tries, "a try of the callback"
        )

    def _post(self, path: str, **members: object) -> dict[str, Any]:
        return self._answer(self._http.post(path, json=members))

    def _answer(self, response: httpx2.Response) -> dict[str, Any]:
        if response.status_code >= 300:
            raise UnexpectedError(f"The emulator refused {response.request.url.path}: {response.text[:200]}")
        answer: dict[str, Any] = response.json()
        return answer


def last_answer(callback: dict[str, Any]) -> str:
    """Return what our server answered to the last try of a callback."""
    return str(callback["attempts"][-1]["answer"])


def moment(text: str) -> datetime:
    """Read a moment of the marketplace's records."""
    return datetime.fromisoformat(text)
