"""What the moment and the settings say about how licenses are shown. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class View:
    """What is needed to show licenses.

    Args:
        default_places: The places of a license for which neither its order nor its product sets them.
        now: The moment at which it is looked at.
    """

    default_places: int
    now: datetime
