"""Every operation of ``/admin/api`` in one list: what is served, documented and tried by the matrix of roles."""

from __future__ import annotations

from collections.abc import Sequence

from licsrv.admin import api_accounts, api_releases, api_session, api_tokens
from licsrv.admin.bulk import api as bulk_api
from licsrv.admin.desk import Desk
from licsrv.admin.operations import AdminOperation, guarded
from licsrv.admin.reconciliation import api as reconciliation_api
from licsrv.admin.reports import api as reports_api
from licsrv.admin.support import api as support_api
from licsrv.admin.support import lists_api
from licsrv.platform.openapi import Operation


def admin_operations() -> Sequence[AdminOperation]:
    """Return every operation with the permission that it asks for."""
    return (
        *api_session.operations(),
        *api_accounts.operations(),
        *api_tokens.operations(),
        *bulk_api.operations(),
        *reconciliation_api.operations(),
        *reports_api.operations(),
        *support_api.operations(),
        *lists_api.operations(),
        *api_releases.operations(),
    )


def operations(desk: Desk) -> Sequence[Operation]:
    """Return every operation as the service serves it."""
    return [guarded(operation, desk) for operation in admin_operations()]
