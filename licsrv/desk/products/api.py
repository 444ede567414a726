"""``/admin/api/products``: the products that were described, and the policy of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, StringConstraints
from sqlmodel import Session

from licsrv.desk.fields import Reasoned
from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.products import answers, policy_answers, policy_preview
from licsrv.desk.products.answers import Products
from licsrv.desk.products.policy_answers import PolicyAnswer, PolicyPreview, PolicyShown
from licsrv.errors import (
    ConflictError,
    InvalidPolicyError,
    InvalidRequestError,
    NotFoundError,
    PolicyContradictionError,
)
from licsrv.licensing import policies, policy_changes
from licsrv.licensing.policies import Policies
from licsrv.licensing.policy_changes import Wanted
from licsrv.people.roles import Permission
from licsrv.platform import paging
from licsrv.platform.fields import PRINTABLE, Body

_PATH = "/admin/api/products"
_LONGEST_ID = 128
ProductId = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_ID, pattern=PRINTABLE)]
ValueName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PRINTABLE)]
ValueWord = Annotated[str, StringConstraints(max_length=64)]
Version = Annotated[
    int | None, Field(ge=0, le=2**31 - 1, description="the version that was read; another one refuses the change")
]


class PolicyRequest(Reasoned, Body):
    """A change of a policy; what is left out stays as it is."""

    product: ProductId = Field(description="the product's id", examples=["OFFI-CAD"])
    values: dict[ValueName, bool | int | float | ValueWord | None] = Field(
        max_length=100,
        description="by name; a text is read as people type it; null or `default`: as the settings say",
        examples=[{"moves.per_place": 2, "time.grace_hours": 48}],
    )
    version: Version = None

    def wanted(self) -> Wanted:
        """Return what is asked for."""
        return Wanted(read_values(self.values), seen=self.version)


class UndoPolicyRequest(Reasoned, Body):
    """Go back to the version before."""

    product: ProductId = Field(description="the product's id", examples=["OFFI-CAD"])
    version: Version = None


class PolicyPreviewRequest(Body):
    """A change to be looked at first: values, or an undo."""

    product: ProductId = Field(description="the product's id", examples=["OFFI-CAD"])
    values: dict[ValueName, bool | int | float | ValueWord | None] = Field(default_factory=dict, max_length=100)
    undo: bool = False
    version: Version = None


def read_values(values: Mapping[str, object]) -> dict[str, object]:
    """Return values as they are meant: what came as a text is read as people type it."""
    return {
        name: policies.read_word(name, value) if isinstance(value, str) else value for name, value in values.items()
    }


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    read, manage = Permission.READ_LICENSES, Permission.MANAGE_PRODUCTS
    wrong = (NotFoundError, ConflictError, InvalidPolicyError, PolicyContradictionError)
    return (
        AdminOperation(
            "GET", _PATH, "List products", permission=read, handler=list_products,
            result=Products, query=paging.PARAMETERS,
        ),
        AdminOperation(
            "GET", f"{_PATH}/policy", "Show the policy of a product", permission=read, handler=show_policy,
            result=PolicyShown, refusals=(NotFoundError,), query=("product",),
        ),
        AdminOperation(
            "PUT", f"{_PATH}/policy", "Change the policy of a product", permission=manage, handler=change_policy,
            body=PolicyRequest, result=PolicyAnswer, refusals=wrong,
        ),
        AdminOperation(
            "POST", f"{_PATH}/policy/preview", "Show what a change of a policy would do", permission=read,
            handler=preview_policy, body=PolicyPreviewRequest, result=PolicyPreview, refusals=wrong,
        ),
        AdminOperation(
            "POST", f"{_PATH}/policy/undo", "Go back to the version of a policy before", permission=manage,
            handler=undo_policy, body=UndoPolicyRequest, result=PolicyAnswer, refusals=wrong,
        ),
    )  # fmt: skip


def _known(call: Call) -> Policies:
    return call.desk.support.terms.policies


async def list_products(call: Call) -> Products:
    """Answer ``GET /admin/api/products``."""
    window, known = call.window(), _known(call)
    return await call.read(lambda session: answers.products(session, window, known))


async def show_policy(call: Call) -> PolicyShown:
    """Answer ``GET /admin/api/products/policy``."""
    product_id = call.query.get("product", "")
    if not product_id or len(product_id) > _LONGEST_ID or not product_id.isprintable():
        raise InvalidRequestError("product names a product by its id.")
    return await call.read(lambda session: policy_answers.policy(session, product_id, _known(call)))


async def preview_policy(call: Call, body: PolicyPreviewRequest) -> PolicyPreview:
    """Answer ``POST /admin/api/products/policy/preview``; nothing is changed."""
    wanted = Wanted(read_values(body.values), undo=body.undo, seen=body.version)

    def use_case(session: Session) -> PolicyPreview:
        plan = policy_changes.plan(session, body.product, wanted, known=_known(call))
        return policy_preview.preview(session, plan, now=call.now)

    return await call.read(use_case)


async def change_policy(call: Call, body: PolicyRequest) -> PolicyAnswer:
    """Answer ``PUT /admin/api/products/policy``."""
    return await _change(call, body.product, body.wanted(), reason=body.reason)


async def undo_policy(call: Call, body: UndoPolicyRequest) -> PolicyAnswer:
    """Answer ``POST /admin/api/products/policy/undo``."""
    return await _change(call, body.product, Wanted({}, undo=True, seen=body.version), reason=body.reason)


async def _change(call: Call, product_id: str, wanted: Wanted, *, reason: str) -> PolicyAnswer:
    cause, known = call.cause(reason), _known(call)

    def use_case(session: Session) -> PolicyAnswer:
        plan = policy_changes.change(session, product_id, wanted, known=known, cause=cause, now=call.now)
        return PolicyAnswer(changed=plan.changes, policy=policy_answers.policy(session, product_id, known))

    return await call.write(use_case)
