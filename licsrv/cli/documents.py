"""Rows as the JSON that commands print: members in snake_case, moments RFC 3339, the same words as in the API. Pure.

The members only ever grow: programs rely on them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from licsrv.audit.tables import AuditEntry
from licsrv.cli.moments import full, rfc3339
from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing import lifecycle
from licsrv.licensing.tables import Device, License, Product
from licsrv.marketplace.tables import CallbackRecord, LicenseOrder, MarketplaceView
from licsrv.outbox.tables import OutboxRow
from licsrv.platform import days

Document = dict[str, Any]
_KNOWN_ON_THE_PAGE = frozenset({"code", "product_id", "order_id", "amount", "issued", "parts", "places"})
_SHORTEST_MOMENT = len("2027-01-31T16:00Z")


def license(row: License, *, places: int, now: datetime) -> Document:
    """Describe a license and what it is at ``now``."""
    return {
        "id": row.id,
        "code": row.code,
        "status": str(lifecycle.status(row, now)),
        "reason": lifecycle.reason(row, now).en,
        "is_provisional": lifecycle.is_provisional(row, now),
        "is_test": row.is_test,
        "source": row.source,
        "product_id": row.product_id,
        "order_id": row.order_id,
        "order_line_id": row.order_line_id,
        "customer": row.customer,
        "amount": row.amount,
        "device_limit": row.device_limit,
        "places": places,
        "places_taken": row.places_taken,
        "expires_at": rfc3339(row.expires_at),
        "grace_until": rfc3339(row.grace_until),
        "maintenance_until": rfc3339(row.maintenance_until),
        "created_at": rfc3339(row.created_at),
        "activated_at": rfc3339(row.activated_at),
        "provisional_until": rfc3339(row.provisional_until),
        "refused_reason": row.refused_reason,
        "frozen_at": rfc3339(row.frozen_at),
        "revoked_at": rfc3339(row.revoked_at),
        "revoked_by": row.revoked_by,
        "revoked_reason": row.revoked_reason,
        "released_at": rfc3339(row.released_at),
    }


def product(row: Product) -> Document:
    """Describe a product."""
    return {
        "product_id": row.product_id,
        "name": row.name,
        "device_limit": row.device_limit,
        "amount_is_places": row.amount_is_places,
        "features": list(row.features),
    }


def device(row: Device, contact: CheckIn | None) -> Document:
    """Describe a device and its last contact; of its parts only which are known, never their hashes."""
    return {
        "id": row.id,
        "name": row.name,
        "client_version": row.client_version,
        "known_parts": sorted(part for part, values in row.parts.items() if values),
        "has_place": row.released_at is None,
        "first_seen_at": rfc3339(row.first_seen_at),
        "released_at": rfc3339(row.released_at),
        "last_contact_at": rfc3339(contact.last_at) if contact else None,
        "last_status": contact.status if contact else None,
        "lease_until": rfc3339(contact.lease_until) if contact else None,
    }


def order(row: LicenseOrder) -> Document:
    """Describe an order that touched a license."""
    return {
        "order_id": row.order_id,
        "order_line_id": row.order_line_id,
        "scene": row.scene,
        "at": rfc3339(row.at),
    }


def view(row: MarketplaceView) -> Document:
    """Describe what the marketplace said of a license."""
    return {
        "status": row.status,
        "expires_at": rfc3339(row.expires_at),
        "asked_at": rfc3339(row.asked_at),
        "answer": read_json(row.answer),
    }


def delivery(row: OutboxRow, *, code: str | None) -> Document:
    """Describe a delivery of the outbox."""
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "code": code,
        "ordering_key": row.ordering_key,
        "payload": row.payload,
        "attempts": row.attempts,
        "created_at": rfc3339(row.created_at),
        "due_at": rfc3339(row.due_at),
        "claimed_until": rfc3339(row.claimed_until),
        "settled_at": rfc3339(row.settled_at),
        "last_error": row.last_error,
    }


def callback(row: CallbackRecord) -> Document:
    """Describe a callback as it came and as it was answered."""
    return {
        "id": row.id,
        "received_at": rfc3339(row.received_at),
        "activity": row.activity,
        "code": row.code,
        "result_code": row.result_code,
        "message": row.message,
        "is_signed": row.is_signed,
        "is_probe": row.is_probe,
        "key_digest": row.key_digest,
        "body": row.body,
        "body_bytes": row.body_bytes,
        "request_id": row.request_id,
    }


def audit_entry(row: AuditEntry) -> Document:
    """Describe an audit entry."""
    return {
        "seq": row.seq,
        "at": rfc3339(row.at),
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "reason": row.reason,
        "detail": read_json(row.detail),
        "request_id": row.request_id,
        "hash": row.hash,
    }


def read_json(text: str) -> Any:
    """Return what a stored JSON text says; the text itself where it was cut or is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def in_words(detail: Any) -> str:
    """Return the detail of an audit entry as one line: ``name=value``, with ``before -> after`` where it changed."""
    if not isinstance(detail, Mapping):
        return str(detail)
    return ", ".join(f"{name}={_value(value)}" for name, value in detail.items() if value not in (None, "", {}, []))


def in_brief(detail: Any) -> str:
    """Return what a person who knows the license already wants to read of a detail."""
    if not isinstance(detail, Mapping):
        return str(detail)
    return in_words({name: value for name, value in detail.items() if name not in _KNOWN_ON_THE_PAGE})


def _value(value: Any) -> str:
    if isinstance(value, Mapping) and value.keys() == {"before", "after"}:
        return f"{_value(value['before'])} -> {_value(value['after'])}"
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{name} {_value(inner)}" for name, inner in value.items()) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    return "none" if value is None else _moment_or_text(str(value))


def _moment_or_text(text: str) -> str:
    try:
        return full(days.read(text).begin(UTC)) if len(text) >= _SHORTEST_MOMENT else text
    except ValueError:
        return text
