"""When a license that the marketplace sold ends, in the light of what was said of it. Pure.

A missing or unreadable end never means "without an end". A license is without an end only where the vendor marked its
product as sold once, and nothing that the marketplace says contradicts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class ProductFacts(Protocol):
    """What the vendor says of a product."""

    @property
    def one_off(self) -> bool:
        """Whether it is sold once, without an end."""


@dataclass(frozen=True)
class Unstated:
    """The answer came and does not say when the license ends: it counts as no answer, with an alarm."""

    member: str
    reason: str


def without_end(product: ProductFacts | None, *, member: str, is_given: bool) -> Unstated | None:
    """Return why a license whose end is not known cannot be one without an end; None where it can.

    Args:
        member: Where the marketplace would state the end, in its spelling.
        is_given: Whether that member was given, and could not be read.
    """
    if is_given:
        return Unstated(member, f"The marketplace states an end that cannot be read ({member}).")
    if product is None or not product.one_off:
        return Unstated(
            member,
            f"The marketplace states no end ({member}), and the product is not marked as sold once: "
            "`licsrv products set PRODUCT_ID --one-off`.",
        )
    return None
