"""What must be so after any steps: of every license, of what was reported, of the revocation list and of the audit."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from licsrv.words import policy_values as words
from tests.model import looking
from tests.model.model import DAY, KEPT_ON_THE_LIST, Answer, License, Policy

if TYPE_CHECKING:
    from tests.model.machine import Life

_ENTRY_BYTES = 7


async def everything(life: Life) -> None:
    """Look at everything that is on disk."""
    for code in life.licenses:
        life.look(code)
    database = life.service.runtime.database
    _require_uses(life)
    await _require_list(life)
    life.require(looking.wrong_in_the_audit(database) is None, looking.wrong_in_the_audit(database))
    life.require("PARKED" not in looking.deliveries(database), "a message is parked")


def _require_uses(life: Life) -> None:
    """Each use of a device is reported once for its day; each license has one row for its day."""
    database, certain = life.service.runtime.database, _certain(life)
    reported = looking.reports(database)
    twice = [use for use, count in Counter(reported).items() if count > 1]
    life.require(not twice, f"reported twice: {twice}")
    for license in certain.values():
        found = {(device, day) for code, device, day in reported if code == license.code}
        life.require(found == license.used, f"{license.code}: reported {found}, used {license.used}")
    days = looking.days_of_use(database)
    for code, license in certain.items():
        row = looking.look(database, code).row
        found_days = {day for license_id, day in days if row is not None and license_id == row.id}
        life.require(found_days == license.days, f"{code}: days {found_days}, not {license.days}")


def _certain(life: Life) -> dict[str, License]:
    return {code: states[0] for code, states in life.licenses.items() if len(states) == 1}


async def _require_list(life: Life) -> None:
    """What was revoked, released, given back or called back is on the list, and nothing else."""
    head, _, listed = (await life.service.list()).partition(b"\n")
    entries = {listed[at : at + _ENTRY_BYTES] for at in range(0, len(listed), _ENTRY_BYTES)}
    life.require(len(entries) == json.loads(head)["add"], "the list does not say how long it is")
    for code, license in _certain(life).items():
        if not license.is_known:
            continue
        row = looking.look(life.service.runtime.database, code).row
        wanted = license.is_on_the_list(life.now)
        is_on = _entry("license", row.id) in entries
        life.require(wanted in (None, is_on), f"{code} is {'' if is_on else 'not '}on the list")
        for text in license.texts:
            is_on = _entry("string", text.id or "") in entries
            recent = text.end is None or text.end > life.now - KEPT_ON_THE_LIST + DAY
            fits = is_on is text.is_listed or (text.is_listed and not recent)
            life.require(fits, f"{text.id} of {code} is {'' if is_on else 'not '}on the list")


def _entry(kind: str, name: str) -> bytes:
    return hashlib.sha256(f"{kind}:{name}".encode()).digest()[:_ENTRY_BYTES]


def newly_overfull(life: Life, product: str, after: Policy) -> set[str]:
    """The licenses that a policy leaves more devices than places, and that had places for them."""
    before = life.policies[product]
    return {
        code
        for code in life.known()
        if (one := life.state(code)).product == product and one.is_overfull(after) and not one.is_overfull(before)
    }


def overfull_by(preview: Answer) -> set[str]:
    """The licenses that a preview names as having more devices than places."""
    for effect in preview.members["effects"]:
        if effect["says"]["en"] == words.OVERFULL(effect["count"]).en:
            return {device["code"] for device in effect["devices"]}
    return set()


async def the_end(life: Life) -> None:
    """Everything that waits arrives, and both sides agree."""
    from tests.model.steps import checking_in, drained, telling

    life.service.fault.disarm()
    life.seller.is_away, life.seller.loses = False, 0
    life.clock.advance(days=2)
    for message in [one for one in life.seller.waiting if one.code in life.known()]:
        await life.perform(telling(life, message))
    for held in list({one.code: one for one in life.holdings}.values()):
        await life.perform(checking_in(life, held))
    for _ in range(40):
        await drained(life)
        if not looking.deliveries(life.service.runtime.database).get("WAITING"):
            break
        life.clock.advance(minutes=5)
    life.require(not looking.deliveries(life.service.runtime.database).get("WAITING"), "the outbox does not end")
    await everything(life)
    _require_agreement(life, life.now)


def _require_agreement(life: Life, now: datetime) -> None:
    """A code whose license was used today is what the marketplace says."""
    for code, license in _certain(life).items():
        sold = life.seller.sold.get(code)
        used_today = (now + 8 * (DAY / 24)).date() in license.days
        if sold is None or sold.is_frozen or not license.is_known or not used_today:
            continue
        life.require(license.is_released is sold.is_released, f"{code} is released here or there only")
        if not sold.is_released:
            ours, theirs = (license.end, license.product), (sold.end, sold.product)
            life.require(ours == theirs, f"{code}: {ours} here, {theirs} there")
            is_alive = sold.end is not None and sold.end > now
            life.require(not (license.is_frozen and is_alive), f"{code} is frozen here only")
