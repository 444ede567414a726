"""What the moment and the settings say about how licenses are shown. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from licsrv.licensing.policies import Policies


@dataclass(frozen=True)
class View:
    """What is needed to show licenses.

    Args:
        policies: The policies of products, which say how many places a license has.
        now: The moment at which it is looked at.
    """

    policies: Policies
    now: datetime
