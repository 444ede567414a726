"""The SQL of licensing. Rows that a decision is about to change are locked; nothing is decided here."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Text, bindparam, delete, func, insert, or_, select, update
from sqlmodel import Session, col

from licsrv.licensing import fingerprints, policies, spellings
from licsrv.licensing.fingerprints import HashedParts, lookup_parts, selective_parts
from licsrv.licensing.keyring import ISSUED_COLUMNS
from licsrv.licensing.places import KnownDevice
from licsrv.licensing.spellings import Meant
from licsrv.licensing.tables import (
    ALARMED,
    Device,
    DevicePart,
    DeviceText,
    IssuedLicense,
    LearnedPart,
    License,
    PolicyVersion,
    Product,
    RefusedDevice,
)
from licsrv.platform.db import SLICE, LookAlike, add_missing, delete_slice, execute, is_member, listed, table_of
from licsrv.platform.ids import new_id


@dataclass(frozen=True)
class ProductRow:
    """What the vendor says of a license's product."""

    name: str
    features: Sequence[str]
    second_signature: bool = False
    deliver_as: str = "auto"
    signed_as: str | None = None
    former_names: Sequence[str] | None = None


_OF_PRODUCT = tuple(member.name for member in fields(ProductRow))
_licenses, _products, _devices = table_of(License).c, table_of(Product).c, table_of(Device).c
_SECOND = timedelta(seconds=1)
_parts, _issued, _refused = table_of(DevicePart).c, table_of(IssuedLicense).c, table_of(RefusedDevice).c
_policies = table_of(PolicyVersion).c

IS_POLICY_OF_LICENSE = (_policies.product_id == _licenses.product_id) & _policies.replaced_at.is_(None)
"""Joins a license with what its product's policy states now: at most one row."""

# Statements of the paths that many callers wait on are made once: making one costs more than running it.
_FOR_ACTIVATION = (
    select(
        table_of(License),
        *(_products[name].label(f"product_{name}") for name in _OF_PRODUCT),
        _policies.stated.label("policy"),
    )
    .outerjoin_from(table_of(License), table_of(Product), _products.product_id == _licenses.product_id)
    .outerjoin(table_of(PolicyVersion), IS_POLICY_OF_LICENSE)
    .where(_licenses.code == bindparam("of_code"))
)
_FOR_ACTIVATION_LOCKED = _FOR_ACTIVATION.with_for_update(of=table_of(License))
_DEVICE_COLUMNS = (
    _devices.id, _devices.parts, _devices.released_at, _devices.text_hash
)  # fmt: skip
_DEVICES_LIKE = (
    select(*_DEVICE_COLUMNS)
    .where(
        _devices.id.in_(
            select(_parts.device_id).where(
                _parts.license_id == bindparam("of_license"),
                _parts.part_hash.in_(bindparam("hashes", expanding=True)),
            )
        )
    )
    .order_by(_devices.id)
)
_POLICY_TEXT = select(_policies.stated).where(
    _policies.product_id == bindparam("of_product"), _policies.replaced_at.is_(None)
)
_POLICY_TEXTS = select(_policies.product_id, _policies.stated).where(
    is_member(_policies.product_id, "of_products"), _policies.replaced_at.is_(None)
)
_MOVE_PLACES = (
    update(table_of(License))
    .where(_licenses.id == bindparam("of_license"))
    .values(places_taken=_licenses.places_taken + bindparam("by"))
)
_LATEST_ISSUED = (
    select(table_of(IssuedLicense))
    .where(
        _issued.device_id == bindparam("of_device"),
        _issued.form == bindparam("of_form"),
        _issued.given_back_at.is_(None),
    )
    .order_by(_issued.id.desc())
    .limit(1)
)
_STILL_ISSUED = _LATEST_ISSUED.join_from(
    table_of(IssuedLicense), table_of(Device), _devices.id == _issued.device_id
).where(
    or_(_devices.clock_reset_at.is_(None), _issued.issued_at >= _devices.clock_reset_at),
    _issued.issued_at < bindparam("begun_before"),
)
_LAST_ISSUED = (
    select(table_of(IssuedLicense))
    .where(_issued.device_id == bindparam("of_device"))
    .order_by(_issued.form, _issued.id.desc())  # "file" before "string"
    .limit(1)
)
_HELD = select(_issued.id, _issued.claims).where(
    _issued.license_id == bindparam("of_license"), _issued.given_back_at.is_(None)
)
_CALL_BACK = (
    update(table_of(IssuedLicense)).where(is_member(_issued.id, "of_texts")).values(given_back_at=bindparam("at"))
)
# A locked row is read again even where the session has it: the copy from before the lock may be old.
_ANEW = {"populate_existing": True}
_LOCKED = select(License).where(col(License.code) == bindparam("of_code")).with_for_update().execution_options(**_ANEW)
_LOCKED_MANY = (
    select(License)
    .where(is_member(col(License.id), "of_licenses"))
    .order_by(col(License.id))  # one order everywhere: no deadlocks
    .with_for_update()
    .execution_options(**_ANEW)
)
_CLAIMS = select(_issued.license_id, _issued.claims).where(is_member(_issued.license_id, "of_licenses"))
_BY_DEVICES = (is_member(_issued.device_id, "of_devices"), _issued.given_back_at.is_(None))
_HELD_BY_DEVICES = select(_issued.id, _issued.claims).where(*_BY_DEVICES)
_GIVE_BACK = update(table_of(IssuedLicense)).where(*_BY_DEVICES).values(given_back_at=bindparam("at"))
_LAST_HANDED = (
    select(func.max(_issued.issued_at)).where(_issued.device_id == _devices.id).scalar_subquery().label("issued_at")
)
_SEEN_DEVICES = (
    select(
        _devices.id, _devices.license_id, _devices.name, _devices.released_at, _devices.first_seen_at,
        _devices.asked_at, _LAST_HANDED,
    )
    .where(is_member(_devices.id, "of_devices"))
    .order_by(_devices.id)
)  # fmt: skip
_OF_CODES = select(License).where(is_member(_licenses.code, "of_codes"))
_LOOKS_ALIKE = select(_licenses.code, _licenses.activated_at, _licenses.refused_reason).where(
    LookAlike(_licenses.code) == LookAlike(bindparam("typed", type_=Text))
)
_MOST_ALIKE = 20
_typed = listed("typed")
_EACH_LOOKS_ALIKE = select(
    _typed.c.value.label("typed"), _licenses.code, _licenses.activated_at, _licenses.refused_reason
).where(LookAlike(_licenses.code) == LookAlike(_typed.c.value))
_SEAL_ISSUED = (
    update(table_of(IssuedLicense)).where(_issued.id == bindparam("of_id")).values(seal=bindparam("new_seal"))
)
_ADD_DEVICE, _ADD_PART, _ADD_ISSUED = (insert(table_of(model)) for model in (Device, DevicePart, IssuedLicense))


def product_row(product: Product | None) -> ProductRow | None:
    """Return a product as it is read with a license that is activated."""
    return ProductRow(*(getattr(product, name) for name in _OF_PRODUCT)) if product is not None else None


def license_for_activation(session: Session, code: str, *, locked: bool = True) -> tuple[Any, ProductRow | None]:
    """Return the row of a code's license, and its product; or Nones.

    The row's ``policy`` is what the product's policy states.

    Args:
        locked: Whether the row stays locked until the end of the transaction.
    """
    statement = _FOR_ACTIVATION_LOCKED if locked else _FOR_ACTIVATION
    row = execute(session, statement, {"of_code": code}).one_or_none()
    if row is None or row.product_name is None:
        return row, None
    return row, ProductRow(*(getattr(row, f"product_{name}") for name in _OF_PRODUCT))


def license_by_code(session: Session, code: str) -> License | None:
    """Return the license of a code, without a lock."""
    return session.scalars(select(License).where(col(License.code) == code)).one_or_none()


def licenses_by_codes(session: Session, codes: Sequence[str]) -> Sequence[License]:
    """Return the licenses of some codes, in the order of the codes, without a lock; codes without one are left out."""
    found = {license.code: license for license in session.scalars(_OF_CODES, {"of_codes": json.dumps(list(codes))})}
    return [found[code] for code in codes if code in found]


def code_meant(session: Session, typed: str) -> Meant:
    """Return the code of a license that a typed one means; see :mod:`licsrv.licensing.spellings`.

    A license that the authority refused is meant only where no other one is.
    """
    rows = execute(session, _LOOKS_ALIKE.limit(_MOST_ALIKE), {"typed": spellings.clean(typed)}).all()
    return _meant(typed, rows)


def codes_meant(session: Session, typed: Iterable[str]) -> dict[str, Meant]:
    """Return what each of many typed codes means, as :func:`code_meant` does, with one statement for all."""
    cleaned = {one: spellings.clean(one) for one in typed}
    found: dict[str, list[Any]] = defaultdict(list)
    for row in execute(session, _EACH_LOOKS_ALIKE, {"typed": json.dumps(sorted(set(cleaned.values())))}):
        found[row.typed].append(row)
    return {one: _meant(one, found[plain]) for one, plain in cleaned.items()}


def _meant(typed: str, rows: Sequence[Any]) -> Meant:
    meant = spellings.read(typed, [row.code for row in rows if row.activated_at or row.refused_reason is None])
    return meant if meant.code is not None else spellings.read(typed, [row.code for row in rows])


def license_typed(session: Session, typed: str) -> License | None:
    """Return the license that a typed code means, without a lock."""
    exact = license_by_code(session, typed)
    if exact is not None or (code := code_meant(session, typed).code) is None:
        return exact
    return license_by_code(session, code)


def license_for_update(session: Session, code: str) -> License | None:
    """Return the license of a code, locked until the end of the transaction."""
    return session.scalars(_LOCKED, {"of_code": code}).one_or_none()


def license_by_id(session: Session, license_id: str) -> License | None:
    """Return a license, without a lock."""
    return session.get(License, license_id)


def license_by_id_for_update(session: Session, license_id: str) -> License | None:
    """Return a license, locked until the end of the transaction."""
    query = select(License).where(col(License.id) == license_id).with_for_update()
    return session.scalars(query.execution_options(**_ANEW)).one_or_none()


def licenses_by_ids_for_update(session: Session, license_ids: Sequence[str]) -> Sequence[License]:
    """Return licenses in the order of their ids, all locked until the end of the transaction."""
    return session.scalars(_LOCKED_MANY, {"of_licenses": json.dumps(list(license_ids))}).all()


def find_licenses(session: Session, *, text: str | None = None, limit: int = 50) -> Sequence[License]:
    """Return licenses, newest first: all, or those whose code, order, id or customer is or begins with ``text``."""
    query = select(License).order_by(col(License.id).desc()).limit(limit)
    if text:
        columns = (col(License.code), col(License.order_id), col(License.id), col(License.customer))
        begins = [column.startswith(text, autoescape=True) for column in columns]
        query = query.where(or_(col(License.code) == code_meant(session, text).code, *begins))
    return session.scalars(query).all()


def product(session: Session, product_id: str) -> Product | None:
    """Return what the vendor says of a product."""
    return session.get(Product, product_id) if product_id else None


def product_for_update(session: Session, product_id: str) -> Product | None:
    """Return a product, locked until the end of the transaction."""
    query = select(Product).where(col(Product.product_id) == product_id).with_for_update()
    return session.scalars(query.execution_options(**_ANEW)).one_or_none()


def policy_text(session: Session, product_id: str) -> str:
    """Return what a product's policy states now; empty where it states nothing."""
    found: str | None = execute(session, _POLICY_TEXT, {"of_product": product_id}).scalar_one_or_none()
    return found or ""


def policy_texts(session: Session, product_ids: Collection[str]) -> dict[str, str]:
    """Return what the policies of products state now, by product; those that state nothing are left out."""
    wanted = {"of_products": json.dumps(sorted(set(product_ids)))}
    return {row.product_id: row.stated for row in execute(session, _POLICY_TEXTS, wanted)}


def all_policy_texts(session: Session) -> dict[str, str]:
    """Return what the policies of all products state now, by product."""
    rows = session.execute(select(_policies.product_id, _policies.stated).where(_policies.replaced_at.is_(None)))
    return {row.product_id: row.stated for row in rows}


def floating_products(session: Session) -> frozenset[str]:
    """Return the products whose places float; one whose policy is damaged is left out."""
    stated = {product_id: policies.read_if_whole(text) or {} for product_id, text in all_policy_texts(session).items()}
    return frozenset(product_id for product_id, values in stated.items() if values.get("places.floating"))


def damaged_policies(session: Session) -> list[str]:
    """Return the products whose policy cannot be read."""
    texts = all_policy_texts(session)
    return [product_id for product_id, text in texts.items() if policies.read_if_whole(text) is None]


def lowered_licenses(session: Session, product_ids: Sequence[str], *, after: str, limit: int) -> Sequence[License]:
    """Return the next licenses of products that had more devices in use than places, by their ids."""
    marked = (col(License.lowered_at).is_not(None), col(License.released_at).is_(None), col(License.places_taken) > 0)
    query = select(License).where(*marked, col(License.product_id).in_(product_ids), col(License.id) > after)
    return session.scalars(query.order_by(col(License.id)).limit(limit)).all()


def current_policy(session: Session, product_id: str) -> PolicyVersion | None:
    """Return the newest version of a product's policy."""
    mine = (col(PolicyVersion.product_id) == product_id, col(PolicyVersion.replaced_at).is_(None))
    return session.scalars(select(PolicyVersion).where(*mine).execution_options(**_ANEW)).one_or_none()


def policy_version(session: Session, product_id: str, version: int) -> PolicyVersion | None:
    """Return a version of a product's policy."""
    return session.get(PolicyVersion, (product_id, version))


def uses_of_places(session: Session, product_id: str) -> Sequence[Any]:
    """Return ``device_limit``, ``amount`` and ``places_taken`` as licenses have them, with the number of ``licenses``.

    There are few such groups however many licenses there are.
    """
    facts = (col(License.device_limit), col(License.amount), col(License.places_taken))
    live = (col(License.product_id) == product_id, col(License.released_at).is_(None), facts[2] > 0)
    query = select(*facts, func.count().label("licenses")).where(*live)
    return session.execute(query.group_by(*facts).order_by(*facts)).all()


def uses_places_alike(group: Any) -> tuple[Any, ...]:
    """Return the condition of the licenses of a group of :func:`uses_of_places`."""
    return (
        col(License.device_limit).is_not_distinct_from(group.device_limit),
        col(License.amount).is_not_distinct_from(group.amount),
        col(License.places_taken) == group.places_taken,
    )


def note_lowered(session: Session, product_id: str, group: Any, *, now: datetime) -> None:
    """Note that licenses of a group got fewer places than devices use, for the desk."""
    live = (col(License.product_id) == product_id, col(License.released_at).is_(None), *uses_places_alike(group))
    execute(session, update(table_of(License)).where(*live).values(lowered_at=now))


def note_overfull(session: Session, license_id: str, *, now: datetime) -> None:
    """Note that a license has more in use than was bought, for the desk."""
    execute(session, update(table_of(License)).where(_licenses.id == license_id).values(lowered_at=now))


def policy_versions(session: Session, product_id: str, *, most: int) -> Sequence[PolicyVersion]:
    """Return the versions of a product's policy, newest first."""
    query = select(PolicyVersion).where(col(PolicyVersion.product_id) == product_id)
    return session.scalars(query.order_by(col(PolicyVersion.version).desc()).limit(most)).all()


def add_policy_version(session: Session, version: PolicyVersion) -> None:
    """Replace a product's policy; of two at once the keys refuse one."""
    current = (col(PolicyVersion.product_id) == version.product_id, col(PolicyVersion.replaced_at).is_(None))
    execute(session, update(table_of(PolicyVersion)).where(*current).values(replaced_at=version.at))
    session.add(version)
    session.flush()


def devices_like(session: Session, license_id: str, parts: HashedParts) -> list[KnownDevice]:
    """Return the devices of a license that share a selective part with a given one."""
    rows = execute(session, _DEVICES_LIKE, {"of_license": license_id, "hashes": lookup_parts(parts)}).all()
    return [KnownDevice(row.id, row.parts, row.released_at is None, text_hash=row.text_hash) for row in rows]


def devices_with_place(session: Session, license_id: str, *, limit: int) -> list[KnownDevice]:
    """Return the first devices that hold a place."""
    holds = (col(Device.license_id) == license_id, col(Device.released_at).is_(None))
    rows = session.execute(select(table_of(Device)).where(*holds).order_by(col(Device.id)).limit(limit)).all()
    return [KnownDevice(row.id, row.parts, True) for row in rows]


def newest_devices(session: Session, license_id: str, *, limit: int) -> Sequence[Device]:
    """Return the devices with a place that came last."""
    holds = (col(Device.license_id) == license_id, col(Device.released_at).is_(None))
    query = select(Device).where(*holds).order_by(col(Device.first_seen_at).desc(), col(Device.id).desc())
    return session.scalars(query.limit(limit)).all()


def seen_devices(session: Session, device_ids: Sequence[str]) -> Sequence[Any]:
    """Return devices with their names and places, and when each was first seen, last asked and last handed something.

    In the order of their ids: ``id``, ``license_id``, ``name``, ``released_at``, ``first_seen_at``, ``asked_at``,
    ``issued_at``.
    """
    found: Sequence[Any] = execute(session, _SEEN_DEVICES, {"of_devices": json.dumps(list(device_ids))}).all()
    return found


def devices_of_license(session: Session, license_id: str, *, limit: int) -> Sequence[str]:
    """Return the ids of devices of a license, those that hold a place before others."""
    query = select(col(Device.id)).where(col(Device.license_id) == license_id)
    return session.scalars(query.order_by(col(Device.released_at).is_not(None), col(Device.id)).limit(limit)).all()


def devices_not_asking(session: Session, license_id: str, *, before: datetime, after: str, limit: int) -> Sequence[str]:
    """Return the next ids of devices that hold a place of a license and did not ask since a moment, as rows say."""
    mine = (col(Device.license_id) == license_id, col(Device.id) > after)
    query = select(col(Device.id)).where(*mine, *_not_asking(before))
    return session.scalars(query.order_by(col(Device.id)).limit(limit)).all()


def _not_asking(before: datetime) -> tuple[Any, ...]:
    return (
        col(Device.released_at).is_(None),
        col(Device.first_seen_at) <= before,
        or_(col(Device.asked_at).is_(None), col(Device.asked_at) <= before),
    )


def products_devices_not_asking(
    session: Session, product_ids: Collection[str], *, before: datetime, after: str, limit: int
) -> Sequence[Any]:
    """Return ``id`` and ``product_id`` of devices behind an id, of the licenses of products, as above."""
    query = (
        select(col(Device.id), col(License.product_id))
        .join(License, col(License.id) == col(Device.license_id))
        .where(
            col(Device.id) > after,
            col(License.product_id).in_(product_ids),
            col(License.released_at).is_(None),
            *_not_asking(before),
        )
    )
    return session.execute(query.order_by(col(Device.id)).limit(limit)).all()


def claims_held_by(session: Session, device_ids: Sequence[str], form: str) -> Sequence[Any]:
    """Return ``device_id`` and ``claims`` of everything of a form that devices hold."""
    query = select(_issued.device_id, _issued.claims).where(*_BY_DEVICES, _issued.form == form)
    found: Sequence[Any] = execute(session, query, {"of_devices": json.dumps(list(device_ids))}).all()
    return found


def add_device(session: Session, device: Mapping[str, Any]) -> None:
    """Write a new device and the parts by which it is found."""
    execute(session, _ADD_DEVICE, dict(device))
    execute(session, _ADD_PART, _part_rows(device["id"], device["license_id"], device["parts"]))


def bind_anew(session: Session, device_id: str, license_id: str, parts: HashedParts, *, text_hash: str = "") -> None:
    """Bind a device to other parts, by which it is found from now on.

    Args:
        text_hash: The hash of the text by which it is then known at once; empty for none.
    """
    values: dict[str, Any] = {"parts": dict(parts), "text_hash": text_hash}
    fingerprint = fingerprints.fingerprint(parts)
    if not is_registered(session, license_id, fingerprint):
        values["fingerprint"] = fingerprint
    update_device(session, device_id, **values)
    session.execute(delete(DevicePart).where(col(DevicePart.device_id) == device_id))
    execute(session, _ADD_PART, _part_rows(device_id, license_id, parts))


def is_registered(session: Session, license_id: str, fingerprint: str) -> bool:
    """Whether a device of a license was registered, or is bound, with exactly these parts."""
    same = (col(Device.license_id) == license_id, col(Device.fingerprint) == fingerprint)
    return session.scalar(select(col(Device.id)).where(*same)) is not None


def bound_to_others(session: Session, license_id: str, device_id: str, hashes: Sequence[str]) -> set[str]:
    """Return which of these parts other devices of the license are bound to."""
    query = select(col(DevicePart.part_hash)).where(
        col(DevicePart.license_id) == license_id,
        col(DevicePart.device_id) != device_id,
        col(DevicePart.part_hash).in_(hashes),
    )
    return set(session.scalars(query))


def count_learned(session: Session, device_id: str, *, since: datetime) -> int:
    """Count the parts that a device learned since a moment."""
    mine = (col(LearnedPart.device_id) == device_id, col(LearnedPart.learned_at) > since)
    return session.scalar(select(func.count()).select_from(LearnedPart).where(*mine)) or 0


def add_learned(session: Session, device_id: str, part: str, *, now: datetime) -> None:
    """Count a part that a device learned."""
    session.add(LearnedPart(id=new_id(now), device_id=device_id, part=part, learned_at=now))
    session.flush()


@dataclass(frozen=True)
class TextsOfDay:
    """How many other texts a device sent on a day, and whether that was an alarm already."""

    count: int
    is_alarmed: bool


def texts_of_day(session: Session, device_ids: Sequence[str], day: date) -> dict[str, TextsOfDay]:
    """Return what these devices sent on a day; those that sent no other text are left out."""
    query = select(col(DeviceText.device_id), func.count(), func.min(DeviceText.text_hash)).where(
        col(DeviceText.day) == day, is_member(col(DeviceText.device_id), "of_devices")
    )
    rows = execute(session, query.group_by(col(DeviceText.device_id)), {"of_devices": json.dumps(list(device_ids))})
    return {
        device_id: TextsOfDay(count - (first == ALARMED), is_alarmed=first == ALARMED)
        for device_id, count, first in rows
    }


def add_texts(session: Session, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Note texts of devices; one that is noted for its day stays as it is. Return the devices that said one more."""
    return add_missing(session, DeviceText, "device_id", rows=rows)


def note_alarm(session: Session, device_id: str, license_id: str, *, day: date) -> bool:
    """Note that the texts of a device were an alarm on a day; whether this is the first time: the key decides."""
    row = {"day": day, "device_id": device_id, "text_hash": ALARMED, "license_id": license_id}
    return bool(add_missing(session, DeviceText, "device_id", rows=[row]))


def prune_texts(session: Session, *, before: date) -> int:
    """Delete some texts of days (UTC) before a date; return how many."""
    return delete_slice(session, DeviceText, col(DeviceText.day) < before)


def _part_rows(device_id: str, license_id: str, parts: HashedParts) -> list[dict[str, str]]:
    hashes = dict.fromkeys(selective_parts(parts))
    return [{"device_id": device_id, "license_id": license_id, "part_hash": part_hash} for part_hash in hashes]


def device_for_update(session: Session, device_id: str) -> Device | None:
    """Return a device, locked until the end of the transaction; its license is locked before it, always."""
    query = select(Device).where(col(Device.id) == device_id).with_for_update()
    return session.scalars(query.execution_options(**_ANEW)).one_or_none()


def device(session: Session, device_id: str) -> Device | None:
    """Return a device, without a lock."""
    return session.get(Device, device_id)


def update_device(session: Session, device_id: str, **values: Any) -> None:
    """Change columns of a device."""
    if values:
        execute(session, update(table_of(Device)).where(_devices.id == device_id).values(**values))


def move_places(session: Session, license_id: str, by: int) -> None:
    """Count a place as taken (1) or given back (-1)."""
    execute(session, _MOVE_PLACES, {"of_license": license_id, "by": by})


def add_issued(session: Session, row: Mapping[str, Any]) -> None:
    """Write down a license before it is handed out."""
    execute(session, _ADD_ISSUED, dict(row))


def last_issued(session: Session, device_id: str) -> Any:
    """Return the row of the last file of a device, else of its last string, called back or not; or None."""
    return execute(session, _LAST_ISSUED, {"of_device": device_id}).one_or_none()


def still_issued(session: Session, device_id: str, form: str, *, now: datetime) -> Any:
    """Return what was last handed out to a device, not given back since, and younger than a reset of its clock.

    Where our own clock was set back since, a text of a second that has not begun again does not count yet: else each
    request would get a new one until then.
    """
    parameters = {"of_device": device_id, "of_form": form, "begun_before": now.replace(microsecond=0) + _SECOND}
    return execute(session, _STILL_ISSUED, parameters).one_or_none()


def give_back_issued(session: Session, device_ids: Sequence[str], now: datetime) -> Sequence[Any]:
    """Note that devices gave back everything that they were handed out; return the rows that they had still to give."""
    given = {"of_devices": json.dumps(list(device_ids))}
    rows: Sequence[Any] = execute(session, _HELD_BY_DEVICES, given).all()
    if rows:
        execute(session, _GIVE_BACK, given | {"at": now})
    return rows


def held_texts(session: Session, license_id: str) -> Sequence[Any]:
    """Return ``id`` and ``claims`` of everything that was handed out for a license and not given back."""
    found: Sequence[Any] = execute(session, _HELD, {"of_license": license_id}).all()
    return found


def call_back(session: Session, issued_ids: Sequence[str], *, now: datetime) -> None:
    """Note that texts were called back: they are never handed out again."""
    execute(session, _CALL_BACK, {"of_texts": json.dumps(list(issued_ids)), "at": now})


def features_by_product(session: Session) -> dict[str, Sequence[str]]:
    """Return the features of every product that was described, by its id."""
    rows = session.execute(select(_products.product_id, _products.features)).all()
    return {row.product_id: row.features for row in rows}


def claims_held(session: Session, device_id: str, form: str) -> Sequence[str]:
    """Return the claims of everything of a form that a device was handed out and did not give back."""
    held = (_issued.device_id == device_id, _issued.form == form, _issued.given_back_at.is_(None))
    return session.scalars(select(_issued.claims).where(*held)).all()


def claims_of_licenses(session: Session, license_ids: Sequence[str]) -> Sequence[Any]:
    """Return ``license_id`` and ``claims`` of everything that was handed out for licenses."""
    found: Sequence[Any] = execute(session, _CLAIMS, {"of_licenses": json.dumps(list(license_ids))}).all()
    return found


def products_with_second_signature(session: Session) -> Sequence[str]:
    """Return the ids of the products whose files carry a second signature."""
    return session.scalars(
        select(col(Product.product_id)).where(col(Product.second_signature)).order_by(col(Product.product_id))
    ).all()


def reseal_issued(session: Session, after: str, seal: Callable[[Mapping[str, Any]], str]) -> str | None:
    """Seal a page of rows behind an id as they are; return the last id, None at the end."""
    table = table_of(IssuedLicense)
    found = session.execute(select(table).where(_issued.id > after).order_by(_issued.id).limit(SLICE)).mappings().all()
    if found:
        execute(session, _SEAL_ISSUED, [{"of_id": row["id"], "new_seal": seal(dict(row))} for row in found])
    return str(found[-1]["id"]) if len(found) == SLICE else None


def newest_issued(session: Session, most: int) -> Sequence[Any]:
    """Return the newest rows of what was handed out, with what their seals cover."""
    columns = (_issued[name] for name in (*ISSUED_COLUMNS, "seal"))
    return session.execute(select(*columns).order_by(_issued.id.desc()).limit(most)).all()


def issued_by_digest(session: Session, digest: str) -> IssuedLicense | None:
    """Return the license handed out that has this digest."""
    return session.scalars(select(IssuedLicense).where(col(IssuedLicense.digest) == digest)).one_or_none()


def count_refusal_again(session: Session, row: Mapping[str, Any]) -> bool:
    """Count a refusal in the day's row of its device, if there is one; ``row`` holds the columns of the table."""
    same = [_refused[name] == row[name] for name in ("license_id", "day", "device", "code")]
    statement = update(table_of(RefusedDevice)).where(*same)
    again = statement.values(count=_refused["count"] + 1, last_at=row["last_at"]).returning(_refused.device)
    return execute(session, again).first() is not None


def add_refusal(session: Session, row: Mapping[str, Any]) -> bool:
    """Add the day's row of a refused device; False where another transaction was first."""
    return bool(add_missing(session, RefusedDevice, "device", rows=[row]))


def refusals_of_day(session: Session, license_id: str, day: date) -> int:
    """Count the rows of a license on a day."""
    query = select(func.count()).where(col(RefusedDevice.license_id) == license_id, col(RefusedDevice.day) == day)
    return session.scalar(query) or 0


def prune_refusals(session: Session, *, before: date) -> int:
    """Delete some refusals of days (UTC) before a date; return how many."""
    midnight = datetime.combine(before, time(), UTC)
    return delete_slice(session, RefusedDevice, col(RefusedDevice.last_at) < midnight)
