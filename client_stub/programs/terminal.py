"""Write lines for a person. Control characters are left out of what came from the network: a terminal obeys them."""

from __future__ import annotations

from datetime import datetime
from typing import TextIO

from client_stub.trust.claims import License
from client_stub.trust.entitlements import Entitlement

_COLOURS = {"good": "32", "bad": "31", "note": "33", "quiet": "2"}


class Terminal:
    """Writes lines, in colour only where a person sees them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_colour = stream.isatty()

    def say(self, text: str, tone: str = "") -> None:
        """Write one line (or a drawing); ``tone`` is good, bad, note, quiet or nothing."""
        safe = "".join(character for character in text if character.isprintable() or character == "\n")
        if self._in_colour and tone:
            safe = f"\x1b[{_COLOURS[tone]}m{safe}\x1b[0m"
        self._stream.write(safe + "\n")
        self._stream.flush()

    def show_license(self, believed: License) -> None:
        """Write what a verified license says."""
        kinds = [
            word for word, holds in (("test", believed.is_test), ("provisional", believed.is_provisional)) if holds
        ]
        kind = f" ({', '.join(kinds)})" if kinds else ""
        name = believed.product or "this software"
        self.say(f"License for {name} verified on this computer, without network{kind}.", "good")
        self.say(f"  Features: {', '.join(_features(believed)) or 'the basic ones'}; quantity {believed.quantity}.")
        if believed.is_floating:
            self.say("  Floating: each running program needs a seat.")
        self.say(f"  Ends: {when(believed.expires_at, 'never')}.")
        if believed.maintenance_ends_at is not None:
            self.say(f"  New versions until: {when(believed.maintenance_ends_at, 'no limit')}.")


def _features(believed: License) -> list[str]:
    own = {one.name: one for one in believed.entitlements}
    return [_shown(own.get(name, Entitlement(name))) for name in dict.fromkeys([*believed.features, *own])]


def _shown(one: Entitlement) -> str:
    until = f" until {when(one.ends_at, '')}" if one.ends_at else ""
    return one.name + (f"={one.value}" if one.value else "") + until


def when(moment: datetime | None, never: str) -> str:
    """Write a moment to the minute, or the word for none."""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else never
