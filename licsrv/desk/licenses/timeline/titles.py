"""The titles in a timeline. Pure."""

from __future__ import annotations

from licsrv.words import licenses as words
from licsrv.words.names import name_of
from licsrv.words.sentences import Sentence

_SUCCESS = "000000"


def callback(activity: str, result_code: str) -> Sentence:
    """Return what the marketplace sent and how it was answered."""
    if result_code == _SUCCESS:
        return words.CALLBACK_DONE.filled(name=activity or "?")
    return words.CALLBACK_ANSWERED.filled(name=activity or "?", code=result_code)


def contact(name: str, status: str, count: int) -> Sentence:
    """Return a device's day."""
    device = words.DEVICE.filled(name=name) if name else words.SOME_DEVICE
    return words.CONTACT.filled(device=device, times=words.TIMES(count), status=name_of("status", status))


def delivery(kind: str, state: str) -> Sentence:
    """Return a row of the outbox."""
    return words.DELIVERY.filled(what=name_of("message", kind), how=name_of("message_state", state))


def order(scene: str) -> Sentence:
    """Return an order that touched the license."""
    return words.ORDER.filled(scene=scene)
