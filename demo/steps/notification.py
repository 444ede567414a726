"""Order notification: the marketplace names an order, and the server queries it."""

from __future__ import annotations

from demo.expectations import expect, wait_for
from demo.scene import Scene, Step

ORDER, SIMULATED = "CSDEMONOTIFIED", "MOCKPERIODYEARNEW"
_QUERY = "/order/query"


def notify(scene: Scene) -> str:
    """Notify an order twice, a simulated one, and one of a debug call."""
    before = _queries(scene)
    scene.marketplace.place(ORDER)
    scene.say("The marketplace notifies an order twice, a simulated order, and one in a debug call:")
    for order_id, members in ((ORDER, {}), (ORDER, {}), (SIMULATED, {}), (ORDER, {"test": True})):
        scene.expect_success(scene.marketplace.order(f"/online/orders/{order_id}/notify", **members))
    asked = wait_for(lambda: _queries(scene) - before, lambda seen: seen >= 2, "two order queries")
    scene.stage.wait_for_empty_outbox()
    expect(_queries(scene) - before, 2, "order queries")
    scene.say(f"The server sent {asked} order queries: one for each order, none for the debug call.")
    return f"4 notifications answered 000000, {asked} order queries"


def _queries(scene: Scene) -> int:
    """Count the order queries that the marketplace has answered well."""
    requests = scene.marketplace.show("/requests")["requests"]
    return len([each for each in requests if each["path"].endswith(_QUERY) and each["outcome"] == "MKT.0000"])


STEPS = (Step("Orders are notified", notify),)
