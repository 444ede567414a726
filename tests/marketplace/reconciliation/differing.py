"""Differences written down as a comparison would have found them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from licsrv.marketplace.reconciliation import rules, store
from licsrv.marketplace.reconciliation.rules import Kind, Word
from licsrv.platform.db import transaction
from licsrv.platform.ids import new_id
from licsrv.runtime import Runtime
from tests.marketplace.reconciliation.reconciling import ENDS

LATER = ENDS + timedelta(days=365)


def differ(
    runtime: Runtime, license_id: str, kind: Kind, ours: str, theirs: str, *, word: Word | None = None, number: int = 0
) -> str:
    """Write a difference of a license that was found just now; ``number`` keeps many of them in their order."""
    now = runtime.clock.now() + timedelta(milliseconds=number)
    row = _row(license_id, kind, ours, theirs, now)
    with transaction(runtime.database) as session:
        assert store.add_difference(session, row | {"word": rules.as_document(word) if word else {}})
    return str(row["id"])


def _row(license_id: str, kind: Kind, ours: str, theirs: str, now: datetime) -> Mapping[str, object]:
    return {
        "id": new_id(now), "license_id": license_id, "kind": str(kind), "ours": ours, "theirs": theirs,
        "explained": _EXPLAINED[kind], "asked_at": now, "found_at": now, "reason": "",
    }  # fmt: skip


def expiry(runtime: Runtime, license_id: str, *, number: int = 0) -> str:
    """Let a license last a year longer at the marketplace than here."""
    word = Word("ALIVE", LATER, "OFFI1", 2)
    return differ(runtime, license_id, Kind.EXPIRY, rules.end(ENDS), rules.end(LATER), word=word, number=number)


_EXPLAINED = {
    Kind.STATUS: "Here the license has expired, and the marketplace says that it may be used.",
    Kind.EXPIRY: "The license lasts longer at the marketplace than here; a renewal did not arrive.",
    Kind.PRODUCT: "The marketplace names another product.",
    Kind.AMOUNT: "At the marketplace more was bought than is known here.",
    Kind.UNKNOWN: "The marketplace does not know this license, or no longer.",
    Kind.UNANSWERED: "The marketplace answered about other licenses, and not about this one.",
}
