"""A client of the open API that signs what it sends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2

from licsrv.emulator import Emulator
from licsrv.emulator.aksk import SignedRequest, authorization
from licsrv.emulator.moments import sdk_date

BASE = "/api/mkp-openapi-public/global"


@dataclass
class OpenApiClient:
    """Signs and sends; what is wrong on purpose is an argument."""

    http: httpx2.AsyncClient
    emulator: Emulator
    ak: str = "DEMOAK"
    sk: str = "demo-secret-key"

    async def call(
        self,
        path: str,
        body: object = None,
        *,
        content: bytes | None = None,
        method: str = "POST",
        content_type: str = "application/json",
        age: timedelta = timedelta(0),
        sk: str | None = None,
        ak: str | None = None,
        unsigned: bool = False,
        **replaced: str,
    ) -> httpx2.Response:
        raw = json.dumps(body).encode() if content is None else content
        headers = {
            "host": "mkt.test",
            "content-type": content_type,
            "x-sdk-date": sdk_date(self.emulator.clock.now() - age),
        }
        parts = urlsplit(BASE + path)
        if unsigned:
            headers["x-sdk-content-sha256"] = "UNSIGNED-PAYLOAD"
        signed = SignedRequest(method, parts.path, parts.query, headers, raw, body_may_be_unsigned=True)
        headers["authorization"] = authorization(ak or self.ak, sk or self.sk, signed, headers)
        headers |= {name.replace("_", "-"): value for name, value in replaced.items()}
        return await self.http.request(method, BASE + path, content=raw, headers=headers)

    async def code(self, path: str, body: object = None, **options: Any) -> str:
        """Return the answer's error_code."""
        answer = await self.call(path, body, **options)
        code: str = answer.json()["error_code"]
        return code
