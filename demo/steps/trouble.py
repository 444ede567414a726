"""What goes wrong in real life: the marketplace is down, the server is killed, a license was misused."""

from __future__ import annotations

from datetime import timedelta

from client_stub import License
from demo.expectations import expect, expect_kind, wait_for
from demo.marketplace import moment
from demo.scene import Scene, Step, when
from demo.steps.purchase import ADA, BEN

DORA = "CAD-DORA"
DORAS_MACHINE = "3C:EC:EF:44:10:9A|S4EVNX0R|BOARD-DORA-1|BFEBFBFF000906EA"
REASON = "Your payment of 14 May was returned by the bank; call +49 30 1234567."


def marketplace_down(scene: Scene) -> str:
    """Serve a new customer although the marketplace cannot be asked."""
    scene.second_code = scene.marketplace.buy(amount=1, received=True)
    scene.marketplace.misbehave("open_api", "status", 503)
    dora = scene.desktop(DORA, DORAS_MACHINE, scene.second_code)
    license = expect_kind(dora.ask(), License, "answer while the marketplace is down")
    expect(license.is_provisional, True, "whether the license is provisional")
    expect(scene.marketplace.record(scene.second_code)["activated"], False, "whether the marketplace activated it")
    scene.say(
        f"The marketplace answers 503 to everything. A new customer buys. Dora still gets a license, a "
        f"provisional one until {when(license.expires_at)}. The activation waits in the outbox."
    )
    return f"provisional license until {when(license.expires_at)}"


def marketplace_back(scene: Scene) -> str:
    """Finish by the outbox what the marketplace could not answer."""
    scene.marketplace.behave()
    scene.marketplace.wait_for(scene.second_code, lambda seen: bool(seen["activated"]), "the activation")
    dora = scene.desktops[DORA]
    asked = wait_for(dora.ask, lambda seen: isinstance(seen, License) and not seen.is_provisional, "the full license")
    license = expect_kind(asked, License, "the full license")
    scene.say(f"It is back. The outbox activates the code; Dora's license now ends {when(license.expires_at)}.")
    return f"activated by the outbox; until {when(license.expires_at)}"


def kill(scene: Scene) -> str:
    """Kill the server while deliveries are under way and a callback's answer is lost."""
    scene.stage.pass_time(timedelta(days=1))
    scene.marketplace.misbehave("open_api", "delay_seconds", 10)
    scene.marketplace.misbehave("callbacks", "lose_answer", 1)
    renewal = scene.marketplace.do(scene.code, "renew", days=365)
    expect(renewal["attempts"][-1]["http_status"], 200, "HTTP status of the answer that gets lost")
    scene.callback_id = renewal["id"]
    scene.say("The next day the marketplace hangs, and it never receives the answer to a second renewal:")
    for name in (ADA, BEN):
        scene.expect_lease(scene.desktops[name], "ACTIVE", "ALLOWED")
    waiting = int(scene.stage.metric("licsrv_outbox_waiting"))
    expect(waiting >= 3, True, "whether a query and two usage reports are on their way")
    scene.stage.kill_server()
    scene.say(
        f"Both programs have their leases; {waiting} deliveries have not arrived. Now the server is killed (kill -9)."
    )
    return f"killed with {waiting} deliveries on their way"


def start_again(scene: Scene) -> str:
    """Start the server again; nothing is lost and nothing happens twice."""
    expect(scene.stage.start_server_again(), True, "whether the server starts again")
    scene.marketplace.behave()
    scene.stage.pass_time(timedelta(minutes=2))
    callback = scene.marketplace.repeat(scene.callback_id)
    scene.say("The server starts again. Two minutes later the dead process's claims have expired:")
    scene.expect_success(callback)
    scene.stage.wait_for_empty_outbox()
    record = scene.marketplace.record(scene.code)
    clients = len(record["usage"][max(record["usage"])]["ids"])
    expect(clients, 2, "clients that the marketplace counts for the day")
    ends_at = moment(record["expires_at"]).replace(microsecond=0)
    lease = scene.expect_lease(scene.desktops[ADA], "ACTIVE", "ALLOWED")
    expect(lease.license_expires_at, ends_at, "end of the license")
    scene.ends_at = ends_at
    scene.say(
        f"The outbox is empty, the marketplace counts 2 clients for the day, and the renewal that came twice moved the "
        f"end once, to {when(ends_at)}."
    )
    return "outbox empty, 2 clients counted, renewed once"


def revoke(scene: Scene) -> str:
    """Revoke by staff; the user reads the reason."""
    scene.say("Support revokes the license. Ada reads why:")
    scene.run("licenses", "revoke", scene.code, "--reason", REASON, "--yes")
    lease = scene.expect_lease(scene.desktops[ADA], "REVOKED", "DENIED")
    expect(lease.reason, REASON, "reason in the signed lease")
    scene.narrator.quote(ADA, scene.desktops[ADA].verdict.sentence)
    return "lease REVOKED, with the reason"


def reinstate(scene: Scene) -> str:
    """Reinstate by staff."""
    scene.say("The payment arrives. The audit keeps both actions.")
    scene.run("licenses", "reinstate", scene.code, "--reason", "The payment has arrived.", "--yes")
    scene.expect_lease(scene.desktops[ADA], "ACTIVE", "ALLOWED")
    return "lease ACTIVE"


STEPS = (
    Step("The marketplace is down", marketplace_down),
    Step("The marketplace is back", marketplace_back),
    Step("The server is killed during deliveries", kill),
    Step("After the restart nothing is lost, nothing twice", start_again),
    Step("Staff revoke the license", revoke),
    Step("Staff reinstate it", reinstate),
)
