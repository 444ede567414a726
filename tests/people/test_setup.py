"""The link of the first start: it makes one operator, once."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlmodel import select

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.people import setup
from licsrv.people.tables import Account, SetupLink
from licsrv.platform.db import reading, transaction
from tests.conftest import StandingClock
from tests.staff import PASSWORD, House

PATH = "/admin/api/setup"


def link(house: House) -> str | None:
    with transaction(house.runtime.database, (audit.seal,)) as session:
        return setup.make_link(session, "https://licsrv.test/", cause=Cause("test"), now=house.runtime.clock.now())


def token(house: House) -> str:
    url = link(house)
    assert url is not None
    return parse_qs(urlsplit(url).query)["token"][0]


def first(house_token: str, **more: object) -> dict[str, object]:
    return {"token": house_token, "name": "ann", "password": PASSWORD, "language": "en"} | more


async def test_the_link_makes_an_operator_who_is_signed_in(house: House) -> None:
    visitor = house.visitor()

    answer = await visitor.call("POST", PATH, first(token(house)))

    body = answer.json()
    assert (answer.status_code, body["account"], body["role"]) == (200, "ann", "operator")
    assert body["steps_due"] == ["second_factor"]
    assert (await visitor.call("GET", "/admin/api/session")).json() == body
    [entry] = house.audited(Action.ACCOUNT_ADDED)
    assert (entry.actor, entry.subject) == ("setup link", "account:ann")


async def test_a_link_has_its_form_and_is_kept_as_digest(house: House) -> None:
    url = link(house)

    assert url is not None
    assert url.startswith("https://licsrv.test/admin/setup?token=")
    assert len(url) == len("https://licsrv.test/admin/setup?token=") + 43
    with reading(house.runtime.database) as session:
        assert session.scalars(select(SetupLink)).one().digest not in url


async def test_a_link_and_all_its_brothers_die_with_the_first_use(house: House) -> None:
    one, other = token(house), token(house)
    await house.visitor().call("POST", PATH, first(one))

    again = await house.visitor().call("POST", PATH, first(one, name="eve"))
    brother = await house.visitor().call("POST", PATH, first(other, name="eve"))

    assert (again.status_code, brother.status_code) == (401, 401)
    assert link(house) is None


async def test_of_many_uses_at_once_one_counts(house: House) -> None:
    links = [token(house), token(house)]

    answers = await asyncio.gather(
        *(house.visitor().call("POST", PATH, first(links[n % 2], name=f"eve{n}")) for n in range(6))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 5
    with reading(house.runtime.database) as session:
        assert len(session.scalars(select(Account)).all()) == 1


@pytest.mark.parametrize(("seconds", "status"), [(-1, 200), (0, 401)])
async def test_a_link_is_good_for_a_day(house: House, clock: StandingClock, seconds: int, status: int) -> None:
    found = token(house)
    clock.advance(days=1, seconds=seconds)

    assert (await house.visitor().call("POST", PATH, first(found))).status_code == status


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"token": ""}, 401), ({"token": "x" * 43}, 401), ({"token": "a\0"}, 401), ({"token": None}, 422),
        ({"password": "short"}, 422), ({"name": "<b>"}, 422), ({"name": ""}, 422), ({"language": "xx"}, 422),
        ({"display_name": "a\0"}, 422),
    ],
)  # fmt: skip
async def test_a_use_that_is_refused_uses_nothing_up(house: House, more: dict[str, object], status: int) -> None:
    found = token(house)

    assert (await house.visitor().call("POST", PATH, first(found, **more))).status_code == status
    assert (await house.visitor().call("POST", PATH, first(found))).status_code == 200


async def test_where_there_is_an_account_there_is_no_link(house: House) -> None:
    found = token(house)
    house.hire("boss")

    assert link(house) is None
    assert (await house.visitor().call("POST", PATH, first(found))).status_code == 409


async def test_another_page_cannot_use_a_link(house: House) -> None:
    answer = await house.visitor().call("POST", PATH, first(token(house)), Origin="https://evil.test")

    assert answer.status_code == 403
