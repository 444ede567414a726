"""From the purchase to a full license: the code, the first device, the second, and one too many."""

from __future__ import annotations

from client_stub import License, Problem, VerificationError
from demo.expectations import UnexpectedError, expect, expect_kind
from demo.scene import Scene, Step, when
from demo.workstation import Workstation

ADA, BEN, CLEO = "CAD-ADA", "CAD-BEN", "CAD-CLEO"
ADAS_MACHINE = "04:7C:16:5E:E3:5D|WD-ADA-0001|BOARD-ADA-1|BFEBFBFF00090672"
BENS_MACHINE = "A4:BB:6D:12:7F:01,00:1A:7D:DA:71:13|WD-BEN-0001|BOARD-BEN-1|178BFBFF00A20F12"
# Ada's old disk in another machine: one part agrees, and two would be needed.
CLEOS_MACHINE = "D8:9E:F3:00:11:22|WD-ADA-0001|BOARD-CLEO-1|178BFBFF00870F10"


def buy(scene: Scene) -> str:
    """Buy at the marketplace; the server is not notified."""
    scene.code = scene.marketplace.buy(amount=2, received=False)
    known = scene.stage.command_json("licenses", "list")["licenses"]
    expect(known, [], "licenses that the server knows")
    scene.say(
        f"A customer buys the CAD program for two workstations and one year. The marketplace creates the code "
        f"{scene.code}. It does not notify the server, which knows no license yet."
    )
    return f"code {scene.code}"


def ask_too_early(scene: Scene) -> str:
    """Type the code in before the buyer has received it."""
    ada = scene.desktop(ADA, ADAS_MACHINE, scene.code)
    problem = expect_kind(ada.ask(), Problem, "answer to the code typed in too early")
    expect(problem.code, "LICENSE_NOT_RECEIVED", "code of the refusal")
    scene.say("Ada types the code in before her purchasing department has received it. She reads what to do:")
    scene.show_problem(ada, problem)
    return f"refused: {problem.code}"


def receive(scene: Scene) -> str:
    """Receive the code; the first device gets its license and verifies it without network."""
    scene.marketplace.receive(scene.code)
    ada = scene.desktops[ADA]
    license = expect_kind(ada.ask(), License, "answer to the received code")
    expect(scene.marketplace.record(scene.code)["state"], "ACTIVE", "state of the code at the marketplace")
    expect(license.quantity, 2, "quantity in the license")
    scene.say("The code is received. Ada tries again: the server activates it at the marketplace and signs a license:")
    scene.narrator.facts(
        [
            ("license string", f"{ada.license_string[:32]}… ({len(ada.license_string)} characters)"),
            ("verified", "by Ada's program: pinned public key, no network"),
            ("contains", f"{license.product}, quantity {license.quantity}, ends {when(license.expires_at)}"),
        ]
    )
    forged = _refusal_of(ada, _with_another_letter(ada.license_string), ADAS_MACHINE)
    copied = _refusal_of(ada, ada.license_string, BENS_MACHINE)
    expect((forged, copied), ("BAD_SIGNATURE", "DEVICE_MISMATCH"), "refusals of a forged and of a copied license")
    scene.say(f"With one letter changed it is refused ({forged}). Copied to Ben's machine too ({copied}).")
    scene.ends_at = license.expires_at
    return f"license until {when(license.expires_at)}, verified offline"


def take_last_place(scene: Scene) -> str:
    """Activate a second device; asking again costs nothing."""
    ben = scene.desktop(BEN, BENS_MACHINE, scene.code)
    expect_kind(ben.ask(), License, "answer to the second device")
    before = ben.license_string
    expect_kind(ben.ask(), License, "answer to the second device asking again")
    expect(ben.license_string, before, "license string when asked for again")
    shown = scene.stage.command_json("licenses", "show", scene.code)["license"]
    expect((shown["places_taken"], shown["places"]), (2, 2), "places taken and places")
    scene.say("Ben activates with the same code and takes the second place. Asking again returns the same string.")
    return "2 of 2 places taken"


def one_too_many(scene: Scene) -> str:
    """Refuse a third device, part by part."""
    cleo = scene.desktop(CLEO, CLEOS_MACHINE, scene.code)
    problem = expect_kind(cleo.ask(), Problem, "answer to the third device")
    expect(problem.code, "DEVICE_LIMIT_REACHED", "code of the refusal")
    parts = problem.details.get("parts")
    wanted = {"mac": "differs", "disk": "agrees", "board": "differs", "cpu": "differs"}
    expect(parts, wanted, "comparison with the most similar device")
    scene.say("Cleo has put Ada's old disk into a third machine. One part agrees, and two are needed:")
    scene.show_problem(cleo, problem)
    scene.narrator.facts([("compared with Ada's", ", ".join(f"{part} {word}" for part, word in wanted.items()))])
    return f"refused: {problem.code}, 1 part of 2 agrees"


def _with_another_letter(license_string: str) -> str:
    """Return a license string of which one letter of the signature is another one."""
    kept, letter, rest = license_string[:-40], license_string[-40], license_string[-39:]
    return kept + ("A" if letter != "A" else "B") + rest


def _refusal_of(desktop: Workstation, license_string: str, device_info: str) -> str:
    try:
        desktop.verify(license_string, device_info)
    except VerificationError as error:
        return error.code
    raise UnexpectedError("A license was accepted that must be refused.")


STEPS = (
    Step("Bought at the marketplace", buy),
    Step("The code is typed in too early", ask_too_early),
    Step("Received, activated, verified offline", receive),
    Step("The second device takes the last place", take_last_place),
    Step("A third device is refused, with the reason", one_too_many),
)
