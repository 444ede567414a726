"""What support is shown, as the API gives it and as commands print it: members in snake_case, moments RFC 3339 UTC."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import Field

from licsrv.desk.audit.answers import Entry
from licsrv.desk.deliveries.answers import Delivery
from licsrv.desk.fields import Listing
from licsrv.desk.licenses.seats import SeatsShown
from licsrv.desk.products.answers import ProductShown
from licsrv.desk.reconciliation.answers import DifferenceShown
from licsrv.platform.fields import Body
from licsrv.words.sentences import Sentence


class LicenseLine(Body):
    """A license in a list."""

    id: str
    code: str
    status: str
    says: Sentence = Field(description="what it is and may do now")
    product_id: str
    customer: str
    order_id: str
    floating: bool = Field(False, description="places are seats, which programs take while they run")
    places: int
    places_taken: int
    expires_at: datetime | None
    grace_until: datetime | None


class LicenseFactsShown(LicenseLine):
    """Everything that a license's row holds."""

    reason: str = Field(description="why it may not be used, in English; empty while it may")
    source: str
    sold: Sentence = Field(description="where it was sold")
    order_line_id: str
    amount: int | None
    device_limit: int | None
    features: list[str] | None = Field(description="its own; null where it has those of its product")
    decided_elsewhere: list[str] = Field(description="of end, places, features, customer, product: its seller's word")
    is_test: bool
    is_provisional: bool
    created_at: datetime
    activated_at: datetime | None
    provisional_until: datetime | None
    refused_reason: str | None
    maintenance_until: datetime | None
    frozen_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    revoked_reason: str | None
    released_at: datetime | None


class MatchShown(Body):
    """How a device compares with a pasted fingerprint."""

    is_same_device: bool
    agreeing: int
    needed: int
    parts: dict[str, str] = Field(description="mac, disk, board, cpu: agrees, differs, not given, not known")


class DeviceLine(Body):
    """A device; of its parts only which are known."""

    id: str
    license_id: str
    name: str
    client_version: str
    known_parts: list[str]
    has_place: bool
    weakly_bound: bool = Field(description="bound to an install identity, not to facts of the machine")
    first_seen_at: datetime
    released_at: datetime | None
    clock_reset_at: datetime | None = None
    last_contact_at: datetime | None = None
    last_status: str | None = None
    lease_until: datetime | None = None
    match: MatchShown | None = None


class Hit(Body):
    """A license that was found, by what, and the device that led to it."""

    license: LicenseLine
    found_by: list[str] = Field(
        description="code, look_alike, id, order, customer, device_name, device_id, fingerprint, presented"
    )
    device: DeviceLine | None = None


class Judged(Body):
    """What a pasted license string, file or lease is."""

    kind: str = Field(description="license_string, license_file, lease or unknown")
    is_ours: bool = Field(description="whether a key of ours signed it")
    is_on_record: bool = Field(description="whether it is as it was handed out")
    counts: bool = Field(description="whether a device may go on with it now")
    says: Sentence
    key_id: str | None = None
    key_is_retired: bool | None = None
    issued_at: datetime | None = None
    ends_at: datetime | None = None
    claims: dict[str, Any] = Field(default_factory=dict, description="what it says, without its device")


class SearchAnswer(Body):
    """What the one box found."""

    kind: str = Field(description="presented, fingerprint or text")
    hits: list[Hit]
    has_more: bool
    judged: Judged | None = None


class ViewShown(Body):
    """What the marketplace said of a license when it was last asked."""

    status: str
    expires_at: datetime | None
    asked_at: datetime
    answer: Any


class CopyShown(Body):
    """One of several copies of a machine: what it says of itself, and from which network."""

    branch: str = Field(description="what the actions bless and unbless take")
    name: str
    client_version: str
    network: str
    since: datetime = Field(description="since when it is known as a line of its own")
    last_contact_at: datetime
    is_blessed: bool = Field(description="staff lets it work")


class CopiedDevice(Body):
    """A device of which two copies were proven to be in use."""

    license_id: str
    device_id: str
    name: str
    proven_at: datetime
    is_settled: bool = Field(description="staff has blessed a copy, and no other fork was proven since")
    copies: list[CopyShown] = Field(description="the last seen first")


class ActionOffered(Body):
    """A staff action that a page can offer, and what it has to ask for."""

    action: str
    takes: list[str] = Field(
        description="of device_id, seat_id, branch, until, text, terms: what it can take next to the reason"
    )
    needs: list[str] = Field(description="what it cannot do without")
    permission: str
    is_dangerous: bool


class MovesShown(Body):
    """How often places of a license were given back within the last 30 days."""

    by_programs: int = Field(description="limited by LICSRV_MOVES_PER_PLACE and LICSRV_MOVE_COOL_DOWN_HOURS")
    by_staff: int = Field(description="not limited")


class TraceStep(Body):
    """What one rule said of a device."""

    rule: str = Field(description="license, device, place, binding, learning, lease")
    passed: bool = Field(description="false for the one rule for which the device gets no license")
    says: Sentence


class ExplainAnswer(Body):
    """What a device would get of a license at a moment, as things are now; nothing was changed."""

    at: datetime
    gets_license: bool
    code: str | None = Field(description="of the refusal that the device would get")
    says: Sentence
    device: DeviceLine | None = Field(description="the device that is recognised")
    takes_place: bool
    floating: bool = Field(description="places are seats, which programs take while they run")
    places: int
    places_taken: int
    trace: list[TraceStep] = Field(description="the rules in the order in which they were asked")


class LicensePage(Body):
    """The license page. ``devices`` holds the first of them; the rest is a list of its own."""

    license: LicenseFactsShown
    product: ProductShown | None
    devices: list[DeviceLine]
    devices_total: int
    seats: SeatsShown | None = Field(description="null where places are fixed")
    copied: list[CopiedDevice] = Field(description="devices with proven copies")
    moves: MovesShown
    marketplace: ViewShown | None
    differences: list[DifferenceShown]
    actions: list[str] = Field(description="what the page can offer now")
    offers: list[ActionOffered] = Field(description="the same, with what each asks for")


class OrderShown(Body):
    """An order that touched a license."""

    order_id: str
    order_line_id: str
    scene: str
    at: datetime


class LicenseDossier(LicensePage):
    """The license page with what an operator at the terminal sees as well: every device, orders, deliveries, audit."""

    summary: str = Field(description="the license's sentence in English")
    orders: list[OrderShown]
    deliveries: list[Delivery] = Field(description="what is not done yet")
    audit: list[Entry] = Field(description="the last changes")


class DevicesAnswer(Listing[DeviceLine]):
    """A page of a license's devices."""


class TimelineItem(Body):
    """Something that happened to a license.

    ``kind``: order, callback, change (an audit entry), contact (a device's day), note, report (an outbox row).
    """

    key: str
    at: datetime
    kind: str
    title: Sentence
    actor: str = ""
    reason: str = ""
    text: str = ""
    detail: dict[str, Any] = Field(default_factory=dict)


class TimelineAnswer(Listing[TimelineItem]):
    """A page of a timeline, newest first."""


class UsedDay(Body):
    """How many devices checked in on a day."""

    day: date
    devices: int


class UsageAnswer(Body):
    """A year of daily use; days without a check-in are left out."""

    first_day: date
    last_day: date
    days: list[UsedDay]


class CompareAnswer(Body):
    """Our license next to the marketplace's, asked just now."""

    license: LicenseFactsShown
    marketplace: ViewShown | None
    differences: list[DifferenceShown]
    says: Sentence
