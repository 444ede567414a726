"""Every operation of ``/admin/api`` in one list: what is served, documented and tried by the matrix of roles."""

from __future__ import annotations

from collections.abc import Sequence

from licsrv.desk.bulk import api as bulk_api
from licsrv.desk.desk import Desk
from licsrv.desk.licenses import api as support_api
from licsrv.desk.lists import api as lists_api
from licsrv.desk.operations import AdminOperation, guarded
from licsrv.desk.people import accounts, own_session, tokens
from licsrv.desk.reconciliation import api as reconciliation_api
from licsrv.desk.releases import api as releases_api
from licsrv.desk.reports import api as reports_api
from licsrv.platform.openapi import Operation


def admin_operations() -> Sequence[AdminOperation]:
    """Return every operation with the permission that it asks for."""
    return (
        *own_session.operations(),
        *accounts.operations(),
        *tokens.operations(),
        *bulk_api.operations(),
        *reconciliation_api.operations(),
        *reports_api.operations(),
        *support_api.operations(),
        *lists_api.operations(),
        *releases_api.operations(),
    )


def operations(desk: Desk) -> Sequence[Operation]:
    """Return every operation as the service serves it."""
    return [guarded(operation, desk) for operation in admin_operations()]
