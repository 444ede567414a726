"""Does the marketplace accept the key pair? One signed question about a code that does not exist.

Asked only on demand: a refused signature counts towards the lock of the key pair (protocol/authorization-code.md
§3.2). So the call passes the same gate as the service's own calls, and its result is counted there.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from licsrv.cli.doctor.diagnosis import Diagnosis, ok, problem, warning
from licsrv.errors import (
    MarketplaceAuthenticationError,
    MarketplaceError,
    MarketplacePausedError,
    MarketplaceRefusedError,
    StorageError,
)
from licsrv.platform.clock import Clock

if TYPE_CHECKING:
    from licsrv.marketplace.open_api.guarded import GuardedOpenApi
    from licsrv.platform.config import Settings

AREA = "marketplace"
TIME_LIMIT = timedelta(seconds=10)
_NO_CODE = "LICSRVDOCTOR000000"
_ACCEPTED = ok(AREA, "The marketplace accepts the key pair.")


def check(settings: Settings, *, clock: Clock) -> Diagnosis:
    """Ask once, and count the answer like any other call."""
    from licsrv import app as application
    from licsrv.cli.logs import logs_on_standard_error

    async def asked() -> Diagnosis:
        runtime = application.build_runtime(settings, clock=clock)
        try:
            return await ask(runtime.api)
        finally:
            await runtime.close()

    if not settings.marketplace_ak:
        return warning(AREA, "No key pair is configured, so none was tried.", "Set LICSRV_MARKETPLACE_AK and _SK.")
    try:
        with logs_on_standard_error():
            return asyncio.run(asked())
    except StorageError as error:
        return problem(AREA, f"The key pair was not tried: {error}")


async def ask(api: GuardedOpenApi) -> Diagnosis:
    """Say what the answer to one signed question means."""
    try:
        await api.query(_NO_CODE, time_limit=TIME_LIMIT)
    except MarketplaceRefusedError:
        return _ACCEPTED  # "no such code" is said only to a caller whose signature is good
    except MarketplaceAuthenticationError as error:
        advice = "Compare the pair with the seller account's; more than five refusals in a row lock it."
        return problem(AREA, f"The marketplace refuses the key pair: {error.message}", advice)
    except MarketplacePausedError as error:
        return warning(AREA, f"The key pair was not tried: {error.message}", "Calls resume by themselves.")
    except MarketplaceError as error:
        return problem(AREA, f"The signed call got no usable answer: {error.message}", "Try again later.")
    return _ACCEPTED
