"""License 1.0, the retired product line: requests with a token, answers with a ``Body-Sign``."""

from __future__ import annotations

import json
from typing import Any

from client_stub import License
from demo.expectations import expect, expect_kind
from demo.marketplace import last_answer, moment
from demo.scene import Scene, Step, when

HANA = "CAD-HANA"
HANAS_MACHINE = "3C:52:82:00:77:10|WD-HANA-0001|BOARD-HANA-1|178BFBFF00870F10"


def buy(scene: Scene) -> str:
    """Buy; the answer carries what the buyer types in, and a signature that the marketplace checks."""
    callback = scene.marketplace.order("/license-v1/orders", product_id="CAD-2019", amount=1)
    license = json.loads(last_answer(callback))["license"]
    hana = scene.desktop(HANA, HANAS_MACHINE, license)
    answer = expect_kind(hana.ask(), License, "answer to what the buyer typed in")
    scene.old_order = _shown(scene, license)["order_id"]
    scene.say("The retired product line: the marketplace requests the license itself, by a GET with a token:")
    _expect_signed_success(scene, callback)
    scene.say(f"It verifies the answer's signature (Body-Sign). Hana types the license in, {license}:")
    scene.expect_lease(hana, "ACTIVE", "ALLOWED")
    return f"answer signed; license until {when(answer.expires_at)}"


def live(scene: Scene) -> str:
    """Ask again, renew, release."""
    hana, one = scene.desktops[HANA], f"/license-v1/orders/{scene.old_order}"
    before = scene.marketplace.show(one)
    scene.say("Requested again, it is the same license. Then it is renewed and released. Every answer is signed:")
    for verb, status, permission in (
        ("ask", "ACTIVE", "ALLOWED"), ("renew", "ACTIVE", "ALLOWED"), ("release", "RELEASED", "DENIED"),
    ):  # fmt: skip
        _expect_signed_success(scene, scene.marketplace.order(f"{one}/{verb}"))
        lease = scene.expect_lease(hana, status, permission)
    after = scene.marketplace.show(one)
    expect((after["license"], after["problems"]), (before["license"], []), "license, and mistakes that were noted")
    expect(lease.license_expires_at, moment(after["expires_at"]).replace(microsecond=0), "end in the last lease")
    return f"same license; renewed to {when(lease.license_expires_at)}; RELEASED"


def _expect_signed_success(scene: Scene, callback: dict[str, Any]) -> None:
    scene.expect_success(callback)
    expect(callback["attempts"][-1]["body_sign"], "right", f"Body-Sign of the answer to {callback['activity']}")


def _shown(scene: Scene, license: str) -> dict[str, Any]:
    licenses: list[dict[str, Any]] = scene.marketplace.show("/license-v1/orders")["licenses"]
    return next(each for each in licenses if each["license"] == license)


STEPS = (
    Step("Sold as License 1.0", buy),
    Step("Asked again, renewed, released", live),
)
