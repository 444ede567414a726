"""How the binding of a device follows its repairs. Pure.

A device that is recognised may show a part that is new. It is learned, so that repairs one after another leave the
device what it is. What a device sends is not proof, so the rules below bound what a text can gain; see
docs/adr/0019-bindings-follow-repairs.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from licsrv.licensing.fingerprints import HashedParts, Part

LEARNED_PARTS, LEARNED_DAYS = 2, 30
"""The budget of a product that says nothing."""

_LEARNED = (Part.DISK, Part.MAC, Part.BOARD)  # never the CPU: it tells models apart, not machines


@dataclass(frozen=True)
class Budget:
    """How many parts a device may learn within a span."""

    parts: int = LEARNED_PARTS
    span: timedelta = timedelta(days=LEARNED_DAYS)


@dataclass(frozen=True)
class Learned:
    """A part that was learned, and what the device is bound to then. ``is_last``: it showed no other new part."""

    part: Part
    parts: HashedParts
    is_last: bool


def learn(known: HashedParts, lasting: HashedParts, *, others: Collection[str] = ()) -> Learned | None:
    """Return what a recognised device is bound to after it showed a new part; None where it showed none.

    1. A part is new when it has values and none of them is bound: a value next to a bound one is never learned.
    2. One part is learned at a time, so no single text makes a stranger the device: two parts must agree.
    3. Of each part one value is kept, so that a binding that has learned describes one machine.
    4. What is bound to another device of the license is not learned.
    5. A device that names less than three of disk, MAC and board learns nothing: it would only be bound more strictly.

    Args:
        known: What the device is bound to.
        lasting: What it names, without what software makes up (:func:`fingerprints.lasting`).
        others: What other devices of the license are bound to.
    """
    new = {part: values[0] for part in _LEARNED if (values := _new_values(part, known, lasting, others=others))}
    if not new or len([part for part in _LEARNED if part in new or known.get(part)]) < len(_LEARNED):
        return None
    part, value = next(iter(new.items()))
    kept = {name: _kept(values, lasting.get(name, ())) for name, values in known.items()}
    return Learned(part, kept | {part.value: [value]}, is_last=len(new) == 1)


def _new_values(part: Part, known: HashedParts, lasting: HashedParts, others: Collection[str]) -> list[str]:
    values = lasting.get(part, [])
    if not set(values).isdisjoint(known.get(part, ())):
        return []
    return [value for value in values if value not in others]


def _kept(values: list[str], shown: Collection[str]) -> list[str]:
    return ([value for value in values if value in shown] or values)[:1]
