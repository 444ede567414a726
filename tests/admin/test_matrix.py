"""Who may do what: every operation for every role, every scope, and nobody; none that allows more than its table."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Route

from licsrv.admin.api import admin_operations
from licsrv.admin.operations import AdminOperation
from licsrv.admin.roles import GRANTABLE, GRANTED, OF_EVERY_PERSON, OF_EVERYBODY, Permission, Role
from tests.admin.conftest import House

OPERATIONS = admin_operations()
IDS = [f"{operation.method} {operation.path}" for operation in OPERATIONS]
REFUSED = {401, 403}


def path_of(operation: AdminOperation) -> str:
    return re.sub(r"\{\w+\}", "0", operation.path)


async def test_every_operation_served_is_in_the_table(house: House) -> None:
    routes = house.app._app.routes  # type: ignore[attr-defined]
    served = {
        (method, route.path)
        for route in routes
        if isinstance(route, Route) and route.path.startswith("/admin/api")
        for method in (route.methods or set()) - {"HEAD"}
    }

    assert served == {(operation.method, operation.path) for operation in OPERATIONS}


async def test_nobody_may_do_anything_but_come_in(house: House) -> None:
    visitor = house.visitor()

    answers = [await visitor.call(o.method, path_of(o), {}) for o in OPERATIONS]

    for operation, answer in zip(OPERATIONS, answers, strict=True):
        expected = 422 if operation.permission is Permission.SIGN_IN else 401
        assert answer.status_code == expected, (operation.method, operation.path)


@pytest.mark.parametrize("role", Role)
async def test_a_role_may_what_the_table_says_and_nothing_else(house: House, role: Role) -> None:
    house.hire("ann", role)
    allowed = GRANTED[role] | OF_EVERY_PERSON

    for operation in OPERATIONS:
        answer = await house.signed_in("ann").call(operation.method, path_of(operation), {})

        is_allowed = answer.status_code not in REFUSED
        assert is_allowed == (operation.permission in allowed), (role, operation.method, operation.path, answer.text)
        assert answer.status_code < 500, (operation.method, operation.path, answer.text)


@pytest.mark.parametrize("scope", sorted(GRANTABLE))
async def test_a_scope_opens_its_own_operations_and_no_other(house: House, scope: Permission) -> None:
    program = house.program(frozenset({scope}))

    for operation in OPERATIONS:
        answer = await program.call(operation.method, path_of(operation), {})

        is_allowed = answer.status_code not in REFUSED
        assert is_allowed == (operation.permission in {scope} | OF_EVERYBODY), (operation.method, operation.path)


@pytest.mark.parametrize("role", Role)
async def test_an_account_that_is_not_finished_may_only_finish_itself(house: House, role: Role) -> None:
    house.hire("ann", role, second_factor=False)

    for operation in OPERATIONS:
        answer = await house.signed_in("ann").call(operation.method, path_of(operation), {})

        is_allowed = answer.status_code not in REFUSED
        assert is_allowed == (operation.permission in OF_EVERY_PERSON), (operation.method, operation.path)


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
async def test_without_proof_of_our_own_page_nothing_unsafe_happens(house: House, operation: AdminOperation) -> None:
    if not operation.is_unsafe or operation.permission is Permission.SIGN_IN:
        return
    house.hire("ann")
    visitor = house.signed_in("ann")
    token, visitor.csrf = visitor.csrf, ""

    for headers in ({}, {"X-CSRF-Token": token[:-1] + "x"}, {"X-CSRF-Token": token, "Origin": "https://evil.test"}):
        answer = await visitor.call(operation.method, path_of(operation), {}, **headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


async def test_no_answer_is_kept_on_the_way(house: House) -> None:
    house.hire("ann")

    for operation in OPERATIONS:
        answer = await house.signed_in("ann").call(operation.method, path_of(operation), {})
        assert answer.headers["cache-control"] == "no-store"
