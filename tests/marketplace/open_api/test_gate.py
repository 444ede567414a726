"""The gate before the open API, and a server whose clock was wrong for a while."""

from __future__ import annotations

from datetime import timedelta

from licsrv.errors import MarketplaceAuthenticationError
from licsrv.marketplace.open_api import gate
from licsrv.marketplace.open_api.gate import LOCK_TIME, MOST_FAILURES, Closed, Entered
from licsrv.platform.db import open_database, transaction
from tests.conftest import NOW

PAIR, SPAN = "0123456789ab", timedelta(seconds=25)
MUCH_LATER = NOW + timedelta(days=365)
REFUSED = MarketplaceAuthenticationError("The key pair is locked.", locked=True)


def test_five_calls_may_be_under_way_until_each_has_had_its_time(database_url: str) -> None:
    database = open_database(database_url)
    with transaction(database) as session:
        entered = [gate.enter(session, PAIR, span=SPAN, now=NOW) for _ in range(MOST_FAILURES)]
        sixth = gate.enter(session, PAIR, span=SPAN, now=NOW)
        later = gate.enter(session, PAIR, span=SPAN, now=NOW + SPAN + timedelta(microseconds=1))
    database.dispose()

    assert all(isinstance(each, Entered) for each in (*entered, later))
    assert isinstance(sixth, Closed)
    assert not sixth.is_paused


def test_calls_and_pauses_of_a_clock_that_ran_ahead_keep_nobody_out(database_url: str) -> None:
    database = open_database(database_url)
    with transaction(database) as session:
        calls = [gate.enter(session, PAIR, span=SPAN, now=MUCH_LATER) for _ in range(MOST_FAILURES)]
        assert isinstance(calls[0], Entered)
        gate.leave(session, PAIR, calls[0], REFUSED, now=MUCH_LATER)
        paused = gate.enter(session, PAIR, span=SPAN, now=MUCH_LATER + LOCK_TIME - timedelta(microseconds=1))
        mended = gate.enter(session, PAIR, span=SPAN, now=NOW)
    database.dispose()

    assert isinstance(paused, Closed)
    assert isinstance(mended, Entered)
