"""Pictures that are drawn here, as SVG without style or script: nothing is loaded from elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from markupsafe import Markup
from segno import make

_CELL, _GAP, _LEVELS = 11, 2, 4
_STEP = _CELL + _GAP
_LABELS = 14  # the row above, for the months
_BAR, _BAR_GAP, _CHART = 12, 4, 120


def qr_code(text: str) -> Markup:
    """Return a text as a QR code, dark on light in either colour scheme."""
    drawn = make(text, error="m", micro=False).svg_inline(scale=5, border=4, dark="#000", light="#fff", omitsize=True)
    return Markup(drawn)  # noqa: S704 - drawn by the library, the text is in it as modules only


def year_of_use(first: date, last: date, devices: Mapping[date, int]) -> Markup:
    """Return a year as a calendar: a column for each week, a square for each day, darker where more devices were."""
    monday = first - timedelta(days=first.weekday())
    most = max(devices.values(), default=0)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    squares = Markup("").join(_square(day, monday, devices.get(day, 0), most=most) for day in days)
    months = Markup("").join(_month(day, monday) for day in days if day.day == 1)
    width = ((last - monday).days // 7 + 1) * _STEP
    return _svg("year", width, _LABELS + 7 * _STEP, content=months + squares)


def bars(values: Sequence[tuple[str, int]]) -> Markup:
    """Return a row of bars, each with its meaning as its title."""
    most = max((value for _, value in values), default=0) or 1
    drawn = Markup("").join(_bar(number, name, value, most=most) for number, (name, value) in enumerate(values))
    return _svg("bars", max(len(values), 1) * (_BAR + _BAR_GAP), _CHART, content=drawn)


def level_of(value: int, most: int) -> int:
    """Return how dark a value is shown: 0 for none, then 1 to 4."""
    return 0 if value <= 0 else min(_LEVELS, 1 + (value - 1) * _LEVELS // max(most, 1))


def _svg(kind: str, width: int, height: int, content: Markup) -> Markup:
    head = Markup('<svg class="{}" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-hidden="true">')
    return head.format(kind, width, height, width, height) + content + Markup("</svg>")


def _square(day: date, monday: date, value: int, most: int) -> Markup:
    week, weekday = divmod((day - monday).days, 7)
    shape = Markup('<rect class="level{}" x="{}" y="{}" width="{}" height="{}" rx="2"><title>{}: {}</title></rect>')
    level = level_of(value, most)
    return shape.format(level, week * _STEP, _LABELS + weekday * _STEP, _CELL, _CELL, day.isoformat(), value)


def _month(day: date, monday: date) -> Markup:
    week = (day - monday).days // 7
    return Markup('<text x="{}" y="10">{}</text>').format(week * _STEP, f"{day:%m}")


def _bar(number: int, name: str, value: int, most: int) -> Markup:
    height = round(value * (_CHART - 2) / most)
    shape = Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}"><title>{}: {}</title></rect>')
    return shape.format(number * (_BAR + _BAR_GAP), _CHART - height, _BAR, height, name, value)
