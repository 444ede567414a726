"""An online license: bought, fetched by order query, asked for through ISCDesk, and changed until its release."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from client_stub import License, Problem
from demo.expectations import expect, expect_kind, wait_for
from demo.marketplace import last_answer, moment
from demo.scene import Scene, Step, when

EMMA, FINN = "CAD-EMMA", "CAD-FINN"
EMMAS_MACHINE = "00:1B:44:11:3A:B7|WD-EMMA-0001|BOARD-EMMA-1|BFEBFBFF000906EA"
FINNS_MACHINE = "70:85:C2:9A:01:6C|WD-FINN-0001|BOARD-FINN-1|178BFBFF00A20F12"
PRODUCT = "OFFI-CAD-ONLINE"
IN_PROGRESS = "000004"


def buy(scene: Scene) -> str:
    """Buy; the instance is named at once, and open when the order is known."""
    first = scene.marketplace.order("/online/orders", product_id=PRODUCT, linear_value=1)
    answer = json.loads(last_answer(first))
    expect(answer["resultCode"], IN_PROGRESS, "result code of the first newInstance")
    scene.instance = answer["instanceId"]
    scene.say(
        f"A customer buys an online license. The marketplace asks for an instance and names only the order. The server "
        f"answers 000004 with the instance {scene.instance}, and queries the order:"
    )
    scene.stage.wait_for_empty_outbox()
    scene.expect_success(scene.marketplace.hurry(first["id"]))
    expect(_instance(scene)["state"], "OPEN", "state of the instance at the marketplace")
    license, wanted = _license(scene), _marketplace_ends(scene)
    taken_over = (license["product_id"], license["places"], moment(license["expires_at"]))
    expect(taken_over, (PRODUCT, 1, wanted), "product, places and end of the license")
    scene.narrator.facts([("taken over", f"from the order query: {PRODUCT}, amount 1, ends {when(wanted)}")])
    return f"instance open; ends {when(wanted)}"


def ask_for_a_string(scene: Scene) -> str:
    """Ask through ISCDesk; the license comes back through the marketplace."""
    emma = scene.desktop_with_iscdesk(EMMA, EMMAS_MACHINE)
    license = expect_kind(emma.ask(), License, "answer to Emma")
    expect(license.code, scene.instance, "code in Emma's license")
    application = _applications(scene)[-1]
    expect((application["state"], application["uploads"]), ("uploaded", 1), "state and uploads of the application")
    expect(application["upload"]["characters"], emma.license_string, "what was uploaded")
    session = wait_for(lambda: _session(scene, 0), lambda seen: bool(seen["verdicts"]), "the program's verdict")
    expect(session["verdicts"][-1]["result"], True, "verdict that ISCDesk received")
    scene.say(
        "Emma's program asks ISCDesk, ISCDesk asks the marketplace, and the marketplace asks the server "
        "(getLicenseAsync). The server uploads the license. It reaches the program as EVENT_LICENSE_VERIFY:"
    )
    scene.narrator.facts(
        [
            ("uploaded", f"as {len(emma.license_string)} characters, once"),
            ("verified", "by Emma's program: pinned public key, no network; reported to ISCDesk"),
        ]
    )
    scene.expect_lease(emma, "ACTIVE", "ALLOWED")
    return "license string by application, upload and event"


def ask_for_a_file(scene: Scene) -> str:
    """Ask for a file; the product is delivered as files from now on."""
    scene.say("The vendor delivers the product as files from now on:")
    scene.run("products", "set", PRODUCT, "--name", "CAD Online", "--deliver-as", "file")
    path = scene.desktops[EMMA].ask_for_file("cad.lic")
    expect(getattr(path, "name", path), "cad.lic", "name of the file in the event")
    upload = _applications(scene)[-1]["upload"]
    expect(upload["type"], "FILE", "form of the upload")
    scene.say("Emma's program asks for the file cad.lic. It comes the same way:")
    scene.narrator.facts([("uploaded", f"as a file of {upload['size']} bytes, SHA-256 {upload['sha256'][:16]}…")])
    return f"license file of {upload['size']} bytes, verified"


def renew(scene: Scene) -> str:
    """Renew; the next check-in knows it."""
    callback = scene.marketplace.do_online(scene.instance, "renew")
    scene.say("The customer renews for a year. refreshInstance states the new end:")
    scene.expect_success(callback)
    lease = scene.expect_lease(scene.desktops[EMMA], "ACTIVE", "ALLOWED")
    expect(lease.license_expires_at, _marketplace_ends(scene), "end of the license in the lease")
    scene.say(f"At its next check-in Emma's program learns it: the license ends {when(lease.license_expires_at)}.")
    return f"ends {when(lease.license_expires_at)}"


def upgrade(scene: Scene) -> str:
    """Refuse a second device, upgrade to two places, and serve it."""
    finn = scene.desktop_with_iscdesk(FINN, FINNS_MACHINE)
    expect_kind(finn.ask_for_file("cad.lic"), Problem, "answer to a second device")
    refused = _applications(scene)[-1]
    expect("000900" in refused["failure"], True, f"refusal of the second device: {refused['failure']}")
    scene.say("One place was bought, and Emma has it. Finn's program asks; the server answers 000900, quota used up:")
    scene.show_problem(finn, finn.problem)
    callback = scene.marketplace.do_online(scene.instance, "upgrade", linear_value=2)
    scene.say("The customer buys a second place. upgradeInstance names the order, the order query returns its content:")
    scene.expect_success(callback)
    scene.stage.wait_for_empty_outbox()
    path = finn.ask_for_file("cad.lic")
    expect(getattr(path, "name", path), "cad.lic", "answer to the second device after the upgrade")
    shown = _license(scene)
    expect((shown["places_taken"], shown["places"]), (2, 2), "places taken and places")
    scene.say("Finn's program asks again and gets its file: 2 of 2 places are taken.")
    return "refused with 000900; 2 of 2 places after the upgrade"


def freeze(scene: Scene) -> str:
    """Freeze and unfreeze."""
    scene.say("The marketplace freezes the instance and unfreezes it:")
    for verb, status, permission in (("freeze", "FROZEN", "DENIED"), ("unfreeze", "ACTIVE", "ALLOWED")):
        scene.expect_success(scene.marketplace.do_online(scene.instance, verb))
        scene.expect_lease(scene.desktops[EMMA], status, permission)
    return "lease FROZEN, then ACTIVE"


def release(scene: Scene) -> str:
    """Release for good; a new application is refused."""
    emma = scene.desktops[EMMA]
    scene.say("The customer unsubscribes. releaseInstance ends the license for good:")
    scene.expect_success(scene.marketplace.do_online(scene.instance, "release", unsubscribe=True))
    scene.expect_lease(emma, "RELEASED", "DENIED")
    expect_kind(emma.ask(), Problem, "answer after the release")
    refused = _applications(scene)[-1]
    expect("000003" in refused["failure"], True, f"refusal after the release: {refused['failure']}")
    scene.say("Asked once more through ISCDesk, the server answers 000003: no such instance.")
    return "lease RELEASED; a new application gets 000003"


def _license(scene: Scene) -> dict[str, Any]:
    shown: dict[str, Any] = scene.stage.command_json("licenses", "show", scene.instance)["license"]
    return shown


def _instance(scene: Scene) -> dict[str, Any]:
    return scene.marketplace.show(f"/online/instances/{scene.instance}")


def _applications(scene: Scene) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scene.marketplace.show("/online/applications")["applications"]
    return found


def _session(scene: Scene, number: int) -> dict[str, Any]:
    sessions: list[dict[str, Any]] = scene.marketplace.show("/iscdesk/sessions")["sessions"]
    return sessions[number]


def _marketplace_ends(scene: Scene) -> datetime:
    return moment(_instance(scene)["expires_at"]).replace(microsecond=0)


STEPS = (
    Step("An online license is bought", buy),
    Step("The desktop asks through ISCDesk", ask_for_a_string),
    Step("The same as a file", ask_for_a_file),
    Step("The online license is renewed", renew),
    Step("Upgraded to more places", upgrade),
    Step("The instance is frozen and unfrozen", freeze),
    Step("The instance is released", release),
)
