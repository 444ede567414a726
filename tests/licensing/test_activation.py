"""A device asks for its license string."""

from __future__ import annotations

import httpx2
from licsrv.emulator.emulator import Emulator

from tests.conftest import DEVICE


async def test_a_received_code_becomes_a_license_string(client: httpx2.AsyncClient, emulator: Emulator) -> None:
    code = emulator.codes.buy(product_id="OFFI1", amount=2, days=365, received=True).code

    answer = await client.post("/v1/licenses/string", json={"code": code, "device_info": DEVICE, "nonce": "n"})

    assert answer.status_code == 200, answer.text
