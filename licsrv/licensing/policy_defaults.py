"""The policy of products that state nothing: what the settings of an installation say."""

from __future__ import annotations

from licsrv.licensing.moves import MoveRules
from licsrv.licensing.places import PlaceRules
from licsrv.licensing.policies import Policies, Policy, Times
from licsrv.platform.config import Settings


def policies_of(settings: Settings) -> Policies:
    """Return the policies of an installation."""
    moves = MoveRules(
        settings.moves_per_place,
        span=settings.moves_span,
        cool_down=settings.move_cool_down,
        file_holds_place=settings.file_holds_place,
    )
    times = Times(settings.heartbeat_interval, settings.lease_grace)
    return Policies(Policy(PlaceRules(default=settings.device_limit), moves=moves, time=times))
