"""Who may do what: one table of roles and permissions. Pure.

Every operation of the desk names exactly one permission. It does not know any person.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What a person is at the desk."""

    VIEWER = "viewer"
    SUPPORT = "support"
    SUPERVISOR = "supervisor"
    OPERATOR = "operator"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """What an operation asks for; the words are also the scopes of API tokens.

    The first three are never granted. SIGN_IN needs no identity, WHO_AM_I any known caller; OWN_ACCOUNT is for every
    person, about their own account.
    """

    SIGN_IN = "sign_in"
    WHO_AM_I = "who_am_i"
    OWN_ACCOUNT = "own_account"

    READ_LICENSES = "read_licenses"
    READ_REPORTS = "read_reports"
    CHANGE_LICENSES = "change_licenses"
    EXTEND_GRACE = "extend_grace"
    RECONCILE = "reconcile"
    START_BULK = "start_bulk"
    APPROVE_BULK = "approve_bulk"
    READ_AUDIT = "read_audit"
    EXPORT_AUDIT = "export_audit"
    READ_OUTBOX = "read_outbox"
    MANAGE_OUTBOX = "manage_outbox"
    READ_KEYS = "read_keys"
    MANAGE_RELEASES = "manage_releases"
    MANAGE_PRODUCTS = "manage_products"
    MANAGE_ACCOUNTS = "manage_accounts"
    MANAGE_TOKENS = "manage_tokens"


Permissions = frozenset[Permission]

OF_EVERY_CALLER: Permissions = frozenset({Permission.SIGN_IN, Permission.WHO_AM_I})
OF_EVERY_PERSON: Permissions = OF_EVERY_CALLER | {Permission.OWN_ACCOUNT}
GRANTABLE: Permissions = frozenset(Permission) - OF_EVERY_PERSON

_VIEWER: Permissions = frozenset({Permission.READ_LICENSES, Permission.READ_REPORTS, Permission.READ_OUTBOX})
_SUPPORT = _VIEWER | {
    Permission.CHANGE_LICENSES,
    Permission.EXTEND_GRACE,
    Permission.RECONCILE,
    Permission.START_BULK,
}
_SUPERVISOR = _SUPPORT | {Permission.APPROVE_BULK, Permission.MANAGE_OUTBOX, Permission.READ_AUDIT}

# Approving one's own job is refused at the approval: a role cannot know who started it.
GRANTED: Mapping[Role, Permissions] = {
    Role.VIEWER: _VIEWER,
    Role.SUPPORT: _SUPPORT,
    Role.SUPERVISOR: _SUPERVISOR,
    Role.OPERATOR: GRANTABLE,
    Role.AUDITOR: _VIEWER | {Permission.READ_AUDIT, Permission.EXPORT_AUDIT, Permission.READ_KEYS},
}


def permissions_of(role: Role) -> Permissions:
    """Return everything a person of a role may do, what concerns themselves included."""
    return GRANTED[role] | OF_EVERY_PERSON
