"""Every operation of ``/admin/api`` in one list: what is served, documented and tried by the matrix of roles."""

from __future__ import annotations

from collections.abc import Sequence

from licsrv.desk.audit import api as audit_api
from licsrv.desk.bulk import api as bulk_api
from licsrv.desk.callbacks import api as callbacks_api
from licsrv.desk.deliveries import api as deliveries_api
from licsrv.desk.desk import Desk
from licsrv.desk.keys import api as keys_api
from licsrv.desk.licenses import api as licenses_api
from licsrv.desk.operations import AdminOperation, guarded
from licsrv.desk.people import accounts, own_session, tokens
from licsrv.desk.products import api as products_api
from licsrv.desk.reconciliation import api as reconciliation_api
from licsrv.desk.releases import api as releases_api
from licsrv.desk.reports import api as reports_api
from licsrv.desk.today import api as today_api
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
        *licenses_api.operations(),
        *today_api.operations(),
        *deliveries_api.operations(),
        *callbacks_api.operations(),
        *audit_api.operations(),
        *products_api.operations(),
        *keys_api.operations(),
        *releases_api.operations(),
    )


def operations(desk: Desk) -> Sequence[Operation]:
    """Return every operation as the service serves it."""
    return [guarded(operation, desk) for operation in admin_operations()]
