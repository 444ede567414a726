"""``/admin/api/products``: the products that were described."""

from __future__ import annotations

from collections.abc import Sequence

from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.products import answers
from licsrv.desk.products.answers import Products
from licsrv.people.roles import Permission
from licsrv.platform import paging


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    return (
        AdminOperation(
            "GET", "/admin/api/products", "List products", permission=Permission.READ_LICENSES, handler=list_products,
            result=Products, query=paging.PARAMETERS,
        ),
    )  # fmt: skip


async def list_products(call: Call) -> Products:
    """Answer ``GET /admin/api/products``."""
    window = call.window()
    policies = call.desk.support.terms.policies
    return await call.read(lambda session: answers.products(session, window, policies))
