"""What a program may use at a moment, as one value; and what has changed between two of them.

Pure. For the event that tells a program of a change in the background. A verdict that denies leaves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from client_stub.trust.claims import License
from client_stub.trust.entitlements import Entitlement
from client_stub.trust.verdict import Verdict


@dataclass(frozen=True)
class Allowance:
    """What is allowed. The names of the fields are what the event calls a change.

    Attributes:
        permission: Whether the program may work at all.
        features: What is granted now, by name.
        end: When the license ends by the newest signed word; None when it never does.
        places: The quantity of the license.
    """

    permission: bool = False
    features: tuple[Entitlement, ...] = ()
    end: datetime | None = None
    places: int = 0


def allowance(license: License | None, verdict: Verdict, *, end: datetime | None, now: datetime) -> Allowance:
    """Return what the license allows at ``now`` under this verdict."""
    if license is None or not verdict.is_allowed:
        return Allowance()
    return Allowance(True, license.granted(now), end=end, places=license.quantity)


def changes(before: Allowance, after: Allowance) -> tuple[str, ...]:
    """Return the names of what differs, in a fixed order; empty when nothing does."""
    names = (field.name for field in fields(Allowance))
    return tuple(name for name in names if getattr(before, name) != getattr(after, name))
