"""A site without network: a license file carried there and verified, and later a revocation list."""

from __future__ import annotations

from pathlib import Path

from demo.expectations import expect, expect_kind
from demo.scene import Scene, Step

GUS = "CAD-GUS"
GUSS_MACHINE = "E4:54:E8:AA:10:01|WD-GUS-0001|BOARD-GUS-1|BFEBFBFF00090672"
PRODUCT = "OFFI-CAD-SITE"


def carry_license(scene: Scene) -> str:
    """Fetch a file signed twice; verify it in a process that knows nothing but public keys."""
    scene.say("A license file for a site without network. It gets two signatures, EdDSA and ML-DSA-65:")
    scene.run("products", "set", PRODUCT, "--name", "CAD for sites", "--second-signature")
    scene.site_code = scene.marketplace.buy(amount=1, received=True, product_id=PRODUCT)
    gus = scene.desktop(GUS, GUSS_MACHINE, scene.site_code)
    scene.license_file = expect_kind(gus.ask_for_file("site.lic"), Path, "answer to the request for a file")
    scene.say("The head of the file is for people:")
    lines = scene.license_file.read_text(encoding="utf-8").splitlines()
    for line in [each for each in lines if each.startswith("# ")][:5]:
        scene.narrator.quote("site.lic", line, "dim")
    believed, said = scene.stage.verify_offline(scene.license_file, GUSS_MACHINE, "--require-both")
    expect(believed, True, f"whether the file is believed: {said}")
    expect(said["license"]["code"], scene.site_code, "code in the file")
    scene.say("At the site a process that has only the public keys verifies both signatures: accepted.")
    scene.narrator.command("python -m client_stub verify site.lic --require-both")
    return "both signatures verified, no network"


def change_it(scene: Scene) -> str:
    """Change one letter that people read; the file is refused."""
    changed = scene.license_file.with_name("changed.lic")
    raw = scene.license_file.read_bytes()
    expect(b"CAD for sites" in raw, True, "whether the product's name is in the lines for people")
    changed.write_bytes(raw.replace(b"CAD for sites", b"CAD for SITES", 1))
    believed, said = scene.stage.verify_offline(changed, GUSS_MACHINE)
    expect(believed, False, "whether the changed file is believed")
    copied, why = scene.stage.verify_offline(scene.license_file, "02:00:00:00:00:01|OTHER-1|BOARD-9|CPU-9")
    expect((copied, why["code"]), (False, "DEVICE_MISMATCH"), "whether the file is believed on another machine")
    scene.say(
        f"With one word of its head changed, the file is refused ({said['code']}). So is a copy on another machine:"
    )
    scene.narrator.quote("another machine", f"{why['detail']} {why['action']}".strip())
    return f"changed: {said['code']}; copied: {why['code']}"


def carry_revocations(scene: Scene) -> str:
    """Revoke, carry the signed list to the site by hand, and the file is refused there."""
    scene.say("Staff revoke the license and carry the signed revocation list to the site:")
    scene.run("licenses", "revoke", scene.site_code, "--reason", "The contract has ended.", "--yes")
    carried = scene.license_file.with_name("revocations.jws")
    scene.run("revocations", "export", str(carried))
    expect(scene.stage.verify_offline(scene.license_file, GUSS_MACHINE)[0], True, "whether the file alone is believed")
    believed, said = scene.stage.verify_offline(scene.license_file, GUSS_MACHINE, "--revocations", str(carried))
    expect((believed, said["code"]), (False, "REVOKED"), "whether the file is believed with the list")
    scene.say(f"The file alone is still accepted. With the list ({carried.stat().st_size} bytes) it is refused:")
    scene.narrator.command("python -m client_stub verify site.lic --revocations revocations.jws")
    scene.narrator.quote(GUS, f"{said['detail']} {said['action']}".strip())
    return "REVOKED by a list carried by hand"


STEPS = (
    Step("A license file is carried to a site", carry_license),
    Step("The file is changed, and copied", change_it),
    Step("A revocation list is carried there", carry_revocations),
)
