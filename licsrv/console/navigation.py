"""The menu of the console: what a visitor finds there is what they may do. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from licsrv.console.visits import Visit
from licsrv.people.roles import Permission


@dataclass(frozen=True)
class Entry:
    """One line of the menu, and the operation without which its page would be empty."""

    title: str
    address: str
    permission: Permission
    operation: str
    method: str = "GET"


MENU = (
    Entry("Today", "/admin", Permission.READ_LICENSES, operation="/admin/api/desk"),
    Entry("Outbox", "/admin/outbox", Permission.READ_OUTBOX, operation="/admin/api/outbox"),
    Entry("Callbacks", "/admin/callbacks", Permission.READ_OUTBOX, operation="/admin/api/callbacks"),
    Entry("Reconciliation", "/admin/reconciliation", Permission.READ_LICENSES, operation="/admin/api/reconciliation"),
    Entry("Bulk", "/admin/bulk", Permission.START_BULK, operation="/admin/api/bulk"),
    Entry("Reports", "/admin/reports", Permission.READ_REPORTS, operation="/admin/api/reports"),
    Entry("Products", "/admin/products", Permission.READ_LICENSES, operation="/admin/api/products"),
    Entry("Releases", "/admin/releases", Permission.READ_LICENSES, operation="/admin/api/releases"),
    Entry("Keys", "/admin/keys", Permission.READ_KEYS, operation="/admin/api/keys"),
    Entry("Audit", "/admin/audit", Permission.READ_AUDIT, operation="/admin/api/audit"),
    Entry("Accounts", "/admin/accounts", Permission.MANAGE_ACCOUNTS, operation="/admin/api/accounts"),
    Entry("API tokens", "/admin/tokens", Permission.MANAGE_TOKENS, operation="/admin/api/tokens"),
)


def entries(visit: Visit) -> list[Entry]:
    """Return the lines of the menu for a visitor; none until their account is finished."""
    return [one for one in MENU if visit.may(one.permission, one.method, one.operation)]
