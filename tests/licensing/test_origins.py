"""Where licenses come from: what each user reads, what is reported, and that nothing else decides it."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

import licsrv
from licsrv.licensing import lifecycle, origins
from licsrv.licensing.origins import BY_HAND, Origin, Use
from licsrv.marketplace.origins import AUTHORIZATION_CODE, LICENSE_V1, ONLINE_LICENSE, asked_by, reconciled
from licsrv.outbox.messages import QueryLicense, ReportUsage
from licsrv.words.sentences import Sentence
from tests.conftest import NOW
from tests.licensing.test_lifecycle import ACTIVE
from tests.tables import each

SOLD_BY_THE_MARKETPLACE = (AUTHORIZATION_CODE, ONLINE_LICENSE, LICENSE_V1)
UNUSABLE = (
    replace(ACTIVE, expires_at=NOW - timedelta(days=1)),
    replace(ACTIVE, frozen_at=NOW),
    replace(ACTIVE, released_at=NOW),
    replace(ACTIVE, activated_at=None, expires_at=None),
)
USE = Use("license", "PL1", "device", date(2026, 3, 1), is_first_of_license=True, may_work=True)
QUERY = QueryLicense("license", code="PL1")
USAGE = ReportUsage("license", code="PL1", client_id="device", day=date(2026, 3, 1))


def test_only_who_bought_at_the_marketplace_is_sent_there() -> None:
    for row in each([(facts, origin) for facts in UNUSABLE for origin in (*SOLD_BY_THE_MARKETPLACE, BY_HAND)]):
        with row as (facts, origin):
            sold = replace(facts, source=origin.source)
            with pytest.raises(Exception, match=r".") as refusal:
                lifecycle.require_usable(sold, NOW)
            said = lifecycle.reason(sold, NOW)
            is_there = origin is not BY_HAND
            assert ("marketplace" in f"{said.en} {refusal.value.action}") is is_there  # type: ignore[attr-defined]
            assert ("云商店" in said.zh) is is_there


def test_staff_read_where_a_license_was_sold() -> None:
    sold = [origins.of(source).sold.en for source in ("marketplace", "online", "license_v1", "manual", "gone")]

    assert [text.startswith("at the marketplace") for text in sold] == [True, True, True, False, False]
    assert len(set(sold)) == len(sold)
    assert all(origin.sold.zh for origin in origins.registered())


def test_only_authorization_codes_report_their_use() -> None:
    assert origins.reporting_use() == [AUTHORIZATION_CODE.source]
    assert [len(origin.reports(USE)) for origin in (*SOLD_BY_THE_MARKETPLACE, BY_HAND)] == [2, 0, 0, 0]


@pytest.mark.parametrize(
    ("use", "reported"),
    [
        (USE, (QUERY, USAGE)),
        (USE._replace(is_first_of_license=False), (USAGE,)),
        (USE._replace(may_work=False), (QUERY,)),
        (USE._replace(is_first_of_license=False, may_work=False), ()),
    ],
)
def test_a_code_is_queried_once_a_day_and_its_use_reported_by_each_device_that_may_work(
    use: Use, reported: tuple[object, ...]
) -> None:
    assert AUTHORIZATION_CODE.reports(use) == reported


def test_a_source_that_no_room_registered_is_reported_and_reconciled_nowhere() -> None:
    gone = origins.of("gone")

    assert (gone.source, gone.reports(USE), asked_by("gone")) == ("gone", (), "nothing")
    assert reconciled() == ["marketplace", "online"]


def test_a_source_has_one_origin() -> None:
    assert origins.register(BY_HAND) is BY_HAND
    with pytest.raises(ValueError, match="Two origins"):
        origins.register(Origin(BY_HAND.source, Sentence(en="here", zh="这里"), BY_HAND.words))


def test_no_other_module_compares_a_source() -> None:
    """What a source means is asked of its origin. The timeline's events have a source of another kind."""
    folder = Path(licsrv.__file__).parent
    paths = [path for path in folder.rglob("*.py") if "emulator" not in path.parts and path.parent.name != "timeline"]
    compared = [
        f"{path.relative_to(folder)}:{node.lineno}"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare) and any(_is_source(side) for side in (node.left, *node.comparators))
    ]

    assert compared == []


def _is_source(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "source"
