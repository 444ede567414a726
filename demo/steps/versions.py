"""A new version of the program: published and held back, rolled out, offered and taken."""

from __future__ import annotations

import hashlib

from client_stub import Release
from demo.expectations import expect, expect_kind, wait_for
from demo.scene import Scene, Step
from demo.steps.online import EMMA
from demo.steps.trouble import DORA
from demo.workstation import PLATFORM, VERSION

PRODUCT, NEW = "OFFI-CAD-2026", "4.0.0"
URL = "https://downloads.example/cad-4.0.0.bin"
CONTENT = b"the new version of the program"


def publish(scene: Scene) -> str:
    """Publish, held back."""
    file = scene.stage.folder / "cad-4.0.0.bin"
    file.write_bytes(CONTENT)
    scene.say("The vendor publishes a version for 0 % of the devices:")
    scene.run(
        "releases", "publish", PRODUCT, NEW, "--platform", PLATFORM, "--url", URL, "--file", str(file),
        "--notes-en", "Assemblies open twice as fast.", "--notes-zh", "装配体打开速度提高一倍。", "--percent", "0",
    )  # fmt: skip
    expect(scene.desktops[DORA].check_versions(), None, "version offered while it is held back")
    scene.say(f"Dora's program, {VERSION}, asks (CheckNewVersions) and is offered nothing.")
    return f"{NEW} published for 0 % of devices; none offered"


def roll_out(scene: Scene) -> str:
    """Roll out to everyone; the offer is signed, and taken."""
    scene.run("releases", "rollout", PRODUCT, NEW, "--percent", "100")
    dora = scene.desktops[DORA]
    release = expect_kind(dora.check_versions(), Release, "what Dora's program is offered")
    digest = hashlib.sha256(CONTENT).hexdigest()
    expect((release.version, release.sha256, release.is_forced), (NEW, digest, False), "the signed offer")
    expect(dora.is_upgrade_agreed, True, "whether Dora's program wants it")
    scene.say("Now the version is offered, with a signed manifest:")
    scene.narrator.facts(
        [
            ("events", "EVENT_UPGRADENOTICE, EVENT_UPDATE; the program says yes (UpgradeNotify)"),
            ("manifest", f"{release.product} {release.version} for {release.platform}, SHA-256 {release.sha256[:16]}…"),
        ]
    )
    return f"{NEW} offered, signed, and taken"


def offer_by_iscdesk(scene: Scene) -> str:
    """Offer it through ISCDesk, which upgrades when the program has closed."""
    scene.marketplace.offer_version(NEW)
    emma = scene.desktops[EMMA]
    emma.check_versions()
    expect(emma.is_upgrade_agreed, True, "whether Emma's program wants what ISCDesk offers")
    wait_for(lambda: _first_session(scene)["upgrade_answers"], lambda seen: seen == [True], "Emma's answer at ISCDesk")
    emma.close()
    wait_for(lambda: _first_session(scene)["upgraded"], lambda seen: seen is True, "the upgrade by ISCDesk")
    scene.say("Emma's program asks ISCDesk, agrees, and closes. ISCDesk then upgrades it.")
    return "agreed by the program, upgraded when it closed"


def _first_session(scene: Scene) -> dict[str, object]:
    sessions: list[dict[str, object]] = scene.marketplace.show("/iscdesk/sessions")["sessions"]
    return sessions[0]


STEPS = (
    Step("A new version is published, held back", publish),
    Step("Rolled out, offered, taken", roll_out),
    Step("The same through ISCDesk", offer_by_iscdesk),
)
