"""An own sale: added by hand, renewed after it has ended, and shortened again; the marketplace has no part in it."""

from __future__ import annotations

from datetime import datetime, timedelta

from demo.expectations import expect
from demo.scene import Scene, Step, when

HAL, HALS_CODE = "CAD-HAL", "OWN-2026-HAL"
HALS_MACHINE = "E4:54:E8:AA:20:01|WD-HAL-0001|BOARD-HAL-1|BFEBFBFF00090672"
_YEAR = timedelta(days=365)


def sell(scene: Scene) -> str:
    """Sell without the marketplace; the license ends, and the program stops."""
    scene.say("Hal has bought from the vendor itself, for three days. Staff add his license, and he asks for it:")
    scene.run("licenses", "add", HALS_CODE, "--customer", "Hal", "--expires", _moment(scene, timedelta(days=3)))
    hal = scene.desktop(HAL, HALS_MACHINE, HALS_CODE)
    hal.ask()
    scene.expect_lease(hal, "ACTIVE", "ALLOWED")
    scene.stage.pass_time(timedelta(days=4))
    scene.say("Four days later it has ended:")
    scene.expect_lease(hal, "EXPIRED", "DENIED")
    return "lease EXPIRED, the program stops"


def renew(scene: Scene) -> str:
    """Renew the ended license; the next check-in brings the lease and the new text."""
    hal = scene.desktops[HAL]
    scene.say("Hal renews, and staff extend his license. The same command again changes nothing:")
    words = (
        "licenses",
        "extend",
        HALS_CODE,
        "--until",
        _moment(scene, _YEAR),
        "--reason",
        "Invoice 2026-118.",
        "--yes",
    )
    scene.run(*words)
    expect("No change needed" in scene.stage.command(*words), True, "whether the same request again changes nothing")
    lease = scene.expect_lease(hal, "ACTIVE", "ALLOWED")
    # Of a lease alone the program would believe no more than a week.
    expect(hal.verdict.days_left, _YEAR.days, "days that the program has left")
    scene.say(f"The program has got the new license with it: {hal.verdict.days_left} days are left.")
    return f"ends {when(lease.license_expires_at)}"


def shorten(scene: Scene) -> str:
    """Bring the end forward; the program goes on under the younger text, and the older one counts no more."""
    hal = scene.desktops[HAL]
    hal.ask()
    old = hal.license_string
    scene.say("It was a month and not a year. Staff bring the end forward, and the older text is called back:")
    end = _moment(scene, timedelta(days=30))
    scene.run("licenses", "set", HALS_CODE, "--expires", end, "--reason", "It was a month.", "--yes")
    lease = scene.expect_lease(hal, "ACTIVE", "ALLOWED")
    expect(lease.license_expires_at, datetime.fromisoformat(end), "end that staff set")
    expect(hal.verdict.days_left, 30, "days that the program has left")
    judged = scene.stage.command_json("search", old)["judged"]
    expect(judged["counts"], False, "whether the older text counts")
    scene.say(f"The program works on, until {when(lease.license_expires_at)}. Support pastes the older text and reads:")
    scene.narrator.quote("support", judged["says"]["en"])
    return f"ends {when(lease.license_expires_at)}, the older text is on the revocation list"


def _moment(scene: Scene, span: timedelta) -> str:
    return (scene.stage.clock.now() + span).replace(microsecond=0).isoformat().replace("+00:00", "Z")


STEPS = (
    Step("An own sale ends", sell),
    Step("It is renewed", renew),
    Step("Its end is brought forward", shorten),
)
