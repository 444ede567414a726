"""A key whose private half is lost: whoever needs it is told to come again, and the others are served."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from sqlmodel import select

from licsrv.app import build_runtime, create_app
from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Purpose
from licsrv.platform.db import reading
from tests.conftest import DEVICE, NOW, StandingClock, make_settings
from tests.releases.conftest import Buyer, Vendor


@pytest.mark.parametrize("lost", list(Purpose))
async def test_whoever_needs_a_lost_key_is_told_to_come_again_and_nothing_is_written(
    sqlite_url: str, clock: StandingClock, tmp_path: Path, lost: Purpose
) -> None:
    folder = KeyFolder(tmp_path / "own-keys")
    folder.ensure(now=NOW)
    runtime = build_runtime(make_settings(sqlite_url, folder.path), clock=clock)
    transport = httpx2.ASGITransport(app=create_app(runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        vendor, buyer = Vendor(runtime), Buyer(client)
        vendor.sell()
        vendor.publish()
        bearer = {"Authorization": f"Bearer {await buyer.string()}"}
        lose(folder, lost)
        await runtime.keyring.refresh()

        answers = {
            Purpose.LEASE: await client.post(
                "/v1/heartbeats", json={"nonce": "n", "device_info": DEVICE}, headers=bearer
            ),
            Purpose.LICENSE: await client.get("/v1/revocations"),
            Purpose.RELEASE: await buyer.ask(),
        }

        assert {purpose for purpose, answer in answers.items() if answer.status_code != 200} == {lost}
        assert (answers[lost].status_code, answers[lost].json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert answers[lost].headers["retry-after"] == "60"
        with reading(runtime.database) as session:
            assert (session.exec(select(CheckIn)).first() is None) is (lost is Purpose.LEASE)
    await runtime.close()


def lose(folder: KeyFolder, purpose: Purpose) -> None:
    """Take the private half of a key away, and let the folder look changed."""
    (folder.path / f"{folder.read().signer(purpose).key_id}.pem").unlink()
    for path in folder.path.glob("*.json"):
        path.write_bytes(path.read_bytes())
