"""Which moments count as seen, so that a clock that was set back is noticed and one that was wrong once is forgiven.

Pure. All moments are Unix seconds.

* What is signed is certain. A signed text that is younger than every one before sets the memory to its own moment,
  also downwards: whatever the own clock showed before is void.
* What the own clock shows counts when it continues what is known: by no more than a day, and what the program itself
  has run for. A longer leap counts only after the clock has shown a day beyond it: one start with a wrong clock leaves
  nothing, a holiday is a fact one day later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

LEAP = 24 * 3600


@dataclass(frozen=True)
class ClockMemory:
    """What is remembered of the time.

    Attributes:
        highest: The latest moment that counts as seen.
        signed: The moment of the youngest signed text that is known.
        leapt_to: Where the own clock leapt to, while that is not yet a fact; 0 without such a leap.
    """

    highest: int = 0
    signed: int = 0
    leapt_to: int = 0


def seen(memory: ClockMemory, now: int, *, elapsed: int = 0) -> ClockMemory:
    """Take a reading of the own clock; ``elapsed`` seconds have certainly passed since the last one in this run."""
    if memory.leapt_to and now < memory.leapt_to:
        memory = replace(memory, leapt_to=0)  # the clock was set right
    if now <= memory.highest:
        return memory
    if now - memory.highest <= LEAP + elapsed or (memory.leapt_to and now - memory.leapt_to >= LEAP):
        return replace(memory, highest=now, leapt_to=0)
    return replace(memory, leapt_to=memory.leapt_to or now)


def signed(memory: ClockMemory, moment: int) -> ClockMemory:
    """Take the moment of a signed text; one that is not younger than those before changes nothing."""
    return confirmed(moment) if moment > memory.signed else memory


def known(memory: ClockMemory, moment: int) -> ClockMemory:
    """Take the moment of a signed text that was stored: it was counted when it came, so it lowers nothing."""
    return replace(memory, highest=max(memory.highest, moment), signed=max(memory.signed, moment))


def confirmed(moment: int) -> ClockMemory:
    """Take the server's time, signed and fresh: it replaces everything."""
    return ClockMemory(highest=moment, signed=moment)


def merged(one: ClockMemory, other: ClockMemory) -> ClockMemory:
    """Put together what two programs, or two files, remember: the younger signed text, else the highest moment."""
    return max(one, other, key=lambda memory: (memory.signed, memory.highest, memory.leapt_to))
