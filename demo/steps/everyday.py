"""Everyday life: the daily check-in, a renewal, the same renewal again, a freeze and its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from demo.expectations import expect
from demo.marketplace import moment
from demo.scene import Scene, Step, when
from demo.steps.purchase import ADA, BEN


def check_in(scene: Scene) -> str:
    """Check in on the next day; the marketplace hears of the use once."""
    scene.stage.pass_time(timedelta(days=1))
    scene.say("A day later both programs check in and get signed leases:")
    for name in (ADA, BEN):
        scene.expect_lease(scene.desktops[name], "ACTIVE", "ALLOWED")
    record = scene.marketplace.wait_for(scene.code, lambda seen: _clients_today(seen) == 2, "both devices in use")
    queries = record["queries"]
    scene.say(
        f"The outbox reports it: the marketplace has received {queries} query, and 2 clients in use on "
        f"{max(record['usage'])}. A second check-in on the same day reports nothing:"
    )
    scene.expect_lease(scene.desktops[ADA], "ACTIVE", "ALLOWED")
    expect(scene.marketplace.record(scene.code)["queries"], queries, "queries after a second check-in of the day")
    return f"2 leases ACTIVE; marketplace saw {queries} query, 2 clients"


def renew(scene: Scene) -> str:
    """Renew; the callback moves the end, and the next check-in carries it to the device."""
    callback = scene.marketplace.do(scene.code, "renew", days=365)
    scene.callback_id = callback["id"]
    scene.say("The customer renews for a year. The marketplace sends a signed callback:")
    scene.expect_success(callback)
    wanted = moment(scene.marketplace.record(scene.code)["expires_at"])
    lease = scene.expect_lease(scene.desktops[ADA], "ACTIVE", "ALLOWED")
    expect(lease.license_expires_at, wanted.replace(microsecond=0), "end of the license in the lease")
    before, scene.ends_at = scene.ends_at, lease.license_expires_at
    scene.say(
        f"At its next check-in Ada's program learns the new end: {when(before)} has become {when(scene.ends_at)}."
    )
    return f"ends {when(scene.ends_at)}"


def renew_again(scene: Scene) -> str:
    """Send the same callback again; nothing changes."""
    callback = scene.marketplace.repeat(scene.callback_id)
    scene.say("The marketplace sends the same message again, as it does up to 60 times:")
    scene.expect_success(callback)
    lease = scene.expect_lease(scene.desktops[ADA], "ACTIVE", "ALLOWED")
    expect(lease.license_expires_at, scene.ends_at, "end of the license after the second delivery")
    changes = scene.stage.command_json("audit", "list", "--action", "LICENSE_CHANGED")["entries"]
    expect(len(changes), 1, "changes of the license in the audit")
    scene.say("The same answer, the same end, and one change in the audit, not two.")
    return f"000000 again; still ends {when(scene.ends_at)}"


def freeze(scene: Scene) -> str:
    """Freeze; the software learns it from a signed lease."""
    callback = scene.marketplace.do(scene.code, "freeze")
    scene.say("The marketplace freezes the license. The next lease says so:")
    scene.expect_success(callback)
    scene.expect_lease(scene.desktops[ADA], "FROZEN", "DENIED")
    scene.narrator.quote(ADA, scene.desktops[ADA].verdict.sentence)
    return "lease FROZEN, the program stops"


def unfreeze(scene: Scene) -> str:
    """Unfreeze; the next lease lets the software work."""
    callback = scene.marketplace.do(scene.code, "unfreeze")
    scene.say("The matter is settled. The marketplace unfreezes the license:")
    scene.expect_success(callback)
    scene.expect_lease(scene.desktops[ADA], "ACTIVE", "ALLOWED")
    return "lease ACTIVE, the program works"


def _clients_today(record: dict[str, Any]) -> int:
    usage: dict[str, dict[str, list[str]]] = record["usage"]
    return len(usage[max(usage)]["ids"]) if usage else 0


STEPS = (
    Step("The daily check-in", check_in),
    Step("A renewal extends the license", renew),
    Step("The same renewal again changes nothing", renew_again),
    Step("Frozen, by a signed lease", freeze),
    Step("Unfrozen", unfreeze),
)
