"""The policy of a product, a preview of a change, and the answer to one, as API, console and command line show them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlmodel import Session

from licsrv.licensing import policies, policy_changes, store
from licsrv.licensing.policies import VALUES, Policies, Policy, Value
from licsrv.licensing.policy_changes import Plan
from licsrv.licensing.tables import PolicyVersion
from licsrv.platform.fields import Body
from licsrv.words.policy_values import MEANINGS
from licsrv.words.sentences import Sentence

_VERSIONS = 20

Stated = int | float | bool | str


class ValueShown(Body):
    """A value of a policy, and what it means."""

    name: str
    value: Stated | None = Field(description="what holds; null: as many places as were bought, or as the setting says")
    is_stated: bool = Field(description="the product says it itself")
    setting: str | None = Field(description="what says it otherwise; null: it is built in")
    least: float | None = Field(description="null for words, and for yes and no")
    most: float | None
    choices: list[str] = Field(description="the words of which it is one; empty for numbers, and for yes and no")
    says: Sentence


class VersionShown(Body):
    """A version of a policy: what the product stated, by whom and why."""

    version: int
    at: datetime
    actor: str
    reason: str
    restores: int | None = Field(description="the version that an undo brought back")
    stated: dict[str, Stated] | None = Field(description="null: it is damaged")


class PolicyShown(Body):
    """The policy of a product and its newest versions."""

    product_id: str
    product_name: str
    version: int = Field(description="0: the product states nothing")
    values: list[ValueShown]
    versions: list[VersionShown]
    can_be_undone: bool
    is_damaged: bool = Field(description="devices get no new lease until it is undone; shown is what the settings say")


class PolicyAnswer(Body):
    """A policy after a change."""

    changed: bool
    policy: PolicyShown


class LosingDevice(Body):
    """A device that a change concerns."""

    device_id: str
    name: str
    license_id: str
    code: str


class EffectShown(Body):
    """What a change takes away, and from which devices; of many the first ones."""

    says: Sentence
    count: int
    devices: list[LosingDevice]


class ValueChange(Body):
    """One value before and after a change."""

    name: str
    before: ValueShown
    after: ValueShown


class PolicyPreview(Body):
    """What a change would do; nothing was changed."""

    product_id: str
    version: int
    changes: list[ValueChange]
    licenses: int = Field(description="licenses of the product that were not released")
    devices: int = Field(description="their devices with a place")
    effects: list[EffectShown]


def policy(session: Session, product_id: str, known: Policies) -> PolicyShown:
    """Return the policy of a product.

    Raises:
        NotFoundError: The product is not described.
    """
    product = None if "\x00" in product_id else store.product(session, product_id)
    if product is None:
        raise policy_changes.not_described()
    rows = store.policy_versions(session, product_id, most=_VERSIONS)
    current = next((row for row in rows if row.replaced_at is None), None)
    whole = policies.read_if_whole(current.stated) if current is not None else {}
    stated = whole or {}
    holds = policies.over(known.base, stated)
    return PolicyShown(
        product_id=product_id,
        product_name=product.name,
        version=current.version if current is not None else 0,
        values=[value_shown(value, holds, is_stated=value.name in stated) for value in VALUES.values()],
        versions=[_version(row) for row in rows],
        can_be_undone=policy_changes.can_be_undone(current),
        is_damaged=whole is None,
    )


def _version(row: PolicyVersion) -> VersionShown:
    return VersionShown(
        version=row.version, at=row.at, actor=row.actor, reason=row.reason, restores=row.restores,
        stated=policies.read_if_whole(row.stated),
    )  # fmt: skip


def value_shown(value: Value, holds: Policy, *, is_stated: bool) -> ValueShown:
    """Return one value of a policy."""
    number = value.of(holds)
    least, most = value.bounds or (None, None)
    return ValueShown(
        name=value.name, value=number, is_stated=is_stated,
        setting=f"LICSRV_{value.setting}" if value.setting else None,
        least=least, most=most, choices=list(value.choices), says=meaning(value.name, number),
    )  # fmt: skip


def meaning(name: str, number: Stated | None) -> Sentence:
    """Return what a value means, in one sentence."""
    sentences = MEANINGS[name]
    word = word_of(number)
    return (sentences.get(word) or sentences[""]).filled(value=word)


def word_of(number: Stated | None) -> str:
    """Return a value as people write it."""
    if number is None:
        return "none"
    if isinstance(number, str):
        return number
    if isinstance(number, bool):
        return "yes" if number else "no"
    return f"{number:.10g}"


def value_changes(plan: Plan) -> list[ValueChange]:
    """Return each value that a plan changes, before and after."""
    return [
        ValueChange(
            name=name,
            before=value_shown(VALUES[name], plan.holds_before, is_stated=name in plan.before),
            after=value_shown(VALUES[name], plan.holds_after, is_stated=name in plan.after),
        )
        for name in policy_changes.changes_of(plan)
        if name in VALUES
    ]


def schema() -> dict[str, Any]:
    """Return the JSON schema of a policy file."""
    properties = {value.name: _schema_of(value) for value in VALUES.values()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Policy of a product",
        "description": "What is left out stays as it is; null is as the settings say.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _schema_of(value: Value) -> dict[str, Any]:
    says = " / ".join(sentence.en for sentence in MEANINGS[value.name].values()).replace("{value}", "N")
    if value.choices:
        return {"enum": [*value.choices, None], "description": says}
    if value.bounds is None:
        return {"type": ["boolean", "null"], "description": says}
    least, most = value.bounds
    kind = "integer" if value.is_whole else "number"
    return {"type": [kind, "null"], "minimum": least, "maximum": most, "description": says}
