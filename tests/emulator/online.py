"""A merchant with online licenses, as small as one can be, and what a test says to the shop over HTTP."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import httpx2
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.emulator.open_api_client import OpenApiClient

ORDER = "/v1/order/query"
DEVICE = "04:7C:16:5E:E3:5D|001B_444A_488B_5CEC.||BFEBFBFF00090672"
BOUNDARY = "the-boundary"


@dataclass
class OnlineMerchant:
    """Answers every activity with success unless a list of answers says otherwise; opens instances idempotently."""

    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    received: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    instances: dict[tuple[str, str], str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        query = dict(request.query_params)
        members = json.loads(body) if body else query
        self.received.append(members)
        self.bodies.append(body)
        self.queries.append(query)
        planned = self.answers.get(members["activity"])
        answer = planned.pop(0) if planned else {"resultCode": "000000", "resultMsg": "success."}
        if members["activity"] == "newInstance":
            answer = {"instanceId": self._instance(members)} | answer
        await Response(json.dumps(answer).encode(), headers=self.headers)(scope, receive, send)

    def _instance(self, members: dict[str, Any]) -> str:
        return self.instances.setdefault((members["orderId"], members["orderLineId"]), members["businessId"])

    def of(self, activity: str) -> list[dict[str, Any]]:
        return [members for members in self.received if members["activity"] == activity]


@dataclass
class Shop:
    """The emulator's control API and open API, over HTTP."""

    http: httpx2.AsyncClient
    open_api: OpenApiClient

    async def post(self, path: str, body: object = None, *, status: int | None = None) -> dict[str, Any]:
        answer = await self.http.post(f"/control{path}", json={} if body is None else body)
        assert answer.status_code == status if status else answer.is_success, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def get(self, path: str) -> dict[str, Any]:
        answer = await self.http.get(f"/control{path}")
        assert answer.is_success, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def settle(self) -> None:
        assert (await self.post("/callbacks/settle"))["settled"]

    async def buy(self, **what: Any) -> dict[str, Any]:
        """Buy, wait for the merchant, return the instance."""
        bought = await self.post("/online/orders", what)
        await self.settle()
        return await self.get(f"/online/instances/{bought['instance']['order_id']}")

    async def apply(self, instance: str, **what: Any) -> dict[str, Any]:
        applied = await self.post(f"/online/instances/{instance}/applications", {"device_info": DEVICE} | what)
        await self.settle()
        return applied

    async def query(self, order_id: str, line_id: str | None = None, **options: Any) -> httpx2.Response:
        line = "" if line_id is None else f"&orderLineId={line_id}"
        return await self.open_api.call(f"{ORDER}?orderId={order_id}{line}", content=b"", method="GET", **options)

    async def upload_string(self, event_id: str, text: str, **options: Any) -> dict[str, Any]:
        return await self.upload(event_id, {"type": "CHARACTERS", "characters": text}, **options)

    async def upload_file(
        self, event_id: str, content: bytes, name: str = "license.lic", **fields: Any
    ) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        return await self.upload(event_id, {"type": "FILE", "file_name": name, "sha256": digest} | fields, content)

    async def upload(self, event_id: str, fields: object, file: bytes | None = None, **options: Any) -> dict[str, Any]:
        answer = await self.send_form(event_id, form(fields, file), **options)
        shown: dict[str, Any] = answer.json()
        return shown

    async def send_form(self, event_id: str, content: bytes, **options: Any) -> httpx2.Response:
        options = {"content_type": f"multipart/form-data; boundary={BOUNDARY}"} | options
        return await self.open_api.call(f"/v1/market-event/{event_id}/file", content=content, **options)


def form(fields: object, file: bytes | None = None) -> bytes:
    """Write a form as the published example does: the file first, then the JSON part."""
    head = (
        b'Content-Disposition: form-data; name="file"; filename="111.jpg"\r\nContent-Type: multipart/form-data\r\n\r\n'
    )
    parts = [] if file is None else [head + file]
    text = json.dumps(fields).encode()
    parts.append(
        b'Content-Disposition: form-data; name="isvUpdateFileReq"\r\nContent-Type: application/json\r\n\r\n' + text
    )
    mark = b"--" + BOUNDARY.encode()
    return b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
