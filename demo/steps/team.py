"""A floating team: five people on three seats, one of them on a train."""

from __future__ import annotations

from datetime import timedelta

from client_stub import Problem
from client_stub.trust.seats import Seat
from demo.expectations import UnexpectedError, expect
from demo.scene import Scene, Step, when

TEAM = ("KIM", "LEE", "MAX", "NOA", "OLE")
CODE, PRODUCT = "OWN-2026-TEAM", "DEMO-TEAM"
_SEATS = 3


def open_office(scene: Scene) -> str:
    """Start five programs on three seats; two wait in line, and read who works."""
    scene.say("A team of five shares three seats; a seat may be borrowed for five days:")
    scene.run("products", "set", PRODUCT, "--name", "Team")
    scene.run(
        "products", "policy", PRODUCT, "--set", "places.floating=yes", "--set", "floating.borrow_days=5",
        "--reason", "Sold to teams.",
    )  # fmt: skip
    end = scene.stage.clock.now() + timedelta(days=365)
    scene.run("licenses", "add", CODE, "--product-id", PRODUCT, "--amount", str(_SEATS), "--expires", f"{end:%Y-%m-%d}")
    for number, name in enumerate(TEAM):
        desktop = scene.desktop(name, f"E4:54:E8:BB:00:0{number}|WD-{name}-7{number}1|BOARD-{name}-4{number}|CPU", CODE)
        desktop.ask()
        answer = desktop.check_out()
        expect(isinstance(answer, Seat), number < _SEATS, f"whether {name} has a seat")
        if isinstance(answer, Problem):
            scene.show_problem(desktop, answer)
            scene.narrator.quote(name, f"place {answer.details['position']} in line; {_holders(answer)}")
        else:
            scene.narrator.quote(name, f"a seat until {when(answer.expires_at)}, program {desktop.verdict.permission}")
    return "3 seats in use, 2 programs in line"


def borrow(scene: Scene) -> str:
    """Borrow a seat for a journey; the program works without network, and starts there again."""
    kim = scene.desktops[TEAM[0]]
    until = scene.stage.clock.now() + timedelta(days=2)
    borrowed = kim.borrow(until)
    if not isinstance(borrowed, Seat):
        raise UnexpectedError(f"Kim could not borrow her seat: {borrowed}")
    kim.close()
    scene.say("Kim takes the train; the server is out of reach, here because it is killed. She starts the program:")
    kim = scene.desktop(TEAM[0], kim.device_info, CODE)
    scene.stage.kill_server()
    kim.ask()
    expect(kim.verdict.is_allowed, True, "whether the program works on the train")
    scene.narrator.quote(TEAM[0], f"a seat until {when(kim.verdict.until)}, program {kim.verdict.permission}")
    kim.close()
    expect(scene.stage.start_server_again(), True, "whether the server is back on its port")
    return f"borrowed until {when(borrowed.expires_at)}"


def follow(scene: Scene) -> str:
    """End a program; who waits first gets its seat."""
    lee, noa = scene.desktops[TEAM[1]], scene.desktops[TEAM[3]]
    lee.close()
    scene.say("Lee closes the program. Noa, the first in line, gets the seat; Ole goes on waiting:")
    answer = noa.check_out()
    expect(isinstance(answer, Seat), True, "whether the first in line has the seat")
    expect(isinstance(scene.desktops[TEAM[4]].check_out(), Problem), True, "whether the second one waits")
    scene.narrator.quote(TEAM[3], f"a seat, program {noa.verdict.permission}")
    for name in TEAM[2:]:
        scene.desktops[name].close()
    return "the first in line works"


def _holders(problem: Problem) -> str:
    holders = problem.details["holders"]
    if not isinstance(holders, list):
        raise UnexpectedError("The refusal does not say who works.")
    return ", ".join(str(one["name"]) for one in holders) + " work"


STEPS = (
    Step("Five people, three seats", open_office),
    Step("A seat is borrowed for a journey", borrow),
    Step("A seat becomes free", follow),
)
