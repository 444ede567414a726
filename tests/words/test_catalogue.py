"""The catalogue is complete and holds nothing else: every text has both languages, and every entry is used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from licsrv import errors
from licsrv.audit import Action
from licsrv.console.navigation import MENU
from licsrv.desk.bulk.rules import JobState, Outcome
from licsrv.desk.reconciliation.api import State as DifferenceState
from licsrv.desk.reports.questions import ABOUT, By, Report
from licsrv.errors import RefusalError
from licsrv.licensing.fingerprints import Agreement, Part
from licsrv.licensing.keyring import Purpose
from licsrv.licensing.lifecycle import Status
from licsrv.licensing.policies import VALUES
from licsrv.marketplace.reconciliation.rules import Kind
from licsrv.marketplace.reconciliation.runs import RunState
from licsrv.outbox import messages
from licsrv.outbox.rules import State as MessageState
from licsrv.people.accounts import Language
from licsrv.people.roles import GRANTABLE, Role
from licsrv.words import actions, alerts, explanations, licenses, policy_values
from licsrv.words.names import NAMES, OTHER_PROBLEM
from licsrv.words.pages import DONE, PAGES
from licsrv.words.sentences import Noun, Sentence, both
from licsrv.words.texts import TEXTS

SOURCE = Path(errors.__file__).parent
TEMPLATES = SOURCE / "console" / "templates"
GAP = re.compile(r"\{(\w+)\}")
# Whose refusals people read in the console.
READ_IN_THE_CONSOLE = (
    "people", "desk", "console", "licensing/changes.py", "licensing/policies.py", "licensing/policy_changes.py",
    "marketplace/reconciliation",
)  # fmt: skip
VOCABULARIES: dict[str, Iterable[str]] = {
    "status": Status,
    "role": Role,
    "permission": GRANTABLE,
    "language": Language,
    "part": Part,
    "part_verdict": Agreement,
    "action": actions.ACTIONS,
    "message": {one.KIND for one in messages.Message.__subclasses__() if one.__module__ == messages.__name__},
    "message_state": MessageState,
    "job_state": JobState,
    "outcome": Outcome,
    "run_state": RunState,
    "difference": Kind,
    "difference_state": DifferenceState,
    "key_purpose": Purpose,
    "report": Report,
    "report_unit": {about.unit for about in ABOUT.values()},
    "report_by": By,
    "audited": Action,
    "policy_value": VALUES,
    "policy_word": {word for value in VALUES.values() for word in value.choices},
}


def in_two_languages() -> Iterator[tuple[str, Sentence]]:
    """Every entry of the catalogue."""
    for module in (actions, alerts, explanations, licenses, policy_values):
        for name, value in vars(module).items():
            if isinstance(value, Sentence):
                yield name, value
            if isinstance(value, Noun):
                yield name, both(value.one.replace("1 ", "{count} ").replace("once", "{count}"), value.zh)
                yield name, both(value.many, value.zh)
    for name, words in actions.ACTIONS.items():
        for sentence in (words.name, words.does, *words.reasons, *words.also.values()):
            yield name, sentence
    for group, names in NAMES.items():
        yield from ((f"{group}.{word}", sentence) for word, sentence in names.items())
    yield from DONE.items()
    yield "other problem", OTHER_PROBLEM
    for name, meanings in policy_values.MEANINGS.items():
        yield from ((f"{name} {word}", sentence) for word, sentence in meanings.items())
    for en, zh in [*PAGES.items(), *TEXTS.items()]:
        yield en, both(en, zh)
    yield from licenses.REPAIRING.items()


def test_every_entry_has_both_languages_with_the_same_gaps() -> None:
    wrong = [
        (name, sentence)
        for name, sentence in in_two_languages()
        if not sentence.en.strip() or not sentence.zh.strip() or gaps(sentence.en) != gaps(sentence.zh)
    ]

    assert wrong == []


def gaps(text: str) -> set[str]:
    return set(GAP.findall(text))


def test_every_word_of_a_vocabulary_has_a_name_and_no_other_word_has_one() -> None:
    wrong = {
        group: set(map(str, words)) ^ set(NAMES[group])
        for group, words in VOCABULARIES.items()
        if set(map(str, words)) != set(NAMES[group])
    }

    assert wrong == {}


def test_every_value_of_a_policy_has_a_meaning() -> None:
    assert list(policy_values.MEANINGS) == list(VALUES)
    for value in VALUES.values():
        words = set(policy_values.MEANINGS[value.name])
        assert words >= (set(value.choices) or ({"yes", "no"} if value.is_yes_or_no else {""})), value.name


def test_every_refusal_that_a_page_heads_has_a_code() -> None:
    codes = {error.code for error in every_refusal() if hasattr(error, "code")}

    assert set(NAMES["problem"]) - codes - {"INTERNAL_ERROR", "METHOD_NOT_ALLOWED"} == set()


def every_refusal(of: type[RefusalError] = RefusalError) -> Iterator[type[RefusalError]]:
    for error in of.__subclasses__():
        yield error
        yield from every_refusal(error)


def sentences_of_pages() -> set[str]:
    """Every sentence that a template says, and the titles of the menu."""
    said = {entry.title for entry in MENU}
    for template in TEMPLATES.iterdir():
        for found in re.finditer(r"""\b_\(\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""", template.read_text()):
            said.add(ast.literal_eval(found[1]))
    return said


def test_the_sentences_of_the_pages_are_those_of_the_catalogue() -> None:
    assert sentences_of_pages() ^ set(PAGES) == set()


def test_every_group_of_names_is_used_and_every_used_group_is_there() -> None:
    text = "\n".join(path.read_text() for path in [*TEMPLATES.iterdir(), *SOURCE.rglob("*.py")])
    used = set(re.findall(r"""(?<![.\w])(?:word|name_of)\(\s*"(\w+)\"""", text))

    assert used ^ set(NAMES) == {"problem"}, "the headline of a refusal is looked up by its code"


def test_everything_that_was_done_is_said_somewhere() -> None:
    text = "\n".join(path.read_text() for path in (SOURCE / "console").glob("*.py"))

    assert [name for name in DONE if f'"{name}"' not in text and f'"{name.rpartition("-")[0]}-{{' not in text] == []


def literal(node: ast.expr) -> str | None:
    """Return a text as it stands in the source, with a bare gap for each value that is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def literals() -> set[str]:
    trees = [ast.parse(path.read_text()) for path in SOURCE.rglob("*.py") if "words" not in path.parts]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.expr)]
    return {text for node in nodes if (text := literal(node))}


def test_every_text_is_said_by_the_code() -> None:
    said = literals()

    assert [text for text in TEXTS if GAP.sub("{}", text) not in said] == []


def texts_of_refusals() -> Iterator[tuple[str, str]]:
    """Yield what the refusals say that people can read in the console, and what they advise."""
    names = {error.__name__ for error in every_refusal()}
    for room in READ_IN_THE_CONSOLE:
        place = SOURCE / room
        for path in place.rglob("*.py") if place.is_dir() else [place]:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                    advice = [keyword.value for keyword in node.keywords if keyword.arg == "action"]
                    for text in filter(None, map(literal, either([*node.args[:1], *advice]))):
                        yield f"{path.relative_to(SOURCE)}:{node.lineno}", text


def either(nodes: list[ast.expr]) -> Iterator[ast.expr]:
    """Yield both sides of what is said by a condition."""
    for node in nodes:
        yield from either([node.body, node.orelse]) if isinstance(node, ast.IfExp) else [node]


def test_no_refusal_that_people_read_is_without_chinese() -> None:
    known = {GAP.sub("{}", text) for text in TEXTS}
    found = list(texts_of_refusals())

    assert len(found) > 100
    assert [(place, text) for place, text in found if text not in known] == []


def test_the_vocabularies_are_those_of_the_code() -> None:
    assert all(issubclass(words, StrEnum) for words in VOCABULARIES.values() if isinstance(words, type))
