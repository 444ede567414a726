"""The end: a place given back and taken by another device, and the final release."""

from __future__ import annotations

from client_stub import License, Problem
from demo.expectations import expect, expect_kind
from demo.scene import Scene, Step
from demo.steps.purchase import ADA, BEN, CLEO


def give_back(scene: Scene) -> str:
    """Give a place back; the device that was refused takes it."""
    answer = scene.desktops[BEN].give_back()
    expect(answer["places_taken"], 1, "places taken after one was given back")
    license = expect_kind(scene.desktops[CLEO].ask(), License, "answer to the device that was refused")
    expect(license.code, scene.code, "code of Cleo's license")
    scene.say("Ben gives his place back. Cleo, who was refused before, gets it.")
    return "1 place given back, and taken by Cleo"


def release(scene: Scene) -> str:
    """Release for good; not even a late renewal brings it back."""
    ada = scene.desktops[ADA]
    callback = scene.marketplace.do(scene.code, "release", unsubscribe=True)
    scene.say("The customer unsubscribes, and the marketplace releases the license. This is final:")
    scene.expect_success(callback)
    scene.expect_lease(ada, "RELEASED", "DENIED")
    late = scene.marketplace.send(_late_renewal(scene.code))
    scene.say("A late renewal arrives, and changes nothing:")
    scene.expect_success(late)
    problem = expect_kind(ada.ask(), Problem, "answer after the release")
    expect(problem.code, "LICENSE_RELEASED", "code of the refusal")
    scene.show_problem(ada, problem)
    return "lease RELEASED; a late renewal changes nothing"


def _late_renewal(code: str) -> dict[str, object]:
    return {
        "activity": "refreshLicenseCode",
        "scene": "RENEWAL",
        "license": code,
        "orderId": "CS0000000000LATE",
        "orderLineId": "CS0000000000LATE-000001",
        "expireTime": "20991231235959",
    }


STEPS = (
    Step("A device gives its place back", give_back),
    Step("Released for good", release),
)
