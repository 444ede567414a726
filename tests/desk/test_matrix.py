"""Who may do what: every operation for every role, every scope, and nobody; none that allows more than its table."""

from __future__ import annotations

import re

import httpx2
import pytest
from starlette.routing import Route

from licsrv.desk.api import admin_operations
from licsrv.desk.operations import AdminOperation
from licsrv.people.roles import GRANTABLE, GRANTED, OF_EVERY_CALLER, OF_EVERY_PERSON, Permission, Role
from tests.staff import House

OPERATIONS = admin_operations()
IDS = [f"{operation.method} {operation.path}" for operation in OPERATIONS]
# Written by hand, so that an operation which asks for less than before, or is new, does not pass unseen.
TABLE = {
    "sign_in": """
        POST /session
        POST /setup
    """,
    "who_am_i": """
        GET /session
    """,
    "own_account": """
        DELETE /session
        DELETE /sessions/{id}
        GET /sessions
        POST /session/proof
        POST /session/recovery-codes
        POST /session/second-factor
        PUT /session/password
        PUT /session/profile
        PUT /session/second-factor
    """,
    "manage_accounts": """
        GET /accounts
        GET /accounts/{name}
        GET /accounts/{name}/sessions
        POST /accounts
        POST /accounts/{name}/disable
        POST /accounts/{name}/enable
        POST /accounts/{name}/end-sessions
        POST /accounts/{name}/reset-password
        PUT /accounts/{name}
    """,
    "manage_tokens": """
        GET /tokens
        POST /tokens
        POST /tokens/{id}/revoke
    """,
    "read_licenses": """
        GET /bulk
        GET /bulk/{id}
        GET /bulk/{id}/result
        GET /bulk/{id}/rows
        GET /desk
        GET /licenses/{license}
        GET /licenses/{license}/devices
        GET /licenses/{license}/timeline
        GET /licenses/{license}/usage
        GET /products
        GET /products/policy
        GET /releases
        GET /releases/rules
        GET /reconciliation
        GET /reconciliation/differences
        GET /reconciliation/runs
        POST /licenses/{license}/explain
        POST /licenses/{license}/match
        POST /products/policy/preview
        POST /search
    """,
    "start_bulk": """
        POST /bulk
        POST /bulk/{id}/start
        POST /bulk/{id}/stop
        PUT /bulk/{id}/list
    """,
    "approve_bulk": """
        POST /bulk/{id}/approve
        POST /bulk/{id}/reject
    """,
    "read_reports": """
        GET /reports
        GET /reports/{name}
        GET /reports/{name}/file
    """,
    "reconcile": """
        POST /licenses/{license}/compare
        POST /reconciliation/differences/{id}/dismiss
        POST /reconciliation/differences/{id}/repair
        POST /reconciliation/repair
        POST /reconciliation/start
        POST /reconciliation/stop
    """,
    "change_licenses": """
        GET /licenses/{license}/devices/{device}/clock-reset
        POST /licenses/{license}/actions/add_note/do
        POST /licenses/{license}/actions/add_note/preview
        POST /licenses/{license}/actions/bless/do
        POST /licenses/{license}/actions/bless/preview
        POST /licenses/{license}/actions/unbless/do
        POST /licenses/{license}/actions/unbless/preview
        POST /licenses/{license}/actions/clock_reset/do
        POST /licenses/{license}/actions/clock_reset/preview
        POST /licenses/{license}/actions/reinstate/do
        POST /licenses/{license}/actions/reinstate/preview
        POST /licenses/{license}/actions/reissue/do
        POST /licenses/{license}/actions/reissue/preview
        POST /licenses/{license}/actions/extend/do
        POST /licenses/{license}/actions/extend/preview
        POST /licenses/{license}/actions/free_seat/do
        POST /licenses/{license}/actions/free_seat/preview
        POST /licenses/{license}/actions/release_place/do
        POST /licenses/{license}/actions/release_place/preview
        POST /licenses/{license}/actions/release_unseen/do
        POST /licenses/{license}/actions/release_unseen/preview
        POST /licenses/{license}/actions/restore_place/do
        POST /licenses/{license}/actions/restore_place/preview
        POST /licenses/{license}/actions/revoke/do
        POST /licenses/{license}/actions/revoke/preview
        POST /licenses/{license}/actions/set_maintenance/do
        POST /licenses/{license}/actions/set_maintenance/preview
        POST /licenses/{license}/actions/set_terms/do
        POST /licenses/{license}/actions/set_terms/preview
        POST /licenses/{license}/devices/{device}/file
    """,
    "extend_grace": """
        POST /licenses/{license}/actions/extend_grace/do
        POST /licenses/{license}/actions/extend_grace/preview
    """,
    "read_outbox": """
        GET /callbacks
        GET /outbox
    """,
    "manage_outbox": """
        POST /outbox/{id}/drop
        POST /outbox/{id}/retry
    """,
    "read_audit": """
        GET /audit
    """,
    "export_audit": """
        GET /audit/check
        GET /audit/export
    """,
    "manage_products": """
        POST /products/policy/undo
        PUT /products/policy
    """,
    "manage_releases": """
        POST /releases
        POST /releases/rollout
        POST /releases/withdraw
        PUT /releases/rules
    """,
    "read_keys": """
        GET /keys
    """,
}


def judge(answer: httpx2.Response, operation: AdminOperation, *, is_allowed: bool, without: int = 403) -> None:
    """An answer that says neither yes nor no (too many calls, a busy database) is neither."""
    told = (operation.method, operation.path, answer.status_code, answer.text)
    assert answer.status_code < 500, told
    assert answer.status_code != 429, told
    if is_allowed:
        assert answer.status_code not in {401, 403}, told
    else:
        assert answer.status_code == without, told


def path_of(operation: AdminOperation) -> str:
    return re.sub(r"\{\w+\}", "0", operation.path)


def test_every_operation_asks_for_what_the_table_says() -> None:
    said = {line.strip(): word for word, lines in TABLE.items() for line in lines.strip().splitlines()}
    found = {
        f"{operation.method} {operation.path.removeprefix('/admin/api')}": str(operation.permission)
        for operation in OPERATIONS
    }

    assert found == said


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

        judge(answer, operation, is_allowed=operation.permission in allowed)


@pytest.mark.parametrize("scope", sorted(GRANTABLE))
async def test_a_scope_opens_its_own_operations_and_no_other(house: House, scope: Permission) -> None:
    program = house.program(frozenset({scope}))

    for operation in OPERATIONS:
        answer = await program.call(operation.method, path_of(operation), {})

        judge(answer, operation, is_allowed=operation.permission in {scope} | OF_EVERY_CALLER)


@pytest.mark.parametrize("role", Role)
async def test_an_account_that_is_not_finished_may_only_finish_itself(house: House, role: Role) -> None:
    house.hire("ann", role, second_factor=False)

    for operation in OPERATIONS:
        answer = await house.signed_in("ann").call(operation.method, path_of(operation), {})

        judge(answer, operation, is_allowed=operation.permission in OF_EVERY_PERSON)


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
