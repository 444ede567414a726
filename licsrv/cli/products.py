"""``licsrv products``: what the vendor says of each product the marketplace numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from licsrv.cli import product_policy, staff, terminal
from licsrv.cli.options import AsJson, Staff, features, short_text, word_of
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import Workplace, open_workplace
from licsrv.errors import InvalidRequestError, KeyringError
from licsrv.platform.paging import Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from sqlmodel import Session

    from licsrv.audit import Cause
    from licsrv.desk.products.answers import ProductShown
    from licsrv.licensing.issuing.strings import LicenseTerms
    from licsrv.licensing.tables import Product

app = typer.Typer(name="products", help="Products: names, features, policies.", no_args_is_help=True)
app.command("policy")(product_policy.policy)

_EVERY = 1_000_000
_LONGEST_ID, _LONGEST_NAME = 128, 64
# Options of `products set` that are values of the policy since there is one.
_IN_POLICY = {
    "device_limit": "places.limit",
    "amount_is_places": "places.amount_counts",
    "learned_parts": "recognition.learned_parts",
    "learned_days": "recognition.learned_days",
    "weak_binding": "recognition.weak_binding",
}
_COLUMNS = (
    Column("Product"),
    Column("Name", flexible=True),
    Column("Places", number=True),
    Column("Amount counts"),
    Column("Delivered as", from_width=terminal.WIDE),
    Column("Signed twice", from_width=terminal.WIDE),
    Column("Features", flexible=True),
)


SecondSignature: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--second-signature/--no-second-signature", help="Whether license files are also signed with ML-DSA-65."
    ),
]
DeliverAs: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--deliver-as",
        metavar="FORM",
        callback=word_of("licsrv.licensing.issuing.issuing:Delivery"),
        help="How a license goes to the marketplace: string, file, or auto (a string where it fits).",
    ),
]


LearnedParts: TypeAlias = Annotated[
    int | None,
    typer.Option("--learned-parts", min=0, max=100, help="How many new parts a device may be bound to (0: none)..."),
]
LearnedDays: TypeAlias = Annotated[
    int | None, typer.Option("--learned-days", min=1, max=3650, help="...within so many days.")
]


WeakBinding: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--weak-binding/--no-weak-binding",
        help="Whether a machine without facts of its own may be bound to its installation.",
    ),
]


@app.command("list")
def list_products(as_json: AsJson = False) -> None:
    """List the products that were described; others get the defaults."""
    from licsrv.desk.products import answers

    with open_workplace() as place, place.reading() as session:
        found = answers.products(session, Window(_EVERY), place.policies()).items
    if as_json:
        terminal.show_document({"products": found})
        return
    terminal.show_table(_COLUMNS, [_row(product) for product in found])
    if not found:
        terminal.warn("No product is described yet: `licsrv products set PRODUCT_ID --name NAME`.")


def _row(product: ProductShown) -> list[object]:
    return [
        product.product_id,
        product.name,
        product.device_limit or "default",
        "places" if product.amount_is_places else "something else",
        product.deliver_as,
        _word(product.second_signature),
        ", ".join(product.features),
    ]


@app.command("set")
def set_product(
    product_id: Annotated[
        str, typer.Argument(callback=short_text(_LONGEST_ID, least=1), help="Its id at the marketplace (`productId`).")
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", callback=short_text(_LONGEST_NAME, least=1), help="The name that people read."),
    ] = None,
    device_limit: Annotated[
        int | None,
        typer.Option(
            "--device-limit", min=1, max=1_000_000, help="Places of a license, or of each unit of its amount."
        ),
    ] = None,
    no_device_limit: Annotated[bool, typer.Option("--no-device-limit", help="Leave places to the setting.")] = False,
    amount_is_places: Annotated[
        bool | None,
        typer.Option("--amount-is-places/--amount-is-not-places", help="Whether the amount sold counts devices."),
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(
            "--feature",
            callback=features,
            help="Such as `draw`, `export=3` or `solver until 2027-03-31`; repeat it. Replaces all.",
        ),
    ] = None,
    no_features: Annotated[bool, typer.Option("--no-features", help="Remove all features.")] = False,
    second_signature: SecondSignature = None,
    deliver_as: DeliverAs = None,
    one_off: Annotated[
        bool | None,
        typer.Option(
            "--one-off/--no-one-off", help="Whether it is sold once, so that its licenses may be without an end."
        ),
    ] = None,
    learned_parts: LearnedParts = None,
    learned_days: LearnedDays = None,
    weak_binding: WeakBinding = None,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Describe a product; what is not named stays as it is. Licenses say it when they are next handed out."""
    if (device_limit and no_device_limit) or (feature and no_features):
        raise typer.BadParameter("An option and its --no- form exclude each other.")
    wanted: dict[str, Any] = {
        "name": name,
        "amount_is_places": amount_is_places,
        "second_signature": second_signature,
        "deliver_as": deliver_as,
        "one_off": one_off,
        "learned_parts": learned_parts,
        "learned_days": learned_days,
        "weak_binding": weak_binding,
    }
    wanted = {key: value for key, value in wanted.items() if value is not None}
    if device_limit or no_device_limit:
        wanted["device_limit"] = device_limit
    if feature or no_features:
        wanted["features"] = list(dict.fromkeys(feature or ()))
    _set(product_id, wanted, staff.cause(staff_name), as_json=as_json)


def _set(product_id: str, wanted: Mapping[str, Any], cause: Cause, *, as_json: bool) -> None:
    from licsrv.desk.products import answers

    with open_workplace() as place:
        if "features" in wanted:
            wanted = {**wanted, "features": _features(wanted["features"], place.settings.day_zone)}
        with place.writing() as session:
            before = answers.of_product(session, product_id, place.policies())
            _change(session, place, product_id, wanted=wanted, cause=cause)
            shown = answers.described(session, product_id, place.policies())
            changes = answers.changes(before, shown)
            renamed = answers.renaming(session, product_id, changes)
        if renamed is not None:
            terminal.warn(renamed.sentence)
        _warn_of_missing_key(place, second_signature=shown.second_signature)
    if as_json:
        document = {"changes": changes, "product": shown}
        terminal.show_document(document if renamed is None else document | {"renamed": renamed})
    elif not changes:
        terminal.say(f"{product_id} is already described so. No change needed.")
    else:
        terminal.say(f"Product {product_id} is described:")
        terminal.show_facts(
            [(member, f"{_word(change['before'])} -> {_word(change['after'])}") for member, change in changes.items()]
        )


def _features(texts: Sequence[str], zone: tzinfo) -> list[str]:
    """Return features as they are stored.

    Raises:
        BadParameter: One is named twice.
    """
    from licsrv.licensing import entitlements

    stored = [entitlements.canonical(text, zone) for text in texts]
    if (name := entitlements.twice(stored)) is not None:
        raise typer.BadParameter(f"The feature {name} is named twice.")
    return stored


def _warn_of_missing_key(place: Workplace, *, second_signature: bool) -> None:
    """Say what to do before the first file is asked for: without the key each such request is refused."""
    if not second_signature:
        return
    try:
        place.keys.read().second_signer(now=place.clock.now())
    except KeyringError as error:
        terminal.warn(f"{error} Until then no license file of this product can be issued.")


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)


def _change(session: Session, place: Workplace, product_id: str, wanted: Mapping[str, Any], cause: Cause) -> None:
    """Write what differs, and note it; what belongs to the policy becomes a new version of it."""
    from licsrv import audit
    from licsrv.audit import Action
    from licsrv.licensing import naming, policy_changes, store
    from licsrv.licensing.policy_changes import Wanted
    from licsrv.licensing.tables import Product

    known = store.product(session, product_id)
    product = known or Product(product_id=product_id, name=product_id[:_LONGEST_NAME], features=[])
    members = Product.model_fields.keys() - _IN_POLICY.keys()
    before = product.model_dump() if known else dict.fromkeys(members)
    if known and wanted.get("name", known.name) != known.name:
        product.former_names = naming.former_after(known.former_names, known.name, wanted["name"])
    for member in wanted.keys() - _IN_POLICY.keys():
        setattr(product, member, wanted[member])
    _require_short(product, place)

    after = product.model_dump()
    changes = {
        member: {"before": before[member], "after": after[member]}
        for member in Product.model_fields
        if member in members and member != "product_id" and before[member] != after[member]
    }
    now = place.clock.now()
    if changes or not known:
        session.add(product)
        session.flush()
        # The audit's subject is shorter than a product's id may be, so the detail has the whole id.
        detail = {"product_id": product_id, **changes}
        audit.record(session, Action.PRODUCT_CHANGED, subject=product_id[:64], cause=cause, detail=detail, now=now)
    stated = {_IN_POLICY[member]: wanted[member] for member in _IN_POLICY if member in wanted}
    policy_changes.change(session, product_id, Wanted(stated), known=place.policies(), cause=cause, now=now)


def _require_short(product: Product, place: Workplace) -> None:
    """Refuse a description with which a license would not fit into what can travel, before a customer sees it.

    Raises:
        InvalidRequestError: Name and features are too long together.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from licsrv.licensing import fingerprints
    from licsrv.licensing.issuing import files, strings
    from licsrv.licensing.issuing.files import FileDetails
    from licsrv.licensing.issuing.issuing import Delivery
    from licsrv.licensing.signing import LICENSE_TYPE, SigningKey

    terms = _longest_terms(product, place)
    key = SigningKey.make("k" * 16, Ed25519PrivateKey.generate(), typ=LICENSE_TYPE)
    facts = fingerprints.parse("020000000001|DISK-1|BOARD-1|CPU-1")
    salt = bytes(strings.SALT_BYTES)
    is_file = product.deliver_as == Delivery.FILE
    try:
        if is_file:
            files.sign_file(terms, FileDetails("O" * 64, "f" * 100, "d" * 100), facts, salt=salt, key=key)
        else:
            strings.sign_license(terms, facts, salt=salt, key=key)
    except InvalidRequestError as error:
        most = f"{files.MAX_FILE} bytes" if is_file else f"{strings.MAX_STRING} characters"
        raise InvalidRequestError(
            f"With this name and these features a license would be longer than the {most} that can travel.",
            action="Use shorter or fewer features."
            if is_file
            else "Use shorter or fewer features, or --deliver-as file.",
        ) from error


def _longest_terms(product: Product, place: Workplace) -> LicenseTerms:
    from licsrv.licensing import naming
    from licsrv.licensing.issuing.strings import LicenseTerms

    now = place.clock.now()
    longest_id, longest_code = "v" * 23, "P" * 32
    names = naming.names(product.product_id, product.name, product.signed_as, former=product.former_names)
    return LicenseTerms(
        place.settings.issuer, longest_id, longest_id, code=longest_code, product=names.signed,
        features=product.features, product_name=names.shown, product_names=names.others,
        amount=10**6, is_test=True, is_provisional=True, issued_at=now, ends_at=now, maintenance_until=now,
    )  # fmt: skip
