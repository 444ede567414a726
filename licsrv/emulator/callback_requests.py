"""From a callback to the request that carries it: nonce, timestamp, signature, URL; sends nothing.

Source: protocol/authorization-code.md §6.2; for the retired GET interface protocol/online-license-and-sdk.md §7.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from licsrv.emulator.auth_token import auth_token
from licsrv.emulator.callback_signature import canonical_body, loose_body, ordered_body, sign
from licsrv.emulator.deliveries import NOTHING_SPOILED, Message, Spoiling
from licsrv.emulator.moments import compact_milliseconds
from licsrv.emulator.settings import BodyForm, EmulatorSettings

CONTENT_TYPE = "application/json;charset=utf8"
WRONG_SIGNATURE = "0" * 64
WRONG_TOKEN = "A" * 43 + "="
LEFT_OUT = {"signature": "authToken", "timestamp": "timeStamp"}


_WRITERS: dict[BodyForm, Callable[[Mapping[str, object]], bytes]] = {
    BodyForm.CANONICAL: canonical_body,
    BodyForm.LOOSE: loose_body,
    BodyForm.LOOSE_SIGNED_CANONICALLY: loose_body,
    BodyForm.DOCUMENTED_ORDER: ordered_body,
}
_SIGNED_CANONICALLY = {BodyForm.LOOSE_SIGNED_CANONICALLY, BodyForm.DOCUMENTED_ORDER}


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
    content = _WRITERS[chosen](body)
    signed = canonical_body(body) if chosen in _SIGNED_CANONICALLY else content
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
    if message.parameters is not None:
        return _token_query(message, message.parameters, access_key=access_key, moment=moment, wrong=wrong)
    spoiling = message.spoiling
    timestamp = spoiling.timestamp or _milliseconds(moment + timedelta(seconds=spoiling.skew_seconds))
    nonce = spoiling.nonce or secrets.token_hex(16)
    right = sign(message.signed_content, access_key=access_key, nonce=nonce, timestamp=timestamp)
    signature = WRONG_SIGNATURE if wrong else spoiling.signature or right
    query = {"signature": signature, "timestamp": timestamp, "nonce": nonce}
    return {name: value for name, value in query.items() if name not in spoiling.omit}


def _token_query(
    message: Message, parameters: Mapping[str, str], *, access_key: str, moment: datetime, wrong: bool
) -> dict[str, str]:
    """Return the parameters of the retired interface; ``signature`` of a spoiling means its ``authToken``."""
    spoiling = message.spoiling
    stamp = spoiling.timestamp or compact_milliseconds(moment + timedelta(seconds=spoiling.skew_seconds))
    query = {**parameters, "timeStamp": stamp}
    token = WRONG_TOKEN if wrong else spoiling.signature or auth_token(query, access_key=access_key)
    # GAP: the place of authToken among the parameters; the documented example URL begins with it.
    left_out = {LEFT_OUT.get(name, name) for name in spoiling.omit}
    return {name: value for name, value in ({"authToken": token} | query).items() if name not in left_out}


def with_query(url: str, query: Mapping[str, str], *, raw: str = "") -> str:
    """Add parameters to a URL that may have some already; the one called ``raw`` is not percent-encoded."""
    if not query:
        return url
    written = "&".join(f"{raw}={value}" if name == raw else urlencode({name: value}) for name, value in query.items())
    return f"{url}{'&' if '?' in url else '?'}{written}"


def _milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))
