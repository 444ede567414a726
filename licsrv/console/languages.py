"""The two languages of the console: which one a visitor gets, and a sentence in it. Pure."""

from __future__ import annotations

from licsrv.people.accounts import Language
from licsrv.words.sentences import Sentence


def negotiated(accepted: str) -> Language:
    """Return which of our languages a browser prefers (``Accept-Language``, RFC 9110 §12.5.4); English if neither."""
    best, best_weight = Language.ENGLISH, 0.0
    for part in accepted.split(",")[:20]:
        tag, _, parameters = part.strip().partition(";")
        language = _ours(tag)
        weight = _weight(parameters)
        if language is not None and weight > best_weight:
            best, best_weight = language, weight
    return best


def language_named(name: str | None) -> Language | None:
    """Return the language of a short name; None for any other text."""
    return Language(name) if name in set(Language) else None


def said(sentence: Sentence, language: Language) -> str:
    """Return a sentence in a language."""
    return sentence.en if language is Language.ENGLISH else sentence.zh


def _ours(tag: str) -> Language | None:
    return language_named(tag.strip().split("-")[0].lower())


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
