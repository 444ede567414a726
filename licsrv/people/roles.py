"""Who may do what: one table of roles and permissions. Pure.

Every operation of the desk names exactly one permission. It does not know who anybody is.
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

    The first three are nobody's to give: SIGN_IN is asked of nobody, because it is not known yet who calls; WHO_AM_I is
    everybody's who is known; OWN_ACCOUNT is every person's, about themselves.
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
    MANAGE_ACCOUNTS = "manage_accounts"
    MANAGE_TOKENS = "manage_tokens"


Permissions = frozenset[Permission]

OF_EVERYBODY: Permissions = frozenset({Permission.SIGN_IN, Permission.WHO_AM_I})
OF_EVERY_PERSON: Permissions = OF_EVERYBODY | {Permission.OWN_ACCOUNT}
GRANTABLE: Permissions = frozenset(Permission) - OF_EVERY_PERSON

_VIEWER: Permissions = frozenset({Permission.READ_LICENSES, Permission.READ_REPORTS, Permission.READ_OUTBOX})
_SUPPORT = _VIEWER | {
    Permission.CHANGE_LICENSES,
    Permission.EXTEND_GRACE,
    Permission.RECONCILE,
    Permission.START_BULK,
}
_SUPERVISOR = _SUPPORT | {Permission.APPROVE_BULK, Permission.MANAGE_OUTBOX, Permission.READ_AUDIT}

# Approving what one started oneself is refused where it is approved: a role cannot know who started it.
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
