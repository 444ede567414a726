"""Order notification: the marketplace tells of an order, and our server asks what it is."""

from __future__ import annotations

from demo.expectations import expect, wait_for
from demo.scene import Scene, Step

ORDER, SIMULATED = "CSDEMONOTIFIED", "MOCKPERIODYEARNEW"
_QUERY = "/order/query"


def notify(scene: Scene) -> str:
    """Notify an order twice, a simulated one, and one of a debug call."""
    before = _queries(scene)
    scene.marketplace.place(ORDER)
    scene.tell("The marketplace tells of an order, twice, of a simulated order, and of one in a debug call.")
    for order_id, members in ((ORDER, {}), (ORDER, {}), (SIMULATED, {}), (ORDER, {"test": True})):
        scene.expect_success(scene.marketplace.order(f"/online/orders/{order_id}/notify", **members))
    asked = wait_for(lambda: _queries(scene) - before, lambda seen: seen >= 2, "two order queries")
    scene.stage.wait_for_empty_outbox()
    expect(_queries(scene) - before, 2, "order queries")
    scene.tell(f"Our server asked {asked} times what was ordered: once for each order, never for the debug call.")
    return f"4 notifications answered 000000, {asked} order queries"


def _queries(scene: Scene) -> int:
    """Count the order queries that the marketplace has answered well."""
    requests = scene.marketplace.show("/requests")["requests"]
    return len([each for each in requests if each["path"].endswith(_QUERY) and each["outcome"] == "MKT.0000"])


STEPS = (Step("Orders are notified", notify),)
