"""The marketplace's side of the story: buttons of the emulator's control API, and what its records say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx2

from demo.expectations import UnexpectedError, wait_for

_SECONDS = 15.0


class Marketplace:
    """The emulator, driven like the buyer and the marketplace's own people drive the real one."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx2.Client(base_url=f"{base_url}/control", timeout=_SECONDS, trust_env=False)

    def buy(self, *, amount: int, received: bool, product_id: str = "OFFI-CAD-2026") -> str:
        """Buy a code for a year and return it."""
        bought = self._post("/codes", product_id=product_id, amount=amount, days=365, received=received)
        return str(bought["code"])

    def receive(self, code: str) -> None:
        """Let the buyer receive the code in the buyer center."""
        self._post(f"/codes/{code}/receive")

    def record(self, code: str) -> dict[str, Any]:
        """Return what the marketplace has on record about a code."""
        return self.show(f"/codes/{code}")

    def do(self, code: str, verb: str, **members: object) -> dict[str, Any]:
        """Renew, freeze, unfreeze or release a code, and return the callback once its first try has ended."""
        return self.order(f"/codes/{code}/{verb}", **members)

    def do_online(self, instance: str, verb: str, **members: object) -> dict[str, Any]:
        """Renew, upgrade, freeze, unfreeze or release an online license; as ``do``."""
        return self.order(f"/online/instances/{instance}/{verb}", **members)

    def order(self, path: str, **members: object) -> dict[str, Any]:
        """Do anything that sends a callback, and return the callback once its first try has ended."""
        return self._tried(self._post(path, **members)["callback"]["id"], 1)

    def hurry(self, callback_id: str) -> dict[str, Any]:
        """Let the next try of a callback come now instead of in two minutes, and return it when it was made."""
        tries = len(self.callback(callback_id)["attempts"])
        self._post("/callbacks/hurry")
        return self._tried(callback_id, tries + 1)

    def show(self, path: str) -> dict[str, Any]:
        """Return what the control API shows at a path."""
        return self._answer(self._http.get(path))

    def place(self, order_id: str) -> None:
        """Place an order of an online license without asking our server for an instance."""
        self._post("/online/orders", order_id=order_id, announce=False)

    def offer_version(self, version: str) -> None:
        """Let ISCDesk offer a version of the program."""
        self._post("/iscdesk/versions", version=version)

    def repeat(self, callback_id: str) -> dict[str, Any]:
        """Send a callback again, as an operator does in the seller center, and return it when it was tried."""
        tries = len(self.callback(callback_id)["attempts"])
        self._post(f"/callbacks/{callback_id}/retry")
        return self._tried(callback_id, tries + 1)

    def send(self, body: dict[str, object]) -> dict[str, Any]:
        """Send any callback, correctly signed, and return it when it was tried."""
        return self._tried(self._post("/callbacks", body=body)["id"], 1)

    def probe(self) -> dict[str, Any]:
        """Replay every saved debug case, and return what is known of the probes when all were answered."""
        self._post("/probes")
        return wait_for(lambda: self.show("/probes"), lambda seen: seen["rounds"][-1]["complete"], "the end of a probe")

    def callback(self, callback_id: str) -> dict[str, Any]:
        """Return one callback with all its tries."""
        return self.show(f"/callbacks/{callback_id}")

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
