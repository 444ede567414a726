"""``licsrv licenses extend`` and ``set``: the terms of what the vendor sold itself."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from licsrv.cli import license_actions
from licsrv.cli.options import AsJson, KeptReason, LicenseName, Staff, Yes, features, short_text, typed
from licsrv.platform.days import Typed

_NEVER = "never"


def extend(
    code: LicenseName,
    until: Annotated[
        Typed,
        typer.Option("--until", metavar="DAY", parser=typed, help="The new last day, such as 2027-01-31, or RFC 3339."),
    ],
    reason: KeptReason,
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Extend a license that you sold yourself to a later day, or renew one that has ended."""
    license_actions.act(
        "extend", code, {"until": until}, reason=reason, staff_name=staff_name, yes=yes, as_json=as_json
    )


def _end(text: str) -> Typed | str:
    return _NEVER if text.strip().lower() == _NEVER else typed(text)


def set_terms(
    code: LicenseName,
    reason: KeptReason,
    expires: Annotated[
        Any,
        typer.Option("--expires", metavar="DAY", parser=_end,
                     help="Its last day, such as 2027-01-31, or RFC 3339; `never`: without an end."),
    ] = None,
    places: Annotated[int | None, typer.Option("--places", min=1, max=1_000_000, help="Places it has.")] = None,
    no_places: Annotated[bool, typer.Option("--no-places", help="Leave places to what was bought.")] = False,
    feature: Annotated[
        list[str] | None,
        typer.Option("--feature", metavar="NAME", callback=features,
                     help="A feature of its product, such as `draw` or `export=10`; repeat it."),
    ] = None,
    no_features: Annotated[bool, typer.Option("--no-features", help="It has no feature.")] = False,
    all_features: Annotated[bool, typer.Option("--all-features", help="It has every feature of its product.")] = False,
    customer: Annotated[
        str | None, typer.Option("--customer", callback=short_text(200), help="Who bought it.")
    ] = None,
    product_id: Annotated[
        str | None, typer.Option("--product-id", callback=short_text(128, least=1), help="The product it is for.")
    ] = None,
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Change the terms of a license that you sold yourself; what is left out stays as it is."""
    if (places is not None) + no_places > 1:
        raise typer.BadParameter("Choose one of --places and --no-places.")
    if bool(feature) + no_features + all_features > 1:
        raise typer.BadParameter("Choose one of --feature, --no-features and --all-features.")
    terms: dict[str, Any] = {}
    if expires is not None:
        terms["expires_at"] = None if expires == _NEVER else expires
    if places is not None or no_places:
        terms["places"] = places
    if feature or no_features or all_features:
        terms["features"] = None if all_features else list(feature or ())
    terms |= {} if customer is None else {"customer": customer}
    terms |= {} if product_id is None else {"product_id": product_id}
    license_actions.act(
        "set_terms", code, {"terms": terms}, reason=reason, staff_name=staff_name, yes=yes, as_json=as_json
    )
