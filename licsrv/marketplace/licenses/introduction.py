"""Introducing a code that we have not seen: the one place where a client waits for the marketplace.

The marketplace is asked to activate it, within a short time limit. What it says becomes a license, or a refusal that a
person can act on. Where the marketplace itself does not answer, the code gets a provisional license for a short time,
within the budgets of ``provisional``, and the outbox goes on asking. Load is no outage: it is answered with 503.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.errors import (
    LicenseNotFoundError,
    LicenseNotReceivedError,
    MarketplaceError,
    MarketplaceRefusedError,
    MarketplaceUnavailableError,
    RefusalError,
    TooManyRequestsError,
)
from licsrv.licensing import changes, fingerprints, lifecycle, spellings, store
from licsrv.licensing.changes import Purchase
from licsrv.licensing.fingerprints import HashedParts
from licsrv.marketplace import provisional
from licsrv.marketplace import store as marketplace
from licsrv.marketplace.licenses import codes
from licsrv.marketplace.licenses.ends import Unstated
from licsrv.marketplace.open_api import codes as open_api_codes
from licsrv.marketplace.open_api.code_answers import Activation, CodeState
from licsrv.marketplace.open_api.guarded import GuardedOpenApi
from licsrv.marketplace.origins import AUTHORIZATION_CODE, AskedBy, asked_by
from licsrv.marketplace.provisional import Budgets
from licsrv.marketplace.store import Requester
from licsrv.outbox import store as outbox
from licsrv.outbox.messages import ActivateLicense
from licsrv.platform import addresses, logs
from licsrv.platform.clock import Clock
from licsrv.platform.db import Database, reading
from licsrv.platform.metrics import Metrics
from licsrv.platform.writer import Writer

_log = logs.logger(__name__)
_RETRY_AFTER = 60
_BUSY_RETRY_AFTER = 5
_BUDGETS = frozenset({"address", "network", "all"})


@dataclass(frozen=True)
class IntroductionSettings:
    """The settings of introductions.

    Args:
        provisional_span: The lifetime of a provisional license; zero disables them.
    """

    time_limit: timedelta
    provisional_span: timedelta
    unknown_codes_per_minute: int
    budgets: Budgets


@dataclass(frozen=True)
class _Applicant:
    """The machine that asks, and from where."""

    parts: HashedParts
    address: str


@dataclass(eq=False)
class MarketplaceAuthority:
    """Knows the codes that this server has not seen yet; see :class:`licsrv.licensing.routes.Authority`."""

    api: GuardedOpenApi
    database: Database
    writer: Writer
    _: KW_ONLY
    settings: IntroductionSettings
    address_key: Callable[[], bytes]
    clock: Clock
    metrics: Metrics
    _limiter: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()), init=False
    )
    _under_way: dict[str, asyncio.Future[None]] = field(default_factory=dict, init=False)

    async def introduce(self, code: str, *, parts: HashedParts, address: str, cause: Cause, now: datetime) -> None:
        """Make a code known here, for good or provisionally; many at once for one code ask the marketplace once.

        Raises:
            LicenseNotFoundError: The marketplace does not know the code, or there is no marketplace to ask.
            LicenseNotReceivedError: The buyer has not received it yet.
            TooManyRequestsError: This address tries too many codes.
            MarketplaceUnavailableError: It cannot be asked now, and no provisional license can be given; or too many
                codes are asked about at once.
        """
        spelled = self._to_ask(code, now)
        if not spelled:
            return
        running = self._under_way.get(spelled[0])
        if running is None:
            await self._limit(address)  # first: a suggestion is worth a counted try
            if not self.api.is_configured:
                raise self._unknown(code)
            running = asyncio.ensure_future(self._ask(spelled, _Applicant(parts, address), cause))
            self._under_way[spelled[0]] = running
            running.add_done_callback(lambda _: self._under_way.pop(spelled[0], None))
        try:
            await asyncio.shield(running)  # one caller that goes away must not take the answer from the others
        except LicenseNotFoundError as refusal:
            raise self._unknown(code) from refusal

    def _to_ask(self, code: str, now: datetime) -> Sequence[str]:
        """Return the spellings to ask the marketplace about.

        There are none where the code runs provisionally. A license that was refused may have the wrong spelling.

        Raises:
            LicenseNotFoundError: It has too many characters to be a code.
        """
        with reading(self.database) as session:
            license = store.license_typed(session, code)
        if license is None:
            return _spelled(code)
        if asked_by(license.source) is not AskedBy.CODE:
            lifecycle.require_usable(license, now)
        if lifecycle.is_provisional(license, now):
            return ()
        others = spellings.asked_as(code) if lifecycle.is_refused(license) else ()
        return tuple(dict.fromkeys((license.code, *others)))

    def _unknown(self, code: str) -> LicenseNotFoundError:
        with reading(self.database) as session:
            return unknown(spellings.hint(store.code_meant(session, code)))

    async def _limit(self, address: str) -> None:
        rate = RateLimitItemPerMinute(self.settings.unknown_codes_per_minute)
        if not await self._limiter.hit(rate, "unknown-code", addresses.caller_of(address)):
            raise TooManyRequestsError(
                "Too many codes that are not known here were tried from this address.",
                action="Wait a minute and check the code.",
                retry_after=_RETRY_AFTER,
            )

    async def _ask(self, spelled: Sequence[str], applicant: _Applicant, cause: Cause) -> None:
        """Ask about the spellings of one code, until the marketplace knows one of them."""
        for code in spelled[:-1]:
            try:
                await self._ask_as(code, applicant, cause)
            except LicenseNotFoundError:
                continue
            return
        await self._ask_as(spelled[-1], applicant, cause)

    async def _ask_as(self, code: str, applicant: _Applicant, cause: Cause) -> None:
        try:
            found = await activate_or_adopt(self.api, code, self.settings.time_limit)
        except MarketplaceRefusedError as error:
            await self._refuse(code, error, cause)
            raise refusal_of(error) from error
        except MarketplaceError as error:
            _log.warning("marketplace could not be asked", error=error.message, error_code=error.error_code)
            if not provisional.is_outage(error):
                raise _busy() from error
            await self._provide(code, applicant, cause)
            return
        now = self.clock.now()
        if not await self.writer.run(lambda session: self._take_over(session, code, found, cause=cause, now=now)):
            raise MarketplaceUnavailableError(
                "The marketplace does not say when this license ends.",
                action="Ask the vendor's support.",
                retry_after=_RETRY_AFTER,
            )

    def _take_over(
        self, session: Session, code: str, found: Activation | CodeState, *, cause: Cause, now: datetime
    ) -> bool:
        """Make a license of the answer, a provisional one where its end is not known; whether there is one."""
        taken = codes.take_over(session, code, found, cause=cause, now=now)
        if not isinstance(taken, Unstated):
            return True
        _log.error("the marketplace's answer does not say when a license ends", reason=taken.reason)
        span = self.settings.provisional_span
        if not span or store.license_for_update(session, code) is not None:
            return False
        purchase = Purchase(
            code,
            AUTHORIZATION_CODE.source,
            product_id=found.product_id or "",
            order_id=found.order_id or "",
            amount=found.amount,
        )
        license = changes.add_provisional(session, purchase, until=now + span, cause=cause, now=now)
        outbox.enqueue(session, ActivateLicense(license.id, code=code), now=now)
        return True

    async def _refuse(self, code: str, error: MarketplaceRefusedError, cause: Cause) -> None:
        """End a provisional license that turns out to be none; a code that was never stored stays unknown."""
        now = self.clock.now()

        def use_case(session: Session) -> None:
            license = store.license_for_update(session, code)
            if license is not None:
                changes.refuse(session, license, refusal_of(error).detail, cause=cause, now=now)

        await self.writer.run(use_case)

    async def _provide(self, code: str, applicant: _Applicant, cause: Cause) -> None:
        """Give a provisional license, and let the outbox go on asking.

        Raises:
            MarketplaceUnavailableError: The code or the machine had its provisional time, a budget is used up, or
                there are no provisional licenses.
        """
        now = self.clock.now()
        denied = await self.writer.run(lambda session: self._grant(session, code, applicant, cause=cause, now=now))
        if denied is None:
            return
        if denied in _BUDGETS:
            self.metrics.provisional_denied.labels(denied).inc()
            _log.warning("provisional license denied: budget used up", budget=denied)
        raise MarketplaceUnavailableError(
            "The marketplace cannot be asked about this code now.",
            action="Try again in a minute.",
            retry_after=_RETRY_AFTER,
        )

    def _grant(self, session: Session, code: str, applicant: _Applicant, *, cause: Cause, now: datetime) -> str | None:
        """Give a provisional license, or return why not, in one word."""
        span = self.settings.provisional_span
        if not span:
            return "disabled"
        marketplace.gate_for_update(session, self.api.key_pair)  # replicas count one after the other
        if store.license_for_update(session, code) is not None:
            return "had"
        if self._runs_provisionally(session, applicant.parts, now=now):
            return "machine"
        requester = self._requester(applicant.address)
        granted = marketplace.provisional_grants(session, requester, since=now - provisional.BUDGET_SPAN)
        if (budget := provisional.exhausted(self.settings.budgets, granted)) is not None:
            return budget

        purchase = Purchase(code, AUTHORIZATION_CODE.source)
        license = changes.add_provisional(session, purchase, until=now + span, cause=cause, now=now)
        marketplace.add_provisional_grant(session, license.id, requester, now=now)
        outbox.enqueue(session, ActivateLicense(license.id, code=code), now=now)
        return None

    def _runs_provisionally(self, session: Session, parts: HashedParts, *, now: datetime) -> bool:
        """Whether this machine runs on a provisional license already: by the rule for devices, not by its text."""
        since = now - max(self.settings.provisional_span, provisional.BUDGET_SPAN)
        running = marketplace.provisional_devices(session, parts, since=since, now=now)
        return any(fingerprints.is_same_device(known, parts) for known in running)

    def _requester(self, address: str) -> Requester:
        key = self.address_key()
        exact, network = addresses.address_of(address), addresses.network_of(address)
        return Requester(_digest(exact, key=key), _digest(network, key=key))


async def activate_or_adopt(api: GuardedOpenApi, code: str, time_limit: timedelta) -> Activation | CodeState:
    """Activate a code; if it is activated already (a lost answer, a second host), take it as it is.

    Raises:
        MarketplaceError: Neither could be learned.
    """
    try:
        return await api.activate(code, time_limit=time_limit)
    except MarketplaceRefusedError as error:
        if error.error_code != open_api_codes.ILLEGAL_STATE:
            raise
        return await api.query(code, time_limit=time_limit)


def refusal_of(error: MarketplaceRefusedError) -> RefusalError:
    """Return the refusal that a person sees when the marketplace refuses a code for good (protocol §3.1)."""
    if error.error_code == open_api_codes.NOT_RECEIVED:
        return LicenseNotReceivedError(
            "The code has not been received at the marketplace yet.",
            action="Receive it under purchased services in the buyer center, then try again.",
        )
    return unknown()


def _spelled(code: str) -> Sequence[str]:
    spelled = spellings.asked_as(code)
    if not spelled:
        raise unknown()
    return spelled


def _busy() -> MarketplaceUnavailableError:
    return MarketplaceUnavailableError(
        "Too many codes are being checked with the marketplace at the moment.",
        action="Try again in a few seconds.",
        retry_after=_BUSY_RETRY_AFTER,
    )


def _digest(text: str, *, key: bytes) -> str:
    return hmac.new(key, b"provisional-address:" + text.encode("utf-8"), "sha256").hexdigest()[:32]


def unknown(hint: str = "") -> LicenseNotFoundError:
    """Return the refusal of a code that is not known, with a sentence that helps to correct it."""
    return LicenseNotFoundError(
        f"This code is not known.{hint}",
        action="Check the code: the marketplace shows it with the purchase. The vendor's support can look it up.",
    )
