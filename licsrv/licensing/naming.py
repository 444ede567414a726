"""By which names programs know a product: what its licenses sign, show and list. Pure.

Programs compare the claim ``product`` with what they were built with, and cannot be changed after they were shipped.
So a product has one claim for ever: its id, or, where licenses were issued under a name before ids were signed, that
name. The display name is a claim of its own and may change; former names are listed, for programs that expect them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """What a license says of its product: ``signed`` for ever, ``shown`` to people, ``others`` for older programs."""

    signed: str
    shown: str
    others: Sequence[str] = ()


def names(product_id: str, name: str, signed_as: str | None, former: Sequence[str] | None) -> Names:
    """Return the names of a product that is described."""
    signed = signed_as or product_id
    others = [other for other in dict.fromkeys((product_id, *(former or ()))) if other not in (signed, name)]
    return Names(signed, name, others)


def former_after(former: Sequence[str] | None, before: str, after: str) -> list[str]:
    """Return the former names of a product that is renamed; its present name is none of them."""
    return [name for name in dict.fromkeys((*(former or ()), before)) if name != after]
