"""What lists, JSON and the table call a key is a key, and means the same."""

import pytest

from nsgflow_core.errors import BadInputError
from nsgflow_core.filter import compile_terms
from nsgflow_core.terms import ALIASES, KEYS, NEAREST
from tests.unit.test_filter import flow

EXAMPLES = {key: told.example.removeprefix("!").partition("=")[2] for key, told in KEYS.items()}


@pytest.mark.parametrize("name", ALIASES)
@pytest.mark.parametrize("negation", ["", "!"])
def test_another_name_of_a_key_is_that_key(name: str, negation: str) -> None:
    """In any case; the filter is that of the key's own word, to the last letter."""
    key = ALIASES[name]
    own = compile_terms(f"{negation}{key}={EXAMPLES[key]}")
    for written in (name, name.lower(), name.upper()):
        named = compile_terms(f"{negation}{written}={EXAMPLES[key]}")
        assert (named.terms, named.keys, named.decisions) == (own.terms, own.keys, own.decisions)


def test_values_are_taken_as_the_table_has_them() -> None:
    """`Inbound` and `Denied` beside `in` and `denied`."""
    both = compile_terms("FlowDirection=Inbound FlowStatus=Denied L4Protocol=TCP")
    assert both.accepts(flow(inbound=True, denied=True))
    assert not both.accepts(flow(inbound=False, denied=True))
    assert not both.accepts(flow(inbound=True, denied=False))


@pytest.mark.parametrize("name", NEAREST)
def test_what_is_no_key_is_told_what_comes_nearest(name: str) -> None:
    """A column that no key asks for is no mistake of spelling."""
    with pytest.raises(BadInputError) as caught:
        compile_terms(f"{name}=1")
    said = f"unknown key {name.lower()!r} in '{name}=1': {NEAREST[name]}"
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("term", "mend"), [("action=both", "allowed,denied"), ("direction=both", "in,out")]
)
def test_both_is_told_as_both_words(term: str, mend: str) -> None:
    """Flags have a word for it, filters have commas."""
    with pytest.raises(BadInputError, match=f"did you mean '{mend}'"):
        compile_terms(term)
