"""The page of the products: what each says, its policy, and what a change of it would do before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from licsrv.console.visits import ConsolePage, Visit
from licsrv.errors import NotFoundError, RefusalError

_PAGE = "/admin/products"
_PRODUCTS, _POLICY = "/admin/api/products", "/admin/api/products/policy"
_FIELD = "value:"


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module."""
    return (
        ConsolePage("GET", _PAGE, products),
        ConsolePage("POST", f"{_PAGE}/policy/{{decision}}", decide),
    )


async def products(visit: Visit) -> Response:
    """Show the products, and the policy of the one that is named."""
    return await _show(visit, visit.query.get("product", ""))


async def decide(visit: Visit) -> Response:
    """Show what a change of a policy would do, make it, or go back to the version before."""
    decision, product = visit.at["decision"], visit.typed("product")
    try:
        match decision:
            case "preview":
                preview = await visit.act("POST", f"{_POLICY}/preview", _asked(visit))
                return await _show(visit, product, preview=preview)
            case "save":
                done = await visit.act("PUT", _POLICY, _asked(visit) | {"reason": visit.typed("reason")})
            case "undo":
                body = {"product": product, "reason": visit.typed("reason"), **_version(visit)}
                done = await visit.act("POST", f"{_POLICY}/undo", body)
            case _:
                raise NotFoundError("There is nothing at this address.")
    except RefusalError as refusal:
        return await _show(visit, product, refusal=refusal)
    said = "policy-changed" if done["changed"] else "policy-unchanged"
    return visit.go(f"{_PAGE}?{urlencode({'product': product})}", said=said)


def _asked(visit: Visit) -> dict[str, Any]:
    """Return the change that a form asks for; an empty field is as the settings say."""
    values = {name.removeprefix(_FIELD): visit.typed(name) or None for name in visit.form if name.startswith(_FIELD)}
    undo = {"undo": True} if visit.typed("undo") else {}
    return {"product": visit.typed("product"), "values": values, **_version(visit), **undo}


def _version(visit: Visit) -> dict[str, str]:
    version = visit.typed("version")
    return {"version": version} if version else {}


async def _show(visit: Visit, product: str, *, preview: object = None, refusal: RefusalError | None = None) -> Response:
    found = await visit.look(_PRODUCTS, query=visit.after)
    try:
        policy = await visit.look(_POLICY, query={"product": product}) if product else None
    except RefusalError as unknown:
        raise refusal or unknown from None
    typed = {name.removeprefix(_FIELD): visit.typed(name) for name in visit.form if name.startswith(_FIELD)}
    return visit.show(
        "products.html", refusal=refusal, found=found, policy=policy, preview=preview, typed=typed,
        is_undo=bool(visit.typed("undo")),
    )  # fmt: skip
