"""``licsrv desk``."""

from __future__ import annotations

import pytest

from licsrv.desk.today.answers import BoardAnswer
from tests.cli.conftest import FurnishedHouse, Run


def test_the_desk_of_a_lived_in_house_is_shown(house: FurnishedHouse, licsrv: Run) -> None:
    document = licsrv("desk", "--json").document
    shown = licsrv("desk")

    assert set(document) == set(BoardAnswer.model_fields)
    assert [one["code"] for one in document["frozen"]] == [house.codes.frozen]
    assert {alert["area"] for alert in document["alerts"]} >= {"outbox", "callbacks"}
    assert document["outbox"]["parked"] == 1
    assert shown.exit_code == 0
    assert all(f"{alert['area']}: {alert['says']['en']}" in shown.out for alert in document["alerts"])
    assert all(word in shown.out for word in ("Frozen by the marketplace", house.codes.frozen, "1 parked"))


def test_a_desk_with_nothing_on_it_says_so(environment: pytest.MonkeyPatch, database_url: str, licsrv: Run) -> None:
    environment.setenv("LICSRV_DATABASE_URL", database_url)
    environment.setenv("LICSRV_MARKETPLACE_AK", "")
    environment.setenv("LICSRV_MARKETPLACE_SK", "")

    ran = licsrv("desk")

    assert (ran.exit_code, ran.out.splitlines()[0]) == (0, "No alerts.")
    assert licsrv("desk", "--json").document["key_pair"] is None
