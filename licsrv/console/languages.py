"""The two languages of the console: which one a visitor gets, and what a sentence is in it.

English sentences are the keys; the Chinese ones stand in ``chinese*.json`` beside this module. A sentence that has no
translation, as one of the service may, is shown as it is.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from licsrv.people.accounts import Language
from licsrv.words.refusals import in_both


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


def translated(sentence: str, language: Language) -> str:
    """Return a sentence in a language."""
    return sentence if language is Language.ENGLISH else chinese().get(sentence) or in_both(sentence).zh


@cache
def chinese() -> dict[str, str]:
    """Return every sentence that there is in Chinese."""
    sentences: dict[str, str] = {}
    for file in sorted(files(__package__).iterdir(), key=lambda file: file.name):
        if file.name.startswith("chinese") and file.name.endswith(".json"):
            sentences |= json.loads(file.read_text("utf-8"))
    return sentences


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
