"""From a callback to the request that carries it: nonce, timestamp, signature, URL; sends nothing.

Source: protocol/authorization-code.md §6.2.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from licsrv.emulator.callback_signature import canonical_body, loose_body, sign
from licsrv.emulator.deliveries import NOTHING_SPOILED, Message, Spoiling
from licsrv.emulator.settings import BodyForm, EmulatorSettings

CONTENT_TYPE = "application/json;charset=utf8"
WRONG_SIGNATURE = "0" * 64


def message_for(
    body: Mapping[str, object],
    settings: EmulatorSettings,
    *,
    form: BodyForm | None = None,
    url: str | None = None,
    tries: int | None = None,
    spoiling: Spoiling = NOTHING_SPOILED,
) -> Message:
    """Write a callback in the chosen form; what is not chosen comes from the settings."""
    chosen = form or settings.body_form
    content = canonical_body(body) if chosen is BodyForm.CANONICAL else loose_body(body)
    signed = canonical_body(body) if chosen is BodyForm.LOOSE_SIGNED_CANONICALLY else content
    return Message(
        content=content,
        signed_content=signed,
        activity=str(body.get("activity", ""))[:64],
        url=url or settings.callback_url,
        tries=tries or settings.callback_tries,
        spoiling=spoiling,
    )


def signed_query(message: Message, *, access_key: str, moment: datetime, wrong: bool = False) -> dict[str, str]:
    """Return fresh URL parameters for one try of a callback.

    Args:
        message: The callback.
        access_key: The callback access key.
        moment: The marketplace's time.
        wrong: Send a signature that cannot be right.
    """
    spoiling = message.spoiling
    timestamp = spoiling.timestamp or _milliseconds(moment + timedelta(seconds=spoiling.skew_seconds))
    nonce = spoiling.nonce or secrets.token_hex(16)
    right = sign(message.signed_content, access_key=access_key, nonce=nonce, timestamp=timestamp)
    signature = WRONG_SIGNATURE if wrong else spoiling.signature or right
    query = {"signature": signature, "timestamp": timestamp, "nonce": nonce}
    return {name: value for name, value in query.items() if name not in spoiling.omit}


def with_query(url: str, query: Mapping[str, str]) -> str:
    """Add parameters to a URL that may have some already."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}" if query else url


def _milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))
