"""Coming in and going out: the set-up link, signing in, where it leads to, the language, and what is refused."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from licsrv import audit
from licsrv.audit import Cause
from licsrv.console import targets
from licsrv.people import setup, totp
from licsrv.people.roles import Role
from licsrv.platform.db import transaction
from tests.console.conftest import Reader, reader
from tests.staff import BASE, PASSWORD, House

STRONG = "seven green bottles on a wall"
SECRET = re.compile(r'name="secret" value="([A-Z2-7]+)"')


def setup_path(house: House) -> str:
    now = house.runtime.clock.now()
    with transaction(house.runtime.database, (audit.seal,)) as session:
        link = setup.make_link(session, BASE, cause=Cause("test"), now=now)
    assert link is not None
    return link.removeprefix(BASE)


async def test_the_set_up_link_leads_to_an_operator_with_a_second_factor(house: House, anyone: Reader) -> None:
    path = setup_path(house)
    made = await anyone.send(
        "/admin/setup", on=path, token=path.split("=")[1], name="Ann", password=STRONG, again=STRONG, display_name="安"
    )
    asked = await anyone.see(made.headers["location"])
    shown = await anyone.send("/admin/account/second-factor", on="/admin/account/finish", password=STRONG)
    secret = SECRET.search(shown.text)
    assert secret is not None
    code = totp.code_of(totp.secret_of(secret[1]), totp.step_at(house.runtime.clock.now()))
    codes = await anyone.send("/admin/account/second-factor/confirm", on="/admin/account/finish", code=code)
    home = await anyone.see("/admin/accounts")

    assert (made.status_code, made.headers["location"]) == (303, "/admin/account/finish")
    assert "authenticator app" in asked.text
    assert "<svg" in shown.text
    assert codes.text.count("<li><code>") == 10
    assert "安" in home.text
    assert house.account("ann").role == Role.OPERATOR


async def test_a_set_up_link_that_is_not_good_is_explained_and_nothing_typed_is_lost(anyone: Reader) -> None:
    answer = await anyone.send("/admin/setup", token="x", name="ann", password=STRONG, again=STRONG)

    assert answer.status_code == 401
    assert "This set-up link is no longer valid." in answer.text
    assert 'value="ann"' in answer.text
    assert STRONG not in answer.text


async def test_two_passwords_that_differ_make_no_account(house: House, anyone: Reader) -> None:
    path = setup_path(house)
    answer = await anyone.send(
        "/admin/setup", on=path, token=path.split("=")[1], name="ann", password=STRONG, again="x"
    )

    assert answer.status_code == 422
    assert "The two passwords differ." in answer.text


async def test_signing_in_needs_name_password_and_code_and_leads_on(house: House, anyone: Reader) -> None:
    house.hire("ann")
    wrong = await anyone.send(targets.SIGN_IN, name="ann", password=PASSWORD, code="000000")
    right = await anyone.send(
        targets.SIGN_IN, name="ann", password=PASSWORD, code=house.code(), next="/admin/accounts/ann"
    )
    page = await anyone.see(right.headers["location"])

    assert wrong.status_code == 401
    assert "Name, password or code is wrong." in wrong.text
    assert PASSWORD not in wrong.text
    assert right.headers["location"] == "/admin/accounts/ann"
    assert page.status_code == 200


async def test_too_many_tries_are_told_to_wait(house: House, anyone: Reader) -> None:
    house.hire("ann")
    answers = [await anyone.send(targets.SIGN_IN, name="ann", password="wrong") for _ in range(12)]

    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert "Signing in failed too often." in answers[-1].text


@pytest.mark.parametrize(
    "page", ["/admin", "/admin/accounts", "/admin/accounts/ann", "/admin/tokens", "/admin/account"]
)
async def test_a_page_sends_strangers_to_the_sign_in_page_and_back(anyone: Reader, page: str) -> None:
    answer = await anyone.see(page)

    assert answer.status_code == 303
    assert answer.headers["location"] == targets.sign_in_for(page)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/", "//evil.test", "/\\evil.test", "/admin//evil.test", "/admin/../x", "/admin/%2e%2e/x",
        "javascript:alert(1)", "/other", "/admin\n/x", "/admin/sign-in", "/admin/api/session", "/adminx", "/admin/ä",
        "/admin?x=//evil", " /admin", "/admin/@evil.test/../..", "/admin" + "/a" * 400, "",
    ],
)  # fmt: skip
async def test_signing_in_leads_to_no_other_place(house: House, anyone: Reader, target: str) -> None:
    house.hire("ann")

    answer = await anyone.send(targets.SIGN_IN, name="ann", password=PASSWORD, code=house.code(), next=target)
    shown = await anyone.see(f"{targets.SIGN_IN}?next={quote(target)}")

    assert targets.own_page(target) == "/admin"
    assert answer.headers["location"] == "/admin"
    assert shown.headers["location"] == "/admin"


@pytest.mark.parametrize(
    "target", ["/admin", "/admin/licenses/00a", "/admin/audit?after=abc&limit=5", "/admin/accounts/a@b.c"]
)
def test_pages_of_ours_are_led_to(target: str) -> None:
    assert targets.own_page(target) == target


async def test_signing_out_ends_the_session_and_says_so_once(house: House) -> None:
    house.hire("ann")
    ann = reader(house, "ann")
    out = await ann.send("/admin/sign-out", on="/admin/account")
    first = await ann.see(out.headers["location"])
    second = await ann.see(out.headers["location"])

    assert "You are signed out." in first.text
    assert "You are signed out." not in second.text
    assert (await ann.see("/admin/account")).status_code == 303


@pytest.mark.parametrize(
    ("accepted", "word"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "登录"), ("en-GB,en;q=0.9,zh;q=0.1", "Sign in"), ("fr", "Sign in"), ("*", "Sign in"),
     ("zh-Hans", "登录"), ("en;q=0,zh;q=0.1", "登录"), ("en;q=x;;,,zh", "登录"), ("", "Sign in")],
)  # fmt: skip
async def test_strangers_get_the_language_of_their_browser(house: House, accepted: str, word: str) -> None:
    page = await reader(house, language=accepted).see(targets.SIGN_IN)

    assert f"<h1>{word}</h1>" in page.text


async def test_the_language_is_switched_for_the_browser_and_for_the_account(house: House, anyone: Reader) -> None:
    house.hire("ann")
    ann = reader(house, "ann")

    await anyone.send("/admin/language", on=targets.SIGN_IN, language="zh", next=targets.SIGN_IN)
    answer = await ann.send("/admin/language", on="/admin/account", language="en", next="/admin/account")

    assert "登录" in (await anyone.see(targets.SIGN_IN)).text
    assert answer.headers["location"] == "/admin/account"
    assert house.account("ann").language == "en"


async def test_a_page_that_is_not_there_is_explained_in_both_languages(house: House) -> None:
    for language, words in (("en", "There is nothing here"), ("zh", "这里什么也没有")):
        page = await reader(house, language=language).see("/admin/nowhere/at/all")

        assert page.status_code == 404
        assert words in page.text
        assert "content-security-policy" in page.headers


@pytest.mark.parametrize("origin", [None, "https://evil.test", "null", "http://licsrv.test"])
async def test_nobody_signs_in_from_another_sites_page(house: House, anyone: Reader, origin: str | None) -> None:
    house.hire("ann")
    headers = {"Sec-Fetch-Site": "cross-site"} | ({"Origin": origin} if origin else {})
    answer = await anyone.http.post(
        targets.SIGN_IN, data={"name": "ann", "password": PASSWORD, "code": house.code()}, headers=headers
    )

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_every_page_is_locked_down(house: House) -> None:
    house.hire("ann")
    for page in (targets.SIGN_IN, "/admin/setup", "/admin/account", "/admin/accounts", "/admin/nowhere"):
        answer = await reader(house, "ann").see(page)

        policy = answer.headers["content-security-policy"]
        assert "'unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert " style=" not in answer.text
        assert not re.search(r" on\w+=", answer.text)
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', answer.text)


async def test_a_link_on_another_site_leads_to_the_page_by_way_of_our_own(house: House) -> None:
    house.hire("ann")
    ann, stranger = reader(house, "ann"), reader(house)
    link = {"Sec-Fetch-Site": "cross-site"}  # browsers leave the cookie out then
    arriving = await stranger.see("/admin/accounts", **link)

    assert (arriving.status_code, 'http-equiv="refresh"' in arriving.text) == (200, True)
    assert "ann" not in arriving.text
    assert (await ann.see("/admin/accounts")).status_code == 200


async def test_a_form_of_another_kind_is_refused(anyone: Reader) -> None:
    answer = await anyone.http.post(targets.SIGN_IN, json={"name": "ann"}, headers={"Origin": BASE})

    assert answer.status_code == 415


async def test_pictures_and_styles_come_from_here_and_may_be_kept(anyone: Reader) -> None:
    page = (await anyone.see(targets.SIGN_IN)).text
    files = re.findall(r'"(/admin/static/[^"]+)"', page)

    assert len(set(files)) == 3
    for file in files:
        answer = await anyone.see(file)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert (await anyone.see("/admin/static/..%2fconsole.py")).status_code == 404
