"""What must be true: licenses, devices, texts and policies as a few facts and rules. Pure, without the service's code.

It is read next to docs/licenses.md and docs/policies.md: each rule here is one that these pages promise. A request is
answered by a method that changes the facts and returns what the caller must be told. After a crash a license has
several possible states; the machine keeps all of them until an answer or a look tells which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LEARNABLE, WEIGHTS, NEEDED = ("disk", "mac", "board"), {"mac": 2, "disk": 2, "board": 2, "cpu": 1}, 4
KEPT_ON_THE_LIST = 30 * DAY
RETRY_WHEN_REFUSED = HOUR
ZONE = 8 * HOUR  # of the marketplace's day
SAYS_NOTHING: Mapping[str, Any] = {
    "places.limit": None, "places.amount_counts": True, "recognition.learned_parts": 2, "recognition.learned_days": 30,
    "moves.per_place": 4, "moves.days": 30, "moves.cool_down_hours": 24, "moves.file_holds_place": True,
    "moves.unseen_days": 0,
    "time.check_in_hours": 24, "time.grace_hours": 168,
    "places.floating": False, "places.overdraft": 0, "places.overdraft_percent": 0, "floating.seat_minutes": 15,
    "floating.shared_by_user": False, "floating.borrow_days": 0, "floating.borrow_percent": 50,
    "floating.return_hours": 0,
}  # fmt: skip
"""What holds for a product that states nothing."""
RENEWAL, UNDONE = "RENEWAL", "UNSUBSCRIBE_RENEWAL_PERIOD"
Parts = Mapping[str, str]


class Answer(NamedTuple):
    """What a caller is told: a word, members that it must find in the answer, and which text or seat it gets.

    A text and a seat are named by their place among those of the license.
    """

    word: str
    members: Mapping[str, Any] = {}
    text: int | None = None
    seat: int | None = None

    def fits(self, given: Answer) -> bool:
        """Whether an answer that was given says this."""
        return self.word == given.word and all(given.members.get(name) == value for name, value in self.members.items())


OK, DONE = Answer("OK"), Answer("000000")


@dataclass
class Policy:
    """The policy of a product, with the versions that an undo goes back to."""

    versions: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    position: int = 0  # the version that it is at, after an undo the one that was brought back

    @property
    def stated(self) -> dict[str, Any]:
        return self.versions[self.position]

    def __getitem__(self, name: str) -> Any:
        return self.stated.get(name, SAYS_NOTHING[name])

    def changed(self, values: Mapping[str, Any]) -> Policy:
        """The policy after a change; None takes a statement back."""
        stated = {name: value for name, value in {**self.stated, **values}.items() if value is not None}
        if stated == self.stated:
            return self
        return Policy([*self.versions, stated], len(self.versions))

    def undone(self) -> Policy | None:
        """The policy after an undo, which is a version of its own; None where there is nothing to undo."""
        if self.position == 0:
            return None
        return Policy([*self.versions, self.versions[self.position - 1]], self.position - 1)

    @property
    def contradicts_itself(self) -> bool:
        moves, grace = self["moves.per_place"], self["time.grace_hours"]
        leaves_no_room = self["moves.cool_down_hours"] * HOUR * (moves - 1) >= self["moves.days"] * DAY
        return (
            (moves > 1 and leaves_no_room)
            or self["time.check_in_hours"] > grace
            or self["floating.borrow_days"] * 24 > grace
            or 0 < self["moves.unseen_days"] * 24 < grace
            or (self["places.overdraft"] > 0 and self["places.overdraft_percent"] > 0)
        )


@dataclass
class Device:
    """A device of a license: what it is bound to, and whether it holds a place. Its id is known once it was seen."""

    id: str | None
    bound: dict[str, str]
    holds: bool = False
    learned: list[datetime] = field(default_factory=list)
    seen: datetime | None = None

    def met(self, now: datetime) -> None:
        self.seen = _later(now, self.seen)

    def weight(self, parts: Parts) -> int:
        return sum(weight for part, weight in WEIGHTS.items() if self.bound[part] == parts[part])

    def is_same(self, parts: Parts) -> bool:
        return self.weight(parts) >= NEEDED


@dataclass
class Text:
    """A license string or file that was handed out; ``end`` in whole seconds, as it is signed."""

    id: str | None
    device: Device
    form: str
    end: datetime | None
    says: tuple[Any, ...]
    begins: datetime
    is_given_back: bool = False
    is_listed: bool = False


@dataclass
class Seat:
    """A program's seat; it lapses at ``until``, and is held until it is ended."""

    id: str | None
    device: Device
    session: str
    holder: str
    since: datetime
    until: datetime
    length: timedelta
    borrowed_at: datetime | None = None
    borrowed_until: datetime | None = None
    is_ended: bool = False

    def is_borrowed(self, now: datetime) -> bool:
        return self.borrowed_until is not None and self.borrowed_until > now


@dataclass
class License:
    """One license as it may be."""

    code: str
    is_own: bool
    product: str
    is_known: bool = False
    amount: int | None = None
    own_limit: int | None = None
    began: datetime | None = None
    end: datetime | None = None
    end_stated: datetime | None = None
    grace: datetime | None = None
    is_frozen: bool = False
    freeze_stated: datetime | None = None
    is_revoked: bool = False
    is_released: bool = False
    is_undone: bool = False
    changed: datetime | None = None
    devices: list[Device] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    seats: list[Seat] = field(default_factory=list)
    line: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    moves: list[datetime] = field(default_factory=list)
    messages: set[str] = field(default_factory=set)
    days: set[date] = field(default_factory=set)
    used: set[tuple[str, date]] = field(default_factory=set)
    kept: dict[str, tuple[Answer, datetime]] = field(default_factory=dict)

    def copy(self) -> License:
        devices = {id(one): replace(one, bound=dict(one.bound), learned=list(one.learned)) for one in self.devices}
        return replace(
            self, devices=list(devices.values()), moves=list(self.moves), messages=set(self.messages),
            texts=[replace(one, device=devices[id(one.device)]) for one in self.texts],
            seats=[replace(one, device=devices[id(one.device)]) for one in self.seats], line=dict(self.line),
            days=set(self.days), used=set(self.used), kept=dict(self.kept),
        )  # fmt: skip

    # What it is.

    @property
    def end_of_use(self) -> datetime | None:
        if self.end is None or self.grace is None:
            return self.end
        return max(self.end, self.grace)

    def status(self, now: datetime) -> str:
        if self.is_released:
            return "RELEASED"
        if self.is_revoked:
            return "REVOKED"
        if self.is_frozen:
            return "FROZEN"
        return "EXPIRED" if self.end_of_use is not None and now >= self.end_of_use else "ACTIVE"

    @property
    def taken(self) -> int:
        return sum(device.holds for device in self.devices)

    def places(self, policy: Policy) -> int:
        if self.own_limit is not None:
            return self.own_limit
        if self.amount and policy["places.amount_counts"]:
            return self.amount * int(policy["places.limit"] or 1)
        return int(policy["places.limit"] or 1)

    def admitted(self, policy: Policy) -> int:
        """Places or seats, with those of the overdraft."""
        bought = self.places(policy)
        return int(bought + policy["places.overdraft"] + bought * policy["places.overdraft_percent"] // 100)

    def is_overfull(self, policy: Policy) -> bool:
        return not (self.is_released or policy["places.floating"]) and self.taken > self.places(policy)

    @property
    def held(self) -> list[Seat]:
        return [one for one in self.seats if not one.is_ended]

    def live(self, now: datetime) -> set[str]:
        """The holders of seats whose programs may work."""
        return {one.holder for one in self.held if one.until > now}

    def device(self, device_id: str | None) -> Device:
        return next(one for one in self.devices if one.id == device_id)

    def text(self, text_id: str) -> Text | None:
        return next((one for one in self.texts if one.id == text_id), None)

    def view(self) -> tuple[Any, ...]:
        """What a look at the service shows of it."""
        if not self.is_known:
            return (False,)
        facts = (self.product, self.amount, self.own_limit, self.end, self.grace)
        states = (self.is_frozen, self.is_revoked, self.is_released, self.taken)
        devices = {(one.id, one.holds, len(one.learned)) for one in self.devices}
        texts = {(one.id, one.device.id, one.form, one.is_given_back) for one in self.texts}
        seats = {(one.id, one.device.id, one.until, one.borrowed_until, one.is_ended) for one in self.seats}
        return (True, facts, states, frozenset(devices), frozenset(texts), frozenset(seats))

    # What devices ask for.

    def ask(self, parts: Parts, form: str, policy: Policy, *, move_from: str | None = None, now: datetime) -> Answer:
        """A device asks for its license: known ones always get it, new ones while there is a place.

        Where there is none, one may take the place of a device that is named and was not seen for long.
        """
        if not self.is_known:
            return Answer("LICENSE_NOT_FOUND")
        if (status := self.status(now)) != "ACTIVE":
            return Answer(f"LICENSE_{status}")
        same = [one for one in self.devices if one.is_same(parts)]
        device = max(same, key=lambda one: (one.holds, one.weight(parts)), default=None)
        gets_place = device is None or not device.holds
        if gets_place and not policy["places.floating"] and self.taken >= self.admitted(policy):
            if move_from is None:
                return Answer("DEVICE_LIMIT_REACHED")
            refusal = self.copy()._move(move_from, policy, now=now)
            if refusal is not None or self.taken - 1 >= self.admitted(policy):  # one place free is not enough
                return refusal or Answer("DEVICE_LIMIT_REACHED")
            self._move(move_from, policy, now=now)
        if device is None:
            device = Device(None, dict(parts))
            self.devices.append(device)
        else:
            self._learn(device, parts, policy, now=now)
        device.holds = True
        device.met(now)
        end = self.end_of_use
        shown = frozenset((part, value) for part, value in parts.items() if device.bound[part] == value)
        says = (self.product, end, self.amount or self.places(policy), policy["places.floating"], shown)
        before = None if gets_place else self._last(device, form, now)
        if before is None or before.says != says:
            before = Text(None, device, form, end, says, now)
            self.texts.append(before)
        place = next(place for place, one in enumerate(self.texts) if one is before)
        return Answer("OK", {"expires_at": end} if form == "string" else {}, place)

    def _last(self, device: Device, form: str, now: datetime) -> Text | None:
        """The newest text that a device holds; one that was made before the clock was set back counts again later."""
        held = [one for one in self.texts if one.device is device and one.form == form and not one.is_given_back]
        begun = [one for one in held if one.begins <= now]
        return max(reversed(begun), key=lambda one: one.begins, default=None)

    def _learn(self, device: Device, parts: Parts, policy: Policy, *, now: datetime) -> None:
        """Bind a device to one new part that it shows, within the budget of its product."""
        taken = {value for one in self.devices if one is not device for value in one.bound.values()}
        new = [part for part in LEARNABLE if parts[part] != device.bound[part] and parts[part] not in taken]
        since = now - policy["recognition.learned_days"] * DAY
        if new and sum(at > since for at in device.learned) < policy["recognition.learned_parts"]:
            device.bound[new[0]] = parts[new[0]]
            device.learned.append(now)

    def check_in(self, text_id: str, parts: Parts, policy: Policy, *, now: datetime) -> Answer:
        """A device checks in with a text that it was handed out; its use is reported once a day."""
        text = self.text(text_id)
        if text is None:
            return Answer("UNAUTHENTICATED")
        device = text.device
        if not device.is_same(parts):
            return Answer("DEVICE_MISMATCH")
        status = self.status(now)
        may_work = status == "ACTIVE" and device.holds
        self._use(device, may_work=may_work, now=now)
        device.met(now)
        if not may_work:
            until = now + min(policy["time.check_in_hours"] * HOUR, RETRY_WHEN_REFUSED)
            return Answer("OK", {"status": "RELEASED" if status == "ACTIVE" else status, "lease_until": until})
        self._learn(device, parts, policy, now=now)
        until = _earlier(now + policy["time.grace_hours"] * HOUR, self.end_of_use)
        return Answer("OK", {"status": "ACTIVE", "lease_until": until, "expires_at": self.end_of_use})

    def _use(self, device: Device, *, may_work: bool, now: datetime) -> None:
        day = (now + ZONE).date()
        self.days.add(day)
        if not self.is_own and may_work and device.id is not None:
            self.used.add((device.id, day))

    def give_place_back(self, text_id: str, parts: Parts, policy: Policy, *, now: datetime) -> Answer:
        """A program gives its device's place back, within the budget of moves."""
        text = self.text(text_id)
        if text is None:
            return Answer("UNAUTHENTICATED")
        device = text.device
        if not device.is_same(parts):
            return Answer("DEVICE_MISMATCH")
        if not device.holds:
            return OK
        if not self._may_move(device, policy, now=now):
            return Answer("MOVE_LIMIT_REACHED")
        self.moves.append(now)
        self._free(device, now=now)
        return OK

    def _may_move(self, device: Device, policy: Policy, *, now: datetime) -> bool:
        return not self._is_held_by_file(device, policy, now) and self._has_move(policy, now)

    def _is_held_by_file(self, device: Device, policy: Policy, now: datetime) -> bool:
        files = [one for one in self.texts if one.device is device and one.form == "file" and not one.is_given_back]
        return bool(policy["moves.file_holds_place"]) and any(one.end is None or one.end > now for one in files)

    def _has_move(self, policy: Policy, now: datetime) -> bool:
        places, per_place = self.places(policy), policy["moves.per_place"]
        windows = ((policy["moves.cool_down_hours"] * HOUR, places), (policy["moves.days"] * DAY, per_place * places))
        return per_place > 0 and all(sum(at > now - span for at in self.moves) < most for span, most in windows)

    def _is_unseen(self, device: Device, policy: Policy, now: datetime) -> bool:
        unseen = policy["moves.unseen_days"] * DAY
        is_gone = device.holds and device.seen is not None and device.seen + unseen <= now
        return bool(unseen) and is_gone and not self._is_held_by_file(device, policy, now)

    def _move(self, device_id: str, policy: Policy, *, now: datetime) -> Answer | None:
        """Free the place of a device that was not seen for long; return why not, where it may not be."""
        device = next((one for one in self.devices if one.id == device_id), None)
        if device is None or not self._is_unseen(device, policy, now):
            return Answer("MOVE_NOT_ALLOWED")
        if not self._has_move(policy, now):
            return Answer("MOVE_LIMIT_REACHED")
        self.moves.append(now)
        self._free(device, now=now)
        return None

    def free_other(self, text_id: str, parts: Parts, device_id: str, policy: Policy, *, now: datetime) -> Answer:
        """A program with a place frees that of another device of its license."""
        text = self.text(text_id)
        if text is None:
            return Answer("UNAUTHENTICATED")
        if text.device.id == device_id:
            return self.give_place_back(text_id, parts, policy, now=now)
        if not text.device.is_same(parts):
            return Answer("DEVICE_MISMATCH")
        if not text.device.holds:
            return Answer("MOVE_NOT_ALLOWED")
        other = next((one for one in self.devices if one.id == device_id), None)
        is_free = other is not None and not other.holds
        refusal = None if is_free else self._move(device_id, policy, now=now)
        if refusal is None:
            text.device.met(now)
        return refusal or OK

    def list(self, text_id: str, parts: Parts, policy: Policy, *, now: datetime) -> Answer:
        """A program lists the devices of its license, with those whose places it may free."""
        text = self.text(text_id)
        if text is None:
            return Answer("UNAUTHENTICATED")
        if not text.device.is_same(parts):
            return Answer("DEVICE_MISMATCH")
        if not text.device.holds:
            return Answer("UNAUTHENTICATED")
        text.device.met(now)
        movable = {one.id for one in self.devices if self._can_be_freed(one, text.device, policy, now=now)}
        said = {"places": self.places(policy), "places_taken": self.taken, "movable": frozenset(movable)}
        return Answer("OK", said)

    def _can_be_freed(self, device: Device, mine: Device, policy: Policy, *, now: datetime) -> bool:
        if device is mine:
            return self._may_move(device, policy, now=now)
        return self.copy()._move(device.id or "", policy, now=now) is None

    def _free(self, device: Device, *, now: datetime) -> None:
        device.holds = False
        self._list([one for one in self.texts if one.device is device], now=now)

    def _list(self, texts: Sequence[Text], *, now: datetime) -> int:
        """Put texts on the revocation list, as far as they were not given back and have not ended."""
        held = [one for one in texts if not one.is_given_back]
        for one in held:
            one.is_given_back, one.is_listed = True, one.end is None or one.end > now
        return len(held)

    # What staff does.

    def once(self, key: str, act: Callable[[License], Answer], *, now: datetime) -> Answer:
        """A call with a key is made once within a day; the second time it is answered alike."""
        if key in self.kept and now - self.kept[key][1] < DAY:
            return self.kept[key][0]
        answer = act(self)
        if answer.word == "OK":
            self.kept[key] = answer, now
        return answer

    def _take_away(self, *, now: datetime) -> None:
        """Call back what says more than the license does now."""
        end = self.end_of_use
        if end is not None:
            self._list([one for one in self.texts if one.end is None or one.end > end], now=now)

    def extend(self, until: datetime, *, now: datetime) -> Answer:
        if self.is_released:
            return Answer("CONFLICT")
        if until <= now:
            return Answer("INVALID_REQUEST")
        if not self.is_own:
            return Answer("SELLER_DECIDES")
        if self.began is not None and until <= self.began:
            return Answer("INVALID_REQUEST")
        if self.end is None or self.end == until:
            return Answer("OK", {"changed": False})
        if until < self.end:
            return Answer("INVALID_REQUEST")
        return self._set({"expires_at": until}, now=now)

    def set_terms(self, terms: Mapping[str, Any], *, now: datetime) -> Answer:
        """Set ``expires_at``, ``places`` and ``product_id``, as far as they are named."""
        if self.is_released:
            return Answer("CONFLICT")
        if not self.is_own:
            return Answer("SELLER_DECIDES")
        end = terms.get("expires_at")
        if end is not None and self.began is not None and end <= self.began:
            return Answer("INVALID_REQUEST")
        return self._set(terms, now=now)

    def _set(self, terms: Mapping[str, Any], *, now: datetime) -> Answer:
        before = {"expires_at": self.end, "places": self.own_limit, "product_id": self.product}
        changed = {name: value for name, value in terms.items() if before[name] != value}
        if not changed:
            return Answer("OK", {"changed": False})
        self.end = changed.get("expires_at", self.end)
        self.own_limit = changed.get("places", self.own_limit)
        self.product = changed.get("product_id", self.product)
        self.changed = now
        if "product_id" in changed:
            self._list(self.texts, now=now)
        elif "expires_at" in changed and _is_earlier(self.end, before["expires_at"]):
            self._take_away(now=now)
        return Answer("OK", {"changed": True})

    def revoke(self, *, now: datetime) -> Answer:
        if self.is_released:
            return Answer("CONFLICT")
        return self._mark_revoked(True, now=now)

    def reinstate(self, *, now: datetime) -> Answer:
        return self._mark_revoked(False, now=now)

    def _mark_revoked(self, is_revoked: bool, *, now: datetime) -> Answer:
        changed = self.is_revoked is not is_revoked
        self.is_revoked, self.changed = is_revoked, now if changed else self.changed
        return Answer("OK", {"changed": changed})

    def extend_grace(self, until: datetime | None, *, now: datetime) -> Answer:
        if self.is_released:
            return Answer("CONFLICT")
        if until is not None and not now < until <= now + 90 * DAY:
            return Answer("INVALID_REQUEST")
        if until == self.grace:
            return Answer("OK", {"changed": False})
        if until is not None and self.end is None:
            return Answer("CONFLICT")
        if until is not None and self.end is not None and until <= self.end:
            return Answer("INVALID_REQUEST")
        before, self.grace, self.changed = self.grace, until, now
        if until is None or _is_earlier(until, before):
            self._take_away(now=now)
        return Answer("OK", {"changed": True})

    def release_place(self, device_id: str, *, now: datetime) -> Answer:
        device = self.device(device_id)
        changed = device.holds
        if changed:
            self._free(device, now=now)
        return Answer("OK", {"changed": changed})

    def restore_place(self, device_id: str, policy: Policy) -> Answer:
        """Give a place back to the device that held it, while there is room."""
        device = self.device(device_id)
        if self.is_released:
            return Answer("CONFLICT")
        if device.holds:
            return Answer("OK", {"changed": False})
        if not policy["places.floating"] and self.taken >= self.admitted(policy):
            return Answer("CONFLICT")
        device.holds = True
        return Answer("OK", {"changed": True})

    def release_unseen(self, policy: Policy, *, now: datetime) -> Answer:
        """Release the places of all devices long unseen; that is no move of a program."""
        if self.is_released:
            return Answer("CONFLICT")
        gone = [one for one in self.devices if self._is_unseen(one, policy, now)]
        for device in gone:
            self._free(device, now=now)
        return Answer("OK", {"changed": bool(gone)})

    def free_seat(self, seat_id: str) -> Answer:
        seat = next(one for one in self.seats if one.id == seat_id)
        changed, seat.is_ended = not seat.is_ended, True
        return Answer("OK", {"changed": changed})

    def reissue(self, device_id: str | None, *, now: datetime) -> Answer:
        if self.is_released:
            return Answer("CONFLICT")
        concerned = [one for one in self.devices if (one.holds if device_id is None else one.id == device_id)]
        count = self._list([one for one in self.texts if any(one.device is device for device in concerned)], now=now)
        return Answer("OK", {"changed": count > 0})

    # What the marketplace says.

    def hear_of_end(self, message: Message, *, stated: datetime, now: datetime) -> Answer:
        """A renewal only extends; a renewal that was taken back does not come back; the newest statement counts."""
        if message.id in self.messages:
            return DONE
        self.messages.add(message.id)
        if message.scene == RENEWAL and self.is_undone:
            return DONE  # the marketplace is asked
        self.is_undone |= message.scene == UNDONE
        if self.is_released or (self.end_stated is not None and stated < self.end_stated):
            return DONE
        end = message.end
        if message.scene == RENEWAL and not (self.end is None or (end is not None and end > self.end)):
            return DONE
        self.end_stated = stated
        if end != self.end:
            self._end_at(end, now=now)
            self.product = message.product or self.product
        return DONE

    def _end_at(self, end: datetime | None, *, now: datetime) -> None:
        before, self.end, self.changed = self.end, end, now
        if _is_earlier(end, before):
            self._take_away(now=now)

    def hear_of_freeze(self, is_frozen: bool, *, stated: datetime, now: datetime) -> Answer:
        if self.is_released or (self.freeze_stated is not None and stated < self.freeze_stated):
            return DONE
        if is_frozen is not self.is_frozen:
            self.changed = now
        self.freeze_stated, self.is_frozen = stated, is_frozen
        return DONE

    def hear_of_release(self, *, now: datetime) -> Answer:
        if not self.is_released:
            self.is_released, self.changed = True, now
        return DONE

    def confirm(self, word: Word, *, now: datetime) -> None:
        """It becomes what the marketplace says of a code that was not known before."""
        self.is_known, self.began, self.changed = True, now, now
        self.product, self.amount = word.product, word.amount
        self.end = now if word.status == "EXPIRED" and word.end > now else word.end
        self.is_released = word.status == "RELEASED"

    def take_over(self, word: Word, *, now: datetime) -> None:
        """The marketplace's own word settles what messages left open."""
        if self.is_released:
            return
        if word.status == "RELEASED":
            self.hear_of_release(now=now)
            return
        is_over = word.status == "EXPIRED" and not self.is_frozen and word.end > now
        end = now if is_over else word.end
        if end != self.end:
            self.end_stated = _later(now, self.end_stated)
            self._end_at(end, now=now)
        if word.status == "ALIVE" and self.is_frozen:
            self.is_frozen, self.freeze_stated, self.changed = False, _later(now, self.freeze_stated), now
        if word.product != self.product:
            self.product, self.changed = word.product, now

    # The revocation list.

    def is_on_the_list(self, now: datetime) -> bool | None:
        """Whether the license is on the list; None where all its texts ended so long ago that it may be left out."""
        if not (self.is_released or self.is_revoked):
            return False
        return True if any(one.end is None or one.end > now - KEPT_ON_THE_LIST + DAY for one in self.texts) else None


@dataclass(frozen=True)
class Message:
    """What the marketplace says once, and may repeat."""

    id: str
    code: str
    activity: str
    scene: str = ""
    end: datetime | None = None
    product: str = ""
    is_freeze: bool = False
    body: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Word:
    """The marketplace's own word on a code."""

    status: str
    end: datetime
    product: str
    amount: int


def _is_earlier(end: datetime | None, other: datetime | None) -> bool:
    return end is not None and (other is None or end < other)


def _earlier(moment: datetime, end: datetime | None) -> datetime:
    return moment if end is None else min(moment, end)


def _later(moment: datetime, other: datetime | None) -> datetime:
    return moment if other is None else max(moment, other)
