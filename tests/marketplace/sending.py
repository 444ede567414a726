"""Sending callbacks as the marketplace does, with a signature of the tests' own making."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from datetime import datetime
from typing import Any

import httpx2

from tests.conftest import ACCESS_KEY, DEVICE

_numbers = itertools.count()


def sign(body: bytes, nonce: str, timestamp: str, *, key: str = ACCESS_KEY) -> str:
    def digest(message: bytes) -> str:
        return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()

    return digest((key + nonce + timestamp + digest(body)).encode())


async def send(
    client: httpx2.AsyncClient, body: dict[str, Any] | bytes, *, at: datetime, **query: str
) -> httpx2.Response:
    """Send a callback signed at a moment; ``query`` replaces parameters."""
    raw = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    nonce = query.pop("nonce", f"nonce-{next(_numbers)}")
    timestamp = query.pop("timestamp", str(int(at.timestamp() * 1000)))
    parameters = {"signature": sign(raw, nonce, timestamp), "timestamp": timestamp, "nonce": nonce} | query
    headers = {"Content-Type": "application/json;charset=utf8"}
    return await client.post("/marketplace/callback", params=parameters, content=raw, headers=headers)


def renewal(code: str, expire: str, order: str = "CS1", **more: Any) -> dict[str, Any]:
    return {
        "activity": "refreshLicenseCode", "expireTime": expire, "license": code, "orderId": order,
        "orderLineId": f"{order}-000001", "scene": "RENEWAL",
    } | more  # fmt: skip


def status(code: str, word: str, **more: Any) -> dict[str, Any]:
    return {"activity": "updateLicenseCodeStatus", "license": code, "status": word} | more


def release(code: str, **more: Any) -> dict[str, Any]:
    return {"activity": "releaseLicenseCode", "license": code} | more


def opening(order: str = "CS1", business: str = "business-1", **more: Any) -> dict[str, Any]:
    return {
        "activity": "newInstance", "businessId": business, "orderId": order, "orderLineId": f"{order}-000001",
    } | more  # fmt: skip


def application(instance: str, event: str = "evt-1", device: str | None = DEVICE, **more: Any) -> dict[str, Any]:
    return {
        "activity": "getLicenseAsync", "eventId": event, "instanceId": instance,
        "effectiveTime": "2026-03-01 09:30:00 z", "expireTime": "2027-02-28 23:59:59 z", "deviceFingerprint": device,
    } | more  # fmt: skip


def about_instance(instance: str, activity: str, **more: Any) -> dict[str, Any]:
    return {"activity": activity, "instanceId": instance} | more
