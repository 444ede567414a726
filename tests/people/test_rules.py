"""The pure rules: roles, one-time passwords, back-off, pages; and which passwords are good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.desk.api import admin_operations
from licsrv.errors import ForbiddenError, InvalidRequestError
from licsrv.people import credentials, lockout_rules, passwords, totp
from licsrv.people.actors import Actor, Step, Via, at_the_terminal
from licsrv.people.lockout_rules import ADDRESS, NAME, Failures
from licsrv.people.roles import GRANTABLE, GRANTED, OF_EVERY_CALLER, OF_EVERY_PERSON, Permission, Role, permissions_of
from licsrv.platform import addresses, paging
from tests.conftest import NOW

SECRET = b"12345678901234567890"  # RFC 6238, appendix B

# roles


def test_every_role_has_its_row_and_nobody_gets_what_nobody_can_give() -> None:
    assert set(GRANTED) == set(Role)
    assert all(granted <= GRANTABLE for granted in GRANTED.values())
    assert set().union(*GRANTED.values()) == GRANTABLE


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (Role.VIEWER, Role.SUPPORT), (Role.SUPPORT, Role.SUPERVISOR), (Role.SUPERVISOR, Role.OPERATOR),
        (Role.VIEWER, Role.AUDITOR), (Role.AUDITOR, Role.OPERATOR),
    ],
)  # fmt: skip
def test_roles_grow(less: Role, more: Role) -> None:
    assert GRANTED[less] < GRANTED[more]


@pytest.mark.parametrize(
    ("role", "permission", "is_held"),
    [
        (Role.AUDITOR, Permission.CHANGE_LICENSES, False), (Role.AUDITOR, Permission.EXPORT_AUDIT, True),
        (Role.SUPPORT, Permission.APPROVE_BULK, False), (Role.SUPERVISOR, Permission.APPROVE_BULK, True),
        (Role.SUPERVISOR, Permission.MANAGE_ACCOUNTS, False), (Role.VIEWER, Permission.CHANGE_LICENSES, False),
        (Role.SUPPORT, Permission.READ_AUDIT, False), (Role.VIEWER, Permission.OWN_ACCOUNT, True),
    ],
)  # fmt: skip
def test_what_a_role_may(role: Role, permission: Permission, *, is_held: bool) -> None:
    assert (permission in permissions_of(role)) == is_held


def test_every_operation_names_one_permission_and_a_place_of_its_own() -> None:
    operations = admin_operations()

    assert len({(operation.method, operation.path) for operation in operations}) == len(operations)
    assert all(isinstance(operation.permission, Permission) for operation in operations)
    assert all(operation.path.startswith("/admin/api/") for operation in operations)


def test_only_coming_in_is_asked_of_nobody() -> None:
    open_to_all = {(o.method, o.path) for o in admin_operations() if o.permission is Permission.SIGN_IN}

    assert open_to_all == {("POST", "/admin/api/session"), ("POST", "/admin/api/setup")}


def test_who_has_to_finish_their_account_is_told_what_to_do() -> None:
    actor = Actor("staff:ann", OF_EVERY_PERSON, Via.SESSION, "ann", "1", (Step.PASSWORD, Step.SECOND_FACTOR))

    with pytest.raises(ForbiddenError) as refused:
        actor.require(Permission.READ_LICENSES)

    assert refused.value.action == "Choose a password of your own."
    assert refused.value.extra == {"steps_due": ["password", "second_factor"]}


def test_the_terminal_may_everything() -> None:
    actor = at_the_terminal("staff:root")

    assert actor.permissions == set(Permission)
    assert actor.permissions > OF_EVERY_CALLER


# one-time passwords


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
        (2000000000, "279037"), (20000000000, "353130"),
    ],
)  # fmt: skip
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)

    assert totp.code_of(SECRET, totp.step_at(moment)) == code
    assert totp.accepted_step(SECRET, code, last_step=0, now=moment) == totp.step_at(moment)


@pytest.mark.parametrize(("off", "is_accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_one_step_off(off: int, *, is_accepted: bool) -> None:
    step = totp.step_at(NOW)

    found = totp.accepted_step(SECRET, totp.code_of(SECRET, step + off), last_step=0, now=NOW)

    assert found == (step + off if is_accepted else None)


@pytest.mark.parametrize(("off", "is_accepted"), [(-1, False), (0, False), (1, True)])
def test_a_step_and_those_before_it_count_once(off: int, *, is_accepted: bool) -> None:
    step = totp.step_at(NOW)

    found = totp.accepted_step(SECRET, totp.code_of(SECRET, step + off), last_step=step, now=NOW)

    assert (found is not None) == is_accepted


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "１２３４５６", "12345a", " 12345", "123456\n", "+12345", "1_2345"]
)
def test_what_is_no_code_is_none(code: str) -> None:
    assert totp.accepted_step(SECRET, code, last_step=0, now=NOW) is None


def test_the_app_reads_the_secret_from_its_address() -> None:
    address = totp.address_of(SECRET, account="ann@example.com", issuer="Licenses & more")

    assert address == (
        "otpauth://totp/Licenses%20%26%20more:ann%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        "&issuer=Licenses+%26+more&digits=6&period=30"
    )
    assert totp.secret_of(totp.text_of(SECRET)) == SECRET


# back-off


@pytest.mark.parametrize(
    ("count", "seconds"),
    [(0, 0), (4, 0), (5, 30), (6, 60), (7, 120), (9, 480), (10, 900), (50, 900), (10**6, 900)],
)
def test_each_failure_doubles_the_wait_up_to_a_longest(count: int, seconds: int) -> None:
    until = lockout_rules.waits_until(NAME, Failures(count, NOW), now=NOW)

    assert until == (NOW + timedelta(seconds=seconds) if seconds else None)


@pytest.mark.parametrize(("microseconds", "waits"), [(-1, True), (0, False)])
def test_the_wait_ends_at_its_moment(microseconds: int, *, waits: bool) -> None:
    now = NOW + timedelta(seconds=30, microseconds=microseconds)

    assert (lockout_rules.waits_until(NAME, Failures(5, NOW), now=now) is not None) == waits


@pytest.mark.parametrize(("microseconds", "count"), [(-1, 7), (0, 0)])
def test_failures_are_forgotten(microseconds: int, count: int) -> None:
    now = NOW + NAME.forgotten_after + timedelta(microseconds=microseconds)

    assert lockout_rules.remembered(NAME, Failures(7, NOW), now=now) == count


def test_an_office_may_fail_more_often_than_a_person() -> None:
    assert ADDRESS.free > NAME.free


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::/64"), ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"), ("::ffff:192.0.2.7", "192.0.2.7"), ("", "unknown"), ("x", "unknown"),
    ],
)  # fmt: skip
def test_what_counts_as_one_address(address: str, network: str) -> None:
    assert addresses.caller_of(address) == network


# pages


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)


@given(st.lists(NAMES, unique=True, max_size=30), st.integers(1, 7))
def test_walking_the_pages_shows_every_row_once(names: list[str], limit: int) -> None:
    rows = sorted(names)
    seen: list[str] = []
    query = {"limit": str(limit)}
    for _ in range(len(rows) + 1):
        window = paging.window_of(query)
        fetched = [row for row in rows if window.after is None or row > window.after[0]][: window.fetched]
        page = paging.page_of(fetched, window, keys=lambda row: (row,), item=str)
        seen += page.items
        if page.next is None:
            break
        query["after"] = page.next

    assert seen == rows


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"}, {"limit": "201"}, {"limit": "-1"}, {"limit": "１"}, {"limit": "1_0"}, {"limit": ""},
        {"limit": "9" * 5000}, {"after": ""}, {"after": "!"}, {"after": "W10"}, {"after": "WzFd"}, {"after": "ä"},
        {"after": "A" * 2001}, {"after": paging.cursor(("a", "b"))}, {"after": paging.cursor(("a\0",))},
        {"after": paging.cursor(("\ud800",))},
    ],
)  # fmt: skip
def test_what_is_no_page_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(InvalidRequestError):
        paging.window_of(query)


# passwords


def test_a_password_that_is_guessed_first_is_refused() -> None:
    guessed = [
        "", "short", "elevenchars", "x" * 257, "aaaaaaaaaaaa", "121212121212", "123456789012", "abcdefghijkl",
        "210987654321", "my name is Ann!", "ＡＡＡＡＡＡＡＡＡＡＡＡ", "password1234", "licsrvlicsrv", "Password2026!",
        "P@ssw0rd1234", "PASSWORD1234", "qwertyuiop12", "1q2w3e4r5t6y", "iloveyou1234", "adminadmin12", "letmein12345",
        "licsrv-license", "huaweicloud2026", "koogallery123", "licenseserver", "abcabcabcabc", "  password  ",
        "2026-11-302026-11-30", "dragonmonkey", "ｐａｓｓｗｏｒｄ１２３４",
    ]  # fmt: skip
    taken = []
    for password in guessed:
        try:
            passwords.require_good(password, name="ann")
        except InvalidRequestError:
            continue
        taken.append(password)
    assert taken == []


def test_a_long_password_is_judged_quickly_and_by_its_first_characters() -> None:
    passwords.require_good("correct horse battery staple " * 8, name="ann")
    with pytest.raises(InvalidRequestError):
        passwords.require_good("a" * 256, name="ann")


@pytest.mark.parametrize(
    "password", ["twelve chars", "correct horse battery", "正确的马电池订书钉一二三四", "p\0ssw\x1brd\n😀 ok ok"]
)
def test_any_long_password_is_good_and_is_known_again(password: str) -> None:
    passwords.require_good(password, name="ann")

    found = passwords.hash_password(password)

    assert found.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.is_password(password, found)
    assert not passwords.is_password(password + " ", found)
    assert not passwords.is_outdated(found)
    assert passwords.is_outdated(found.replace("t=2", "t=1"))


def test_a_password_is_the_same_from_every_keyboard() -> None:
    found = passwords.hash_password("Ångström unit twelve")

    assert passwords.is_password("A\u030angstro\u0308m unit twelve", found)


def test_nobody_has_no_password() -> None:
    assert not passwords.is_password("", None)


def test_one_time_passwords_are_good_and_new() -> None:
    first, second = passwords.one_time_password(), passwords.one_time_password()

    passwords.require_good(first, name="ann")
    assert first != second
    assert len(first) == 23


# credentials


def test_tokens_have_their_form() -> None:
    token = credentials.new_api_token()

    assert token.startswith("lsat_")
    assert len(token) == 48
    assert credentials.is_api_token(token)
    for wrong in (token[:-1], token + "a", token + "\n", "LSAT_" + token[5:], token[:-1] + "é", ""):
        assert not credentials.is_api_token(wrong)


def test_a_recovery_code_is_read_however_it_is_typed() -> None:
    [code, *others] = credentials.new_recovery_codes()
    key = b"k" * 32

    digest = credentials.recovery_digest(code, account="ann", key=key)

    assert len({code, *others}) == credentials.RECOVERY_CODES
    assert credentials.recovery_digest(f" {code.upper().replace('-', ' ')} ", account="ann", key=key) == digest
    assert credentials.recovery_digest(code, account="bob", key=key) != digest
