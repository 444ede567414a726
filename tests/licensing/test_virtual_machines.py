"""What a virtual machine says of itself, and a product that allows none."""

from __future__ import annotations

import httpx2

from licsrv.licensing import fingerprints
from licsrv.licensing.virtual_machines import is_virtual
from licsrv.platform.db import transaction
from licsrv.runtime import Runtime
from tests import products
from tests.conftest import DEVICE
from tests.licensing.test_activation import add_license, ask
from tests.tables import each

KVM = "52:54:00:6B:3C:58|SN-77X1||BFEBFBFF000906EA"
MACHINES = {
    DEVICE: False,
    "3C:52:82:11:22:33,00:50:56:C0:00:08|S3Z8NB0K|/7XK|BFEBFBFF000906EA": False,  # it runs virtual machines
    "3C:52:82:11:22:33,0A:00:27:00:00:00,02:42:AC:11:00:02|S3Z8NB0K||": False,
    "|S3Z8NB0K-VB|PF1VM0X2|": False,
    KVM: True,
    "00:0C:29:6B:3C:58|6000C29A||": True,
    "00-15-5d-01-02-03|||": True,
    "3C:52:82:11:22:33|vb1a2b3c4d-5e6f7a8b||": True,
    "|QM00001,S3Z8NB0K|BOARD-7|": True,
    "3C:52:82:11:22:33|vol0a1b2c3d4e5f67890||": True,
    "|S3Z8NB0K|VMware-56 4d 8a 1f 00 11 22 33-44 55 66 77 88 99 aa bb|": True,
    "02:42:AC:11:00:02|INSTALL-0123456789ABCDEF0123456789ABCDE7||BFEBFBFF000906EA": True,
}


def test_a_guest_is_told_from_a_computer_that_runs_guests() -> None:
    for row in each(MACHINES.items()):
        with row as (text, expected):
            assert is_virtual(fingerprints.parse(text)) is expected


async def test_a_product_that_allows_none_refuses_new_ones_and_keeps_those_it_has(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    with transaction(runtime.database) as session:
        products.describe(session, "CAD")
    add_license(runtime, "C-1", device_limit=5, product_id="CAD")
    other = KVM.replace("6B", "7C").replace("77X1", "88X1")
    known = (await client.post("/v1/licenses/string", json=ask("C-1", KVM))).json()["license_string"]
    with transaction(runtime.database) as session:
        products.change(session, "CAD", {"recognition.virtual_machines": False})

    refused = await client.post("/v1/licenses/string", json=ask("C-1", other))
    again = await client.post("/v1/licenses/string", json=ask("C-1", KVM))

    assert (refused.status_code, refused.json()["code"]) == (403, "DEVICE_NOT_ALLOWED")
    assert refused.json()["trace"][-1]["passed"] is False
    assert again.json()["license_string"] == known
    assert (await client.post("/v1/licenses/string", json=ask("C-1", DEVICE))).status_code == 200
