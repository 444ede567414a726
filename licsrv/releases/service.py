"""The use case of clients: is there a newer version for me? It reads and decides, and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session

from licsrv.errors import ForbiddenError
from licsrv.licensing import bearers as licensing
from licsrv.licensing.issuing import strings
from licsrv.licensing.keyring import Keyring
from licsrv.releases import rules, store, versions
from licsrv.releases.catalogues import Catalogues
from licsrv.releases.rules import Client, Holder
from licsrv.releases.store import Presented, ProductWithVersions
from licsrv.releases.versions import Scheme


@dataclass(frozen=True)
class Question:
    """What a client says of itself. ``product`` is the product's id or its name; ``license_string`` may be absent."""

    product: str
    version: str
    channel: str
    platform: str
    license_string: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Offer:
    """A version for the client, as its row; ``forced`` when the client must not stay at its own."""

    release: Any
    forced: bool


def check(
    session: Session, question: Question, *, catalogues: Catalogues, keyring: Keyring, now: datetime
) -> Offer | None:
    """Return the version that a client is offered; None when there is none for it.

    Who presents no license is offered only what is for everyone: nothing of products with a maintenance rule, and
    nothing that is still being rolled out.

    Args:
        session: One that sees one state of the database.
        question: What the client says of itself.
        catalogues: The versions as they were last read.
        keyring: Which license strings count.
        now: The moment.

    Raises:
        UnauthenticatedError: The license string does not count.
        ForbiddenError: The license is one of another product.
        InvalidRequestError: The version cannot be read.
    """
    license = _presented(session, question, keyring)
    product = _product(session, question.product, license)
    if product is None:
        return None
    version = versions.parse(question.version, Scheme(product.version_scheme))
    if not _may_have_any(product, license, now):
        return None

    client = Client(version, question.channel, question.platform, holder=_holder(license))
    choice = rules.choose(catalogues.of(session, product), client, now=now)

    return Offer(store.release_row(session, choice.release_id), choice.forced) if choice is not None else None


def _presented(session: Session, question: Question, keyring: Keyring) -> Presented | None:
    """Return the license presented; None where none was.

    A license of another product is refused whether or not that product exists.

    Raises:
        UnauthenticatedError: We did not issue the string, or its key has been retired.
        ForbiddenError: The license is one of another product.
    """
    if question.license_string is None:
        return None
    license = store.presented(session, strings.digest(question.license_string))
    if license is None or not keyring.recognises(license.key_id, license.seal, store.sealed_values(license)):
        raise licensing.unknown_bearer()
    names = {license.product_id, license.product_name, license.signed_as, *(license.former_names or ())}
    if question.product not in names:
        raise ForbiddenError("The license is one of another product.", action="Ask with the license of this product.")
    return license


def _product(session: Session, name: str, license: Presented | None) -> ProductWithVersions | None:
    """Return the product whose versions are meant; None where none was ever published.

    The marketplace numbers each way of buying a product, so several may share a name: an id counts before a name, and
    of those with the name the license's own before the others.
    """
    found = {product.product_id: product for product in store.products_with_versions(session, name)}
    own = license.product_id if license is not None else ""
    return found.get(name) or found.get(own) or next(iter(found.values()), None)


def _may_have_any(product: ProductWithVersions, license: Presented | None, now: datetime) -> bool:
    if license is None:
        return product.maintenance_months is None
    return rules.may_upgrade(license, device_has_place=license.place_released_at is None, now=now)


def _holder(license: Presented | None) -> Holder | None:
    if license is None:
        return None
    return Holder(license.device_id, rules.maintenance_end(license, license.maintenance_months))
