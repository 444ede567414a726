"""Are the settings right, complete, and safe together?"""

from __future__ import annotations

from collections.abc import Iterator

from licsrv.cli.doctor.diagnosis import Diagnosis, ok, problem, warning
from licsrv.errors import SettingsError
from licsrv.platform import config
from licsrv.platform.config import LOOPBACK, Settings

AREA = "settings"
_EVERYBODY = "*"


def read() -> tuple[Settings | None, list[Diagnosis]]:
    """Read the settings; when they are wrong, return none, with a diagnosis for each problem."""
    unknown = [
        warning(AREA, f"{name} is no setting and is ignored.", "Correct the name or take it away.")
        for name in config.unknown_names()
    ]
    try:
        settings = config.load()
    except SettingsError as error:
        problems = [line.removeprefix("  - ") for line in str(error).splitlines()[1:]]
        return None, [*unknown, *(problem(AREA, text, "Correct the environment.") for text in problems)]
    return settings, unknown


def check(settings: Settings) -> Iterator[Diagnosis]:
    """Look for what is missing and for combinations that are dangerous in production."""
    found = [*_missing(settings), *_tests_only(settings), *listener(settings)]
    if not found:
        yield ok(AREA, "Complete, and nothing in them is for tests only.")
    yield from found


def _missing(settings: Settings) -> Iterator[Diagnosis]:
    if not settings.callback_access_keys:
        yield warning(
            AREA, "No callback access key is set: every callback is refused.", "Set LICSRV_CALLBACK_ACCESS_KEYS."
        )
    if not settings.marketplace_ak:
        yield warning(
            AREA,
            "No open API key pair is set: codes cannot be activated at the marketplace.",
            "Set LICSRV_MARKETPLACE_AK and LICSRV_MARKETPLACE_SK.",
        )


def _tests_only(settings: Settings) -> Iterator[Diagnosis]:
    if settings.allow_test_clock:
        level = warning if settings.host in LOOPBACK else problem
        yield level(AREA, "The test clock is on: every client that reaches the server can move time.",
                    "Take LICSRV_ALLOW_TEST_CLOCK away.")  # fmt: skip
    if settings.allow_insecure_marketplace:
        yield warning(
            AREA, "The marketplace may be called without TLS.", "Take LICSRV_ALLOW_INSECURE_MARKETPLACE away."
        )


def listener(settings: Settings, *, host: str | None = None) -> Iterator[Diagnosis]:
    """Look for callers that could claim any address, and for a listener without a proxy; `serve` logs the same."""
    if settings.trusted_proxies == _EVERYBODY:
        level = warning if (host or settings.host) in LOOPBACK else problem
        yield level(
            AREA,
            "X-Forwarded-For is believed from every caller: limits by address and the addresses in logs are theirs to "
            "choose.",
            "Name your proxies in LICSRV_TRUSTED_PROXIES.",
        )
    elif (host or settings.host) not in LOOPBACK and settings.trusted_proxies in LOOPBACK:
        yield warning(
            AREA,
            f"The server listens on {host or settings.host} without TLS, and trusts no proxy on another machine.",
            "Put a TLS proxy before it and name it in LICSRV_TRUSTED_PROXIES, or listen on 127.0.0.1.",
        )
