"""What a text can gain: a binding follows repairs, one part at a time, and describes one machine."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from licsrv.licensing import bindings, fingerprints
from licsrv.licensing.fingerprints import HashedParts
from tests.tables import each

OURS = {"mac": ["m1", "m2"], "disk": ["d1"], "board": ["b1"], "cpu": ["c"]}
THEIRS = {"mac": ["m8", "m9"], "disk": ["d8", "d9"], "board": ["b8"], "cpu": ["c"]}


def test_a_new_part_is_learned_and_one_value_of_each_part_is_kept() -> None:
    table: list[tuple[str, HashedParts, HashedParts, dict[str, list[str]] | None]] = [
        ("another disk", OURS, OURS | {"disk": ["d5"]}, {"mac": ["m1"], "disk": ["d5"], "board": ["b1"], "cpu": ["c"]}),
        ("the second address stayed", OURS, OURS | {"mac": ["m2", "m5"], "disk": ["d5"]},
         {"mac": ["m2"], "disk": ["d5"], "board": ["b1"], "cpu": ["c"]}),
        ("another card", OURS, OURS | {"mac": ["m5", "m6"]},
         {"mac": ["m5"], "disk": ["d1"], "board": ["b1"], "cpu": ["c"]}),
        ("a board that was not known", {"mac": ["m1"], "disk": ["d1"]}, OURS,
         {"mac": ["m1"], "disk": ["d1"], "board": ["b1"]}),
        ("one of two that were not known", {"mac": ["m1"], "cpu": ["c"]}, OURS,
         {"mac": ["m1"], "disk": ["d1"], "cpu": ["c"]}),
        ("the same", OURS, OURS, None),
        ("a part less", OURS, {"mac": ["m1"], "disk": ["d1"]}, None),
        ("another CPU", OURS, OURS | {"cpu": ["c5"]}, None),
        ("a value next to a bound one", OURS, OURS | {"mac": ["m1", "m5"], "disk": ["d1", "d5"]}, None),
        ("too little to be bound more strictly", {"mac": ["m1"], "cpu": ["c"]}, {"mac": ["m1"], "disk": ["d1"]}, None),
        ("what another device has", OURS, OURS | {"disk": ["taken"]}, None),
    ]  # fmt: skip
    for row in each(table, names=[name for name, *_ in table]):
        with row as (_, known, shown, expected):
            learned = bindings.learn(known, shown, others={"taken"})
            assert (learned.parts if learned is not None else None) == expected


def test_it_says_whether_more_can_be_learned() -> None:
    first = bindings.learn({"mac": ["m1"], "cpu": ["c"]}, OURS)
    assert first is not None
    second = bindings.learn(first.parts, OURS)
    assert second is not None

    assert (first.is_last, second.is_last, bindings.learn(second.parts, OURS)) == (False, True, None)


def texts(*machines: HashedParts) -> st.SearchStrategy[HashedParts]:
    """Any text that lists what these machines have."""

    def some(part: str, most: int) -> st.SearchStrategy[list[str]]:
        values = sorted({value for machine in machines for value in machine[part]})
        return st.lists(st.sampled_from(values), max_size=most, unique=True)

    return st.fixed_dictionaries(
        {"mac": some("mac", 4), "disk": some("disk", 3), "board": some("board", 1), "cpu": some("cpu", 1)}
    ).map(lambda text: {part: values for part, values in text.items() if values})


def shown_with(known: HashedParts, parts: set[str], text: HashedParts) -> HashedParts:
    """A text that shows some parts of a known device, too."""
    return {**text, **{part: [*known[part], *text.get(part, [])] for part in parts if part in known}}


SHOWN = st.sets(st.sampled_from(["mac", "disk", "board"]), max_size=2)


@given(texts(OURS), SHOWN, texts(OURS, THEIRS))
def test_no_single_text_makes_a_stranger_the_device(known: HashedParts, parts: set[str], text: HashedParts) -> None:
    """Whatever else it lists: the stranger shares nothing with the device but the CPU."""
    registered, text = known, shown_with(known, parts, text)
    if set(registered) <= {"cpu"} or not fingerprints.is_same_device(registered, text):
        return

    learned = bindings.learn(registered, text)

    assert learned is None or not fingerprints.is_same_device(learned.parts, THEIRS)


@given(texts(OURS, THEIRS), st.lists(st.tuples(SHOWN, texts(OURS, THEIRS)), max_size=6))
def test_a_binding_that_has_learned_fits_one_machine(
    registered: HashedParts, sent: list[tuple[set[str], HashedParts]]
) -> None:
    known, has_learned = registered, False
    for parts, new in sent:
        text = shown_with(known, parts, new)
        if set(known) - {"cpu"} and fingerprints.is_same_device(known, text):
            learned = bindings.learn(known, text)
            known, has_learned = (learned.parts, True) if learned is not None else (known, has_learned)

    if has_learned:
        assert all(len(values) == 1 for values in known.values())
        assert not (fingerprints.is_same_device(known, OURS) and fingerprints.is_same_device(known, THEIRS))
