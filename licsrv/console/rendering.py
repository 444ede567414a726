"""Turning a template into a page: Jinja2 with everything escaped, and the few filters that templates need."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from licsrv.console import languages, navigation
from licsrv.console.visits import Visit
from licsrv.licensing import entitlements
from licsrv.platform import days
from licsrv.words.names import name_of
from licsrv.words.pages import DONE
from licsrv.words.texts import in_both

STATIC = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}


def render(environment: Environment, template: str, context: Mapping[str, Any]) -> str:
    """Return a page as text."""
    visit: Visit = context["visit"]
    values = {
        "_": visit.say,
        "language": visit.language,
        "navigation": navigation.entries(visit),
        "who": visit.who,
        "may": visit.may,
        "text": lambda text: languages.said(in_both(text), visit.language),
        "word": lambda group, word: languages.said(name_of(group, word), visit.language),
        "done_sentence": DONE.get(str(context["said"])),
    }
    return environment.get_template(template).render(**values, **context)


@cache
def environment_of_pages() -> Environment:
    """Return the templates, compiled once; a name that is missing in one is an error and no blank."""
    environment = Environment(
        loader=PackageLoader("licsrv.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": moment,
        "is_moment": is_moment,
        "form_day": form_day,
        "shown_json": shown_json,
        "choices": entitlements.choices,
    }
    environment.globals["static"] = static_address
    return environment


def moment(value: str | datetime | None) -> str:
    """Return a moment for people: to the minute, in UTC, readable by scripts and screen readers; a dash for none."""
    found = _moment(value)
    if found is None:
        return "–"
    shown = f"{found:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(found.isoformat(), shown)


def is_moment(value: str) -> bool:
    """Whether a text is a moment that can be shown as one."""
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


@pass_context
def form_day(context: Context, value: str | datetime | None) -> str:
    """Return the last day before an end as a form's field takes it; empty for none."""
    found = _moment(value)
    return str(days.last_day(found, context["visit"].day_zone)) if found else ""


def _moment(value: str | datetime | None) -> datetime | None:
    if not value:
        return None
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def shown_json(value: object) -> str:
    """Return a value as indented JSON with every character as it is."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def static_address(name: str) -> str:
    """Return the address of a file of ours; it changes with the file, so that browsers may keep it."""
    return f"/admin/static/{name}?v={_digest(name)}"


@cache
def static_file(name: str) -> bytes:
    """Return a file of ours.

    Raises:
        KeyError: There is none of this name.
    """
    if name not in STATIC:
        raise KeyError(name)
    return (files("licsrv.console") / "static" / name).read_bytes()


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(static_file(name)).hexdigest()[:12]
