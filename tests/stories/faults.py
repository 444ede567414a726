"""Everything that goes wrong between the marketplace and the server: a table of faults for every story."""

from __future__ import annotations

from licsrv.emulator.faults import FaultKind, Side
from tests.stories.world import Fault

CALLBACKS, OPEN_API = Side.CALLBACKS, Side.OPEN_API
_BEHIND, _AHEAD = -55, 55  # within the minute that a callback's time may be off

NO_FAULT = Fault("nothing")

FAULTS = (
    NO_FAULT,
    Fault("callbacks late", ((CALLBACKS, FaultKind.LATE_SECONDS, 3600, None),)),
    Fault("callbacks doubled", ((CALLBACKS, FaultKind.DOUBLE, "fresh", None),)),
    Fault("callbacks doubled to the letter", ((CALLBACKS, FaultKind.DOUBLE, "identical", None),)),
    Fault("callbacks reordered", ((CALLBACKS, FaultKind.REORDER, 2, None),)),
    Fault("callbacks held and reversed", ((CALLBACKS, FaultKind.REORDER, 1000, None),)),
    Fault("answers to callbacks lost", ((CALLBACKS, FaultKind.LOSE_ANSWER, 1, None),)),
    Fault("answers to callbacks lost thrice", ((CALLBACKS, FaultKind.LOSE_ANSWER, 3, None),)),
    Fault("server answers 5xx", road=((502, False), (503, False))),
    Fault("server works and 5xx is answered", road=((504, True), (502, True))),
    Fault("callbacks wrongly signed at first", ((CALLBACKS, FaultKind.WRONG_SIGNATURE, None, 2),)),
    Fault(
        # A wrong time is a wrong parameter, and an application that is refused for that is not repeated.
        "callbacks an hour old at first", ((CALLBACKS, FaultKind.CLOCK_SKEW_SECONDS, -3600, 2),),
        may_refuse_applications=True,
    ),
    Fault("marketplace's clock behind", clock=_BEHIND),
    Fault("marketplace's clock ahead", clock=_AHEAD),
    Fault(
        "marketplace's clock ahead and callbacks reversed", ((CALLBACKS, FaultKind.REORDER, 1000, None),), clock=_AHEAD
    ),
    Fault("open API answers 5xx", ((OPEN_API, FaultKind.STATUS, 503, 3),)),
    Fault("open API's answers lost", ((OPEN_API, FaultKind.LOSE_ANSWER, "502", 2),)),
    Fault("open API breaks connections off", ((OPEN_API, FaultKind.LOSE_ANSWER, "close", 2),)),
    Fault("open API answers garbage", ((OPEN_API, FaultKind.GARBAGE, None, 2),)),
    Fault("gateway's clock an hour ahead", ((OPEN_API, FaultKind.CLOCK_SKEW_SECONDS, 3600, 2),)),
    Fault("key pair locked", ((OPEN_API, FaultKind.LOCK_KEY_PAIR, None, 2),)),
    Fault("key pair refused", ((OPEN_API, FaultKind.REFUSE_SIGNATURE, None, 2),)),
    Fault("callbacks to a path with a slash behind it", ((CALLBACKS, FaultKind.TRAILING_SLASH, None, None),)),
    Fault("a raw + in the token", ((CALLBACKS, FaultKind.RAW_PLUS, None, None),)),
    Fault("codes as MKT.…", ((OPEN_API, FaultKind.CODE_PREFIX, "MKT.", None),)),
    Fault("codes as MKT. …", ((OPEN_API, FaultKind.CODE_PREFIX, "MKT. ", None),)),
    Fault(
        "nearly everything",
        (
            (CALLBACKS, FaultKind.DOUBLE, "fresh", None),
            (CALLBACKS, FaultKind.LOSE_ANSWER, 1, None),
            (CALLBACKS, FaultKind.LATE_SECONDS, 60, None),
            (OPEN_API, FaultKind.STATUS, 500, 1),
            (OPEN_API, FaultKind.LOSE_ANSWER, "close", 1),
            (OPEN_API, FaultKind.LOCK_KEY_PAIR, None, 1),
        ),
        road=((503, True),),
        clock=_AHEAD,
    ),
)  # fmt: skip
"""Without an end where the fault may last; else for so many requests, at the beginning of every chapter."""
