"""The kinds of steps, each with its weight. A new kind is a function here; a new rule is a method of the model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.model import checks, looking, seats
from tests.model.machine import NOTHING, PRODUCTS, Holding, Life, Request
from tests.model.model import OK, Answer, License, Message, Policy, Word
from tests.model.seats import Program
from tests.model.seller import Sold
from tests.model.service import CrashError

MOST_LICENSES = 6


@dataclass(frozen=True)
class Step:
    """A kind of step; it returns :data:`NOTHING` where the life has nothing for it."""

    name: str
    weight: float
    play: Callable[[Life], Awaitable[object]]


STEPS: list[Step] = []


def step(weight: float) -> Callable[[Callable[[Life], Awaitable[object]]], Callable[[Life], Awaitable[object]]]:
    """Make a function a kind of step."""

    def added(play: Callable[[Life], Awaitable[object]]) -> Callable[[Life], Awaitable[object]]:
        STEPS.append(Step(play.__name__, weight, play))
        return play

    return added


# Sales.


@step(4)
async def sell(life: Life) -> object:
    """The vendor or the marketplace sells a license; the service learns of a code when a device first asks."""
    if len(life.licenses) >= MOST_LICENSES:
        return NOTHING
    random, product = life.random, life.random.choice(PRODUCTS)
    if random.random() < 0.5:
        sold = life.seller.sell(product, amount=random.choice((1, 2, 2, 3)), days=random.randint(3, 90))
        life.licenses[sold.code] = [License(sold.code, False, product)]
        return life.note(f"the marketplace sells {sold.code} {product} x{sold.amount} for {sold.days} days")
    code, places = f"OWN{next(life.numbers):05}", random.choice((1, 2, 3, None))
    end = life.now + timedelta(days=random.randint(3, 90)) if random.random() < 0.8 else None
    life.service.sell(code, product, places=places, end=end)
    life.licenses[code] = [
        License(code, True, product, True, own_limit=places, began=life.now, end=end, changed=life.now)
    ]
    life.note(f"the vendor sells {code} {product} places {places} until {end}")
    return life.look(code)


# Devices.


def device_info(parts: Mapping[str, str]) -> str:
    return "|".join(parts[part] for part in ("mac", "disk", "board", "cpu"))


def asking(life: Life, code: str, form: str = "string") -> Request:
    """A computer asks for the license of a code, and names another device where it wants to take its place."""
    number = life.random.randrange(len(life.computers))
    parts = dict(life.computers[number])
    body = {"code": code, "device_info": device_info(parts), "nonce": "n", "client": {"name": f"c{number}"}}
    named = any_device(life, code) if life.random.random() < 0.4 else None
    more = {"move_from": named} if named is not None else {}

    def predict(license: License) -> Answer:
        if not license.is_known and (unknown := _introduced(life, license)) is not None:
            return unknown
        return license.ask(parts, form, life.policy(license), move_from=named, now=life.now)

    def partly(license: License) -> list[License]:
        after = license.copy()
        return [after] if not license.is_known and _introduced(life, after) is None else []

    return Request(
        f"{form} of {code} for computer {number} {more or ''}", code, predict,
        lambda: life.service.device(f"/v1/licenses/{form}", body | more), partly=partly, computer=number,
        notes=lambda _, answer: ("audit_entries", "devices") if answer.word == "OK" else (),  # what it says of itself
    )  # fmt: skip


def any_device(life: Life, code: str) -> str | None:
    """A device of the license, the longest unseen more often."""
    known = [one for one in life.state(code).devices if one.id is not None and one.seen is not None]
    ordered = sorted(known, key=lambda one: (not one.holds, one.seen or life.now))
    return life.random.choice([*ordered, *ordered[:1] * 3]).id if ordered else None


def _introduced(life: Life, license: License) -> Answer | None:
    """Make a code known by what the marketplace says of it; return the refusal where it cannot be asked."""
    if life.seller.is_away or life.seller.loses:
        return Answer("MARKETPLACE_UNAVAILABLE")
    sold = life.seller.sold[license.code]
    end = sold.end or life.now + timedelta(days=sold.days)
    word = sold.word(life.now) if sold.end is not None else Word("ALIVE", end, sold.product, sold.amount)
    license.confirm(word, now=life.now)
    return None


@step(22)
async def ask(life: Life) -> object:
    if not life.licenses:
        return NOTHING
    code = life.random.choice(list(life.licenses))
    form = "file" if life.random.random() < 0.2 else "string"
    return await life.perform(asking(life, code, form))


def holding_of(life: Life, code: str | None = None) -> Holding | None:
    held = [one for one in life.holdings if code in (None, one.code)]
    return life.random.choice(held[-12:]) if held else None


def checking_in(life: Life, held: Holding) -> Request:
    """A computer checks in, rarely another one than the one that got the string."""
    number = held.computer if life.random.random() < 0.95 else life.random.randrange(len(life.computers))
    parts = dict(life.computers[number])
    body = {"nonce": "n", "device_info": device_info(parts)}
    return Request(
        f"check-in of {held.code} by computer {number} with {held.id}", held.code,
        lambda one: one.check_in(held.id, parts, life.policy(one), now=life.now),
        lambda: life.service.device("/v1/heartbeats", body, held.text),
        notes=lambda *_: ("check_ins", "license_days", "outbox", "audit_entries"),  # many texts are an alarm
    )  # fmt: skip


@step(22)
async def check_in(life: Life) -> object:
    held = holding_of(life)
    return NOTHING if held is None else await life.perform(checking_in(life, held))


def giving_back(life: Life, held: Holding) -> Request:
    """A program gives its device's place back."""
    parts = dict(life.computers[held.computer])
    body = {"device_info": device_info(parts)}
    return Request(
        f"place of {held.code} given back by computer {held.computer} with {held.id}", held.code,
        lambda one: one.give_place_back(held.id, parts, life.policy(one), now=life.now),
        lambda: life.service.device("/v1/devices/release", body, held.text),
    )  # fmt: skip


@step(5)
async def give_place_back(life: Life) -> object:
    held = holding_of(life)
    return NOTHING if held is None else await life.perform(giving_back(life, held))


def freeing(life: Life, held: Holding) -> Request:
    """A program frees the place of another device of its license, or lists them."""
    parts, device_id = dict(life.computers[held.computer]), any_device(life, held.code) or "nothing"
    body = {"device_info": device_info(parts), "device_id": device_id}
    return Request(
        f"place of {device_id} of {held.code} freed by computer {held.computer} with {held.id}", held.code,
        lambda one: one.free_other(held.id, parts, device_id, life.policy(one), now=life.now),
        lambda: life.service.device("/v1/devices/release", body, held.text), notes=_seen,
    )  # fmt: skip


def _seen(_: License, answer: Answer) -> Collection[str]:
    return ("devices",) if answer.word == "OK" else ()


def listing(life: Life, held: Holding) -> Request:
    """A program asks which devices its license has."""
    parts = dict(life.computers[held.computer])

    async def send() -> Answer:
        answer = await life.service.device("/v1/devices/list", {"device_info": device_info(parts)}, held.text)
        movable = {one["device_id"] for one in answer.members.get("devices", ()) if one["can_be_released"]}
        return Answer(answer.word, {**answer.members, "movable": frozenset(movable)})

    return Request(
        f"devices of {held.code} for computer {held.computer} with {held.id}", held.code,
        lambda one: one.list(held.id, parts, life.policy(one), now=life.now), send, notes=_seen,
    )  # fmt: skip


@step(4)
async def move(life: Life) -> object:
    if (held := holding_of(life)) is None:
        return NOTHING
    return await life.perform(life.random.choice((freeing, freeing, listing))(life, held))


@step(7)
async def repair(life: Life) -> None:
    """One part of a computer is replaced."""
    number, part = life.random.randrange(len(life.computers)), life.random.choice(("mac", "disk", "board", "cpu"))
    life.computers[number][part] = life.part(part)
    life.note(f"computer {number} has another {part}")


@step(0.5)
async def scrap(life: Life) -> None:
    """A computer is replaced by another one."""
    number = life.random.randrange(len(life.computers))
    life.computers[number] = {part: life.part(part) for part in life.computers[number]}
    life.note(f"computer {number} is another one")


@step(1)
async def stranger(life: Life) -> None:
    """Somebody asks with a code or a string that does not exist."""
    before = looking.digest(life.service.runtime.database)
    info = device_info(life.computers[0])
    asked = {"code": "PLNOTHING", "device_info": info, "nonce": "n"}
    answer = await life.service.device("/v1/heartbeats", {"nonce": "n", "device_info": info}, "a.b.c")
    life.require(answer.word == "UNAUTHENTICATED", answer)
    is_asked = not (life.seller.is_away or life.seller.loses)
    answer = await life.service.device("/v1/licenses/string", asked)
    life.require(answer.word == ("LICENSE_NOT_FOUND" if is_asked else "MARKETPLACE_UNAVAILABLE"), answer)
    life.require(looking.digest(life.service.runtime.database) == before, "a stranger changed something")


# Time.


@step(14)
async def wait(life: Life) -> None:
    """Time passes; now and then the clock is set back a little."""
    random = life.random
    seconds = random.choice((random.randint(1, 300), random.randint(300, 7200), random.randint(7200, 90_000)))
    if random.random() < 0.08:
        seconds = -random.randint(1, 1800)
    elif random.random() < 0.06:
        seconds = random.randint(2, 12) * 86_400
    is_away = random.random() < 0.3
    if not is_away:
        await noted(life)
    life.clock.advance(seconds=seconds)
    if not is_away and seconds > 0:
        await life.service.live_through()
        life.presence.noted(life.now)
    says = "pass" if seconds > 0 else "back"
    life.note(f"{timedelta(seconds=abs(seconds))} {says}{', the service is away' if is_away else ''}")


async def noted(life: Life) -> None:
    """The service notes that it lives, and gives seats the time that it missed."""
    await life.service.note_presence()
    for states in life.licenses.values():
        for state in states:
            life.presence.catch_up(state, life.now)
    life.presence.noted(life.now)


# Seats.

_LONGEST_ID = "-of-one-running-program"


def program_of(life: Life, held: Holding, number: int) -> Program:
    """One of two programs of a computer; the first says who uses it."""
    session = f"{held.computer}-{number}{_LONGEST_ID}"
    return Program(held.id, dict(life.computers[held.computer]), session, ("ann", None)[number])


def _body(program: Program, **more: Any) -> dict[str, Any]:
    return {"session": program.session, "device_info": device_info(program.parts), "nonce": "n", **more}


def checking_out(life: Life, held: Holding, *, queue: bool) -> Request:
    """A program asks for a seat. A service that was away catches up first, in the same transaction."""
    program = program_of(life, held, life.random.randrange(2))
    user = {"user": program.user} if program.user is not None else {}
    body = _body(program, queue=queue, **user)

    def outcomes(license: License) -> Iterator[tuple[Answer, License]]:
        policy = life.policy(license)
        if life.presence.is_noted(life.now):
            yield from seats.check_out(license, program, policy, queue=queue, now=life.now)
            return
        caught_up = license.copy()
        life.presence.catch_up(caught_up, life.now)
        for answer, after in seats.check_out(caught_up, program, policy, queue=queue, now=life.now):
            yield answer, after if seats.writes(answer.word) else license.copy()

    return Request(
        f"seat of {held.code} {'or a place in line ' if queue else ''}for {program.session[:3]} with {held.id}",
        held.code, lambda _: OK, lambda: life.service.device("/v1/seats/checkout", body, held.text),
        outcomes=outcomes, may_crash=life.presence.is_noted(life.now),
        notes=lambda *_: () if life.presence.is_noted(life.now) else ("seats",),
    )  # fmt: skip


@step(9)
async def check_out(life: Life) -> object:
    held = floating_of(life)
    if held is None:
        return NOTHING
    if not life.presence.is_noted(life.now) and life.random.random() < 0.5:
        await noted(life)
    return await _check_out(life, checking_out(life, held, queue=life.random.random() < 0.5))


async def _check_out(life: Life, request: Request) -> object:
    """Ask for a seat; what the service caught up on concerns every license."""
    catches_up = not life.presence.is_noted(life.now)
    (answer,) = await life.perform(request)
    if catches_up and seats.writes(answer.word):
        for code, states in life.licenses.items():
            for state in states if code != request.code else ():
                life.presence.catch_up(state, life.now)
        life.presence.noted(life.now)
    return None


def floating_of(life: Life) -> Holding | None:
    """A license string of a product whose places float, rarely of another one."""
    is_any = life.random.random() < 0.05
    held = [one for one in life.holdings if is_any or life.policy(life.state(one.code))["places.floating"]]
    running = [one for one in held if one.computer in _running(life, one.code)]
    return life.random.choice(running if running and life.random.random() < 0.7 else held[-12:]) if held else None


def _running(life: Life, code: str) -> set[int]:
    """The computers with a program that has a seat."""
    return {int(one.session[0]) for one in life.state(code).held}


def about_seat(life: Life, held: Holding) -> Request:
    """A program renews, borrows or gives back a seat, mostly its own."""
    random, number = life.random, life.random.randrange(2)
    every = [one for one in life.state(held.code).seats[-8:] if one.id is not None]
    own = [one for one in every if one.session.startswith(f"{held.computer}-")]
    chosen = random.choice(own if own and random.random() < 0.95 else every) if every else None
    if chosen in own and random.random() < 0.95:
        number = int(chosen.session[2])
    program = program_of(life, held, number)
    seat_id = chosen.id if chosen is not None and chosen.id is not None else "nothing"
    body, until = _body(program, seat_id=seat_id), life.moment(random.choice((0.5, 3, 6)))
    match random.choices(("renew", "return", "borrow"), (5, 2, 2))[0]:
        case "renew":
            name, more = "renew", {}
            predict = seats.renew
        case "return":
            name, more = "return", {}
            predict = seats.give_back
            del body["nonce"]
        case _:
            name, more = "borrow", {"until": until}
            predict = seats.borrow  # type: ignore[assignment]
            body["until"] = until.isoformat()
    return Request(
        f"{name} of seat {seat_id} of {held.code} for {program.session[:3]} {more.get('until', '')}", held.code,
        lambda one: predict(one, program, seat_id, life.policy(one), now=life.now, **more),
        lambda: life.service.device(f"/v1/seats/{name}", body, held.text),
    )  # fmt: skip


@step(9)
async def keep_seat(life: Life) -> object:
    held = floating_of(life)
    return NOTHING if held is None else await life.perform(about_seat(life, held))


# The marketplace.


def _sold(life: Life) -> Sold | None:
    sold = [one for one in life.seller.sold.values() if one.end is not None and not one.is_released]
    return life.random.choice(sold) if sold else None


@step(8)
async def trade(life: Life) -> object:
    """A buyer renews, takes a renewal back, or gives a code back; the marketplace freezes or unfreezes one."""
    sold, random = _sold(life), life.random
    if sold is None:
        return NOTHING
    match random.choices(("renew", "take back", "freeze", "release"), (5, 2, 5 if sold.is_frozen else 2, 0.3))[0]:
        case "renew":
            product = random.choice(PRODUCTS) if random.random() < 0.15 else ""
            message = life.seller.renew(sold, random.randint(3, 30), product)
        case "take back":
            if not sold.renewals:
                return NOTHING
            message = life.seller.take_back(sold, by_its_own_order=random.random() < 0.5)
        case "freeze":
            message = life.seller.freeze(sold, not sold.is_frozen)
        case _:
            message = life.seller.release(sold)
    return life.note(f"the marketplace will say {message.id} {message.body}")


def telling(life: Life, message: Message) -> Request:
    """The marketplace delivers a message, signed within a minute of now."""
    off = timedelta(seconds=life.random.randint(-55, 55))

    def predict(license: License) -> Answer:
        return _told(license, message, life.now + off, life.now) if license.is_known else Answer("000003")

    def notes(license: License, _: Answer) -> Collection[str]:
        return () if message.id in license.messages else ("outbox", "license_orders")

    says = f"callback {message.id} {message.activity} {message.scene or message.is_freeze} of {message.code}"
    return Request(
        f"{says} signed {off.total_seconds():+.0f} s", message.code, predict,
        lambda: life.service.callback(message.body, at=life.now + off), notes=notes,
    )  # fmt: skip


def _told(license: License, message: Message, at: datetime, now: datetime) -> Answer:
    match message.activity:
        case "refreshLicenseCode":
            return license.hear_of_end(message, stated=at, now=now)
        case "updateLicenseCodeStatus":
            return license.hear_of_freeze(message.is_freeze, stated=at, now=now)
        case _:
            return license.hear_of_release(now=now)


@step(10)
async def deliver(life: Life) -> object:
    """A message arrives: any that waits, or one that arrived before."""
    seller = life.seller
    again = bool(seller.delivered) and life.random.random() < 0.3
    messages = seller.delivered[-15:] if again else seller.waiting
    return await _deliver(life, life.random.choice(messages)) if messages else NOTHING


async def _deliver(life: Life, message: Message) -> None:
    (answer,) = await life.perform(telling(life, message))
    if answer.word == "000000" and message in life.seller.waiting:
        life.seller.waiting.remove(message)
        life.seller.delivered.append(message)


@step(6)
async def report(life: Life) -> None:
    """The outbox delivers what is due; now and then an answer is lost, or the process crashes on the way."""
    fault, random = life.service.fault, life.random
    is_faulty = random.random() < 0.1
    if is_faulty:
        fault.arm(random.randint(1, 8), is_after=random.random() < 0.5)
    elif random.random() < 0.1:
        life.seller.loses += 1
    await drained(life)
    if is_faulty and fault.has_struck:
        life.clock.advance(minutes=3)  # what was claimed is free again


async def drained(life: Life) -> None:
    """Let the outbox deliver, and take over what the marketplace said."""
    life.seller.told.clear()
    try:
        await life.service.runtime.worker.drain()
    except CrashError:
        await life.service.runtime.worker.finish()
    has_struck = life.service.fault.disarm()
    told = dict(life.seller.told)
    life.note(f"the outbox delivers; the marketplace said {told}" + (" (crash)" if has_struck else ""))
    for code, word in told.items():
        life.licenses[code] = [
            after for state in life.licenses[code] for after in _taken_over(life, state, word, is_sure=not has_struck)
        ]
        life.look(code)


def _taken_over(life: Life, state: License, word: Word, *, is_sure: bool) -> list[License]:
    """What a license may become by an answer; one that is older than the last change settles nothing."""
    after = state.copy()
    after.take_over(word, now=life.now)
    is_newer = state.changed is None or life.now >= state.changed
    return [after] if is_sure and is_newer else [state, after]


@step(1.5)
async def go_away(life: Life) -> None:
    """The marketplace goes away, or comes back."""
    life.seller.is_away = not life.seller.is_away and life.random.random() < 0.3
    life.note(f"the marketplace is {'away' if life.seller.is_away else 'there'}")


# Staff.


def acting(life: Life, code: str, action: str, predict: Callable[[License], Answer], **given: Any) -> Request:
    """A member of staff does something to a license; sent again, the call has the same key."""
    key = f"key-{next(life.numbers)}"
    body = {"reason": "because", **given}
    return Request(
        f"{action} of {code} {given or ''}", code, lambda one: one.once(key, predict, now=life.now),
        lambda: life.service.staff("POST", f"/licenses/{code}/actions/{action}/do", body, key=key),
    )  # fmt: skip


def any_action(life: Life, code: str) -> Request:
    """Any action on a license, possible or not."""
    random, state = life.random, life.state(code)
    devices = [one.id for one in state.devices if one.id is not None]
    names = ["extend", "extend", "set_terms", "set_terms", "revoke", "extend_grace", "reissue"]
    names += ["reinstate"] * (4 if state.is_revoked else 1)
    held = [one.id for one in state.seats if one.id is not None]
    names += ["release_place", "release_place", "restore_place", "release_unseen"] if devices else []
    match random.choice([*names, *(["free_seat"] if held else [])]):
        case "extend":
            until = life.moment(60)
            return acting(life, code, "extend", lambda one: one.extend(until, now=life.now), until=until.isoformat())
        case "set_terms":
            return setting(life, code, _any_terms(life))
        case "revoke":
            return acting(life, code, "revoke", lambda one: one.revoke(now=life.now))
        case "reinstate":
            return acting(life, code, "reinstate", lambda one: one.reinstate(now=life.now))
        case "extend_grace":
            return granting(life, code, life.moment(60) if random.random() < 0.7 else None)
        case "release_unseen":
            return acting(life, code, "release_unseen", lambda one: one.release_unseen(life.policy(one), now=life.now))
        case "restore_place":
            return restoring(life, code, random.choice(devices))
        case "free_seat":
            seat = random.choice(held[-3:])
            return acting(life, code, "free_seat", lambda one: one.free_seat(seat), seat_id=seat)
        case "reissue":
            device = random.choice([None, *devices])
            return acting(life, code, "reissue", lambda one: one.reissue(device, now=life.now), device_id=device)
        case _:
            return releasing(life, code, random.choice(devices))


def releasing(life: Life, code: str, device: str) -> Request:
    return acting(life, code, "release_place", lambda one: one.release_place(device, now=life.now), device_id=device)


def restoring(life: Life, code: str, device: str) -> Request:
    return acting(
        life, code, "restore_place", lambda one: one.restore_place(device, life.policy(one)), device_id=device
    )


def _any_terms(life: Life) -> dict[str, Any]:
    random = life.random
    every = {
        "expires_at": life.moment(60) if random.random() < 0.85 else None,
        "places": random.choice((1, 2, 3, None)),
        "product_id": random.choice(PRODUCTS),
    }
    return {name: every[name] for name in random.sample(list(every), random.choice((1, 1, 2)))}


def setting(life: Life, code: str, terms: Mapping[str, Any]) -> Request:
    plain = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in terms.items()}
    return acting(life, code, "set_terms", lambda one: one.set_terms(terms, now=life.now), terms=plain)


def granting(life: Life, code: str, until: datetime | None) -> Request:
    plain = until.isoformat() if until is not None else None
    return acting(life, code, "extend_grace", lambda one: one.extend_grace(until, now=life.now), until=plain)


@step(9)
async def act(life: Life) -> object:
    """Staff acts, and now and then takes it back at once."""
    if not (codes := life.known()):
        return NOTHING
    code = life.random.choice(codes)
    before = [_terms(state, life.now) for state in life.licenses[code]]
    (answer,) = await life.perform(any_action(life, code))
    undo = answer.members.get("undo")
    is_known = undo is not None and undo["action"] in _UNDOES
    if answer.word == "OK" and answer.members["changed"] and is_known and life.random.random() < 0.4:
        (answer,) = await life.perform(_undoing(life, code, undo))
        if answer.word == "OK":
            after = [_terms(state, life.now) for state in life.licenses[code]]
            life.require(set(after) <= set(before), f"the undo left {after} instead of {before}")
    return None


_UNDOES = frozenset({"set_terms", "extend_grace", "reinstate", "revoke"})
"""The actions that the model knows as ways back; it does not know that a released place is given back."""


def _undoing(life: Life, code: str, undo: Mapping[str, Any]) -> Request:
    match undo["action"]:
        case "set_terms":
            terms = {name: _read(name, value) for name, value in undo["terms"].items()}
            return setting(life, code, terms)
        case "extend_grace":
            return granting(life, code, _read("expires_at", undo["until"]))
        case "release_place":
            return releasing(life, code, undo["device_id"])
        case "restore_place":
            return restoring(life, code, undo["device_id"])
        case "reinstate":
            return acting(life, code, "reinstate", lambda one: one.reinstate(now=life.now))
        case "revoke":
            return acting(life, code, "revoke", lambda one: one.revoke(now=life.now))
        case other:
            raise AssertionError(f"The model does not know how to undo by {other}.")


def _read(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name == "expires_at" and value is not None else value


def _terms(license: License, now: datetime) -> tuple[object, ...]:
    return license.status(now), license.end, license.own_limit, license.product, license.is_revoked, license.taken


# Policies.

_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "places.limit": (1, 2, 3, None), "places.amount_counts": (True, False, None),
    "recognition.learned_parts": (0, 1, 2, 4, None), "recognition.learned_days": (3, 10, None),
    "moves.per_place": (0, 1, 2, 6, None), "moves.days": (7, 30, None), "moves.cool_down_hours": (0, 12, 96, None),
    "moves.file_holds_place": (True, False, None), "moves.unseen_days": (1, 1, 3, 7, None),
    "time.check_in_hours": (6, 24, 30, None),
    "time.grace_hours": (24, 72, 168, None), "places.floating": (True, True, True, False, None),
    "places.overdraft": (0, 1, None), "places.overdraft_percent": (0, 50, None), "floating.seat_minutes": (1, 20, None),
    "floating.shared_by_user": (True, False, None), "floating.borrow_days": (0, 1, 5, None),
    "floating.borrow_percent": (1, 100, None), "floating.return_hours": (0, 12, None),
}  # fmt: skip


@step(4)
async def change_policy(life: Life) -> None:
    """The policy of a product is changed, or a change taken back; a preview says first whom it concerns."""
    random, product = life.random, life.random.choice(PRODUCTS)
    policy = life.policies[product]
    for code in life.known():  # a policy concerns all licenses, so each must be certain
        life.look(code)
    if random.random() < 0.25:
        after, ask = policy.undone(), {"undo": True}
    else:
        names = random.sample(list(_CHOICES), random.choice((1, 2, 3)))
        if random.random() < 0.3 or not policy.stated:
            names = ["places.floating"]
        values = {name: random.choice(_CHOICES[name]) for name in names}
        after, ask = policy.changed(values), {"values": values}
    await _change_policy(life, product, after, ask)


async def _change_policy(life: Life, product: str, after: Policy | None, ask: Mapping[str, Any]) -> None:
    refusal = "CONFLICT" if after is None else "POLICY_CONTRADICTION" if after.contradicts_itself else ""
    is_still = refusal or after is life.policies[product]
    database = life.service.runtime.database
    before = looking.digest(database)
    preview = await life.service.staff("POST", "/products/policy/preview", {"product": product, **ask})
    life.require(preview.word == (refusal or "OK"), preview)
    life.require(looking.digest(database) == before, "a preview changed something")

    lowered = looking.lowered(database)
    method, path = ("POST", "/products/policy/undo") if "undo" in ask else ("PUT", "/products/policy")
    body = {"product": product, "reason": "because"} | {name: value for name, value in ask.items() if name == "values"}
    answer = await life.service.staff(method, path, body)

    life.note(f"policy of {product} {ask} -> {answer.word}")
    life.require(answer.word == (refusal or "OK"), answer)
    if after is None or is_still:
        life.require(looking.digest(database) == before, "a change that changes nothing changed something")
        return
    overfull = checks.newly_overfull(life, product, after)
    life.policies[product] = after
    now_lowered = looking.lowered(database)
    marked = {code for code, at in now_lowered.items() if at == life.now}
    life.require(checks.overfull_by(preview) == overfull, f"previewed {checks.overfull_by(preview)}, not {overfull}")
    life.require(overfull <= marked, f"marked {marked}, not {overfull}")
    others = {code: at for code, at in now_lowered.items() if code not in overfull}
    life.require(others == {code: lowered[code] for code in others}, "a license that it does not concern was marked")


# The process.


@step(0.6)
async def restart(life: Life) -> None:
    await life.service.restart()
    life.presence.restarted()
    life.note("the service was restarted")


@step(6)
async def repeat(life: Life) -> object:
    """A caller that got no answer asks again; or one that got one does, because the answer was lost."""
    asked = life.unsure if life.unsure and life.random.random() < 0.8 else life.last
    if not asked:
        return NOTHING
    request = life.random.choice(list(asked.values()))
    if request.outcomes is not None:
        await noted(life)
    return await life.perform(request)


@step(5)
async def crowd(life: Life) -> object:
    """Several callers ask about one license at once: each must be served as if they had come one by one."""
    if not (codes := life.known()):
        return NOTHING
    code = life.random.choice(codes)
    life.look(code)
    await noted(life)
    requests = [_any_request(life, code) for _ in range(life.random.choice((2, 3, 3)))]
    asked = [one.computer for one in requests if one.computer is not None]
    if len(asked) < len(requests) and len(set(asked)) < len(asked):  # two texts of one moment have no order
        return NOTHING
    return await life.perform(*requests)


def _any_request(life: Life, code: str) -> Request:
    held, random = holding_of(life, code), life.random
    messages = [one for one in life.seller.waiting if one.code == code]
    kinds: list[Callable[[], Request]] = [lambda: asking(life, code), lambda: asking(life, code)]
    if held is not None:
        kinds += [lambda: checking_in(life, held), lambda: giving_back(life, held), lambda: freeing(life, held)]
        if life.policy(life.state(code))["places.floating"]:
            kinds += [lambda: checking_out(life, held, queue=False), lambda: about_seat(life, held)] * 3
    if messages:
        kinds.append(lambda: telling(life, random.choice(messages)))
    return random.choice([*kinds, lambda: any_action(life, code)])()
