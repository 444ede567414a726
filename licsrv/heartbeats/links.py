"""Links: what a lease gives its device to present at the next check-in, so that nothing is stored for it. Pure.

A link is the moment of its check-in, the name of its branch and a MAC over both and the device, in hexadecimal digits.
Links of one server sort as their moments do.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from licsrv.licensing.clones import Presented

MOMENT = 13
"""So many digits of a link are its moment."""
_SAID, _WHOLE = 21, 37
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_PURPOSE = b"licsrv link"
_MAC_BYTES = 8


class Links:
    """Makes and reads the links of one installation.

    Args:
        secret: What the installation keeps next to its keys; the key of links is derived from it.
    """

    def __init__(self, secret: bytes) -> None:
        key = hashlib.blake2b(secret[:64], person=_PURPOSE).digest()
        self._start = hashlib.blake2b(key=key, digest_size=_MAC_BYTES)  # keyed once: copies of it cost half

    def make(self, device_id: str, at: datetime, branch: str) -> str:
        """Return the link of a check-in; ``at`` is the moment that is stored as its device's last one."""
        said = f"{moment_text(at)}{branch}"
        return said + self._mac(device_id, said)

    def branch_of(self, device_id: str, text: str) -> str:
        """Return the branch that a link names; empty where it is not this installation's, or another device's."""
        if len(text) != _WHOLE or not text.isascii():
            return ""
        is_ours = hmac.compare_digest(self._mac(device_id, text[:_SAID]), text[_SAID:])
        return text[MOMENT:_SAID] if is_ours else ""

    def read(self, device_id: str, text: str) -> Presented | None:
        """Return what a link says; None where it is not this installation's, or another device's."""
        branch = self.branch_of(device_id, text)
        return Presented(_EPOCH + int(text[:MOMENT], 16) * _MICROSECOND, branch) if branch else None

    def _mac(self, device_id: str, said: str) -> str:
        mac = self._start.copy()
        mac.update(f"{said}{device_id}".encode())
        return mac.hexdigest()


@lru_cache(maxsize=64)
def moment_text(at: datetime) -> str:
    """Return a moment as links write it: microseconds since 1970, as 13 hexadecimal digits."""
    return f"{(at - _EPOCH) // _MICROSECOND:013x}"


@lru_cache(maxsize=4)
def links_of(secret: bytes) -> Links:
    """Return the links of an installation; they are made once."""
    return Links(secret)
