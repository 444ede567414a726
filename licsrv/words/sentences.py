"""A sentence in both languages, and how its gaps are filled. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from licsrv.platform import moments
from licsrv.platform.fields import Body

_UNITS = (("天", 86_400), ("小时", 3600), ("分钟", 60), ("秒", 1))
_LEAST = 2  # "1 天" would hide up to half of the span


class Sentence(Body):
    """The same thing in both languages."""

    zh: str
    en: str

    def filled(self, **values: object) -> Sentence:
        """Return the sentence with its gaps filled; a value in two languages goes into each in its own."""
        return Sentence(zh=self.zh.format_map(_in("zh", values)), en=self.en.format_map(_in("en", values)))

    def __add__(self, other: Sentence) -> Sentence:
        """Return both, one after the other."""
        return Sentence(zh=self.zh + other.zh, en=f"{self.en} {other.en}")


def _in(language: str, values: Mapping[str, object]) -> dict[str, object]:
    return {name: getattr(value, language) if isinstance(value, Sentence) else value for name, value in values.items()}


def both(en: str, zh: str) -> Sentence:
    """Return a sentence of the catalogue."""
    return Sentence(zh=zh, en=en)


def same(text: str) -> Sentence:
    """Return something that has the same form in both languages, as a name or what people wrote."""
    return Sentence(zh=text, en=text)


def joined(sentences: Iterable[Sentence]) -> Sentence:
    """Return several as an enumeration."""
    all_of_them = list(sentences)
    return Sentence(zh="、".join(one.zh for one in all_of_them), en=", ".join(one.en for one in all_of_them))


def named(words: Mapping[str, Sentence], word: str) -> Sentence:
    """Return what a word of the service is called; the word itself where the catalogue does not know it."""
    return words.get(word) or same(word)


@dataclass(frozen=True)
class Noun:
    """Something that is counted; each form has the gap ``{count}``."""

    one: str
    many: str
    zh: str

    def __call__(self, count: int, **values: object) -> Sentence:
        """Return so many of it, with its other gaps filled."""
        form = self.one if count == 1 else self.many
        return Sentence(zh=self.zh, en=form).filled(count=count, **values)


def moment(at: datetime, now: datetime) -> Sentence:
    """Return a moment and how far it is."""
    far = span(at - now).zh + ("后" if at > now else "前")
    return Sentence(zh=f"{moments.full(at)}（{far}）", en=moments.both(at, now))


def span(length: timedelta) -> Sentence:
    """Return a span in its largest unit, in whole numbers."""
    return Sentence(zh=_span_zh(length), en=moments.span(length))


def _span_zh(length: timedelta) -> str:
    seconds = int(abs(length).total_seconds())
    for name, size in _UNITS:
        count = seconds // size
        if count >= _LEAST or (count and size == 1):
            return f"{count} {name}"
    return "0 秒"
