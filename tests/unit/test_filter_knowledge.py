"""Filter terms that depend on service tags and the inventory."""

import pytest
from msgspec.structs import replace

from nsgflow_core.estate import enrich
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.filter import all_of, compile_terms
from nsgflow_core.model import Flow
from tests.unit.test_filter import flow
from tests.unit.test_service_tags import load

KNOWN = Knowledge(load({"Storage": ["20.60.0.0/16"]}))
STORAGE = flow(src="20.60.1.1")


def test_types_are_judged_with_what_is_known() -> None:
    """With nothing known the address alone decides."""
    azure = compile_terms("action=denied type=AzurePublic")

    assert azure.knowing(KNOWN)(STORAGE)
    assert not azure.knowing(NOTHING)(STORAGE)
    assert not azure.accepts(STORAGE)
    assert not azure.knowing(KNOWN)(flow(src="8.8.8.8"))


def test_negated_and_repeated() -> None:
    """As with any other key."""
    assert not compile_terms("!type=AzurePublic").knowing(KNOWN)(STORAGE)
    assert compile_terms("!type=External*").knowing(KNOWN)(STORAGE)
    assert not compile_terms("type=Azure* type=External*").knowing(KNOWN)(STORAGE)


def test_any_of_several_types() -> None:
    """As values of any other key, with and without wildcards."""
    for terms in ("type=AzurePublic,Unknown", "type=S2S,azurepublic", "type=P2*,Azure*"):
        assert compile_terms(terms).knowing(KNOWN)(STORAGE)
        assert not compile_terms(f"!{terms}").knowing(KNOWN)(STORAGE)
    assert not compile_terms("type=S2S,Unknown").knowing(KNOWN)(STORAGE)


def test_both_filters_at_once() -> None:
    """Each of them may depend on knowledge."""
    for first, second in (("action=denied", "type=AzurePublic"), ("type=Azure*", "port=3389")):
        both = all_of(compile_terms(first), compile_terms(second))
        assert both.knowing(KNOWN)(STORAGE)
        assert not both.knowing(NOTHING)(STORAGE)
        assert both.asks_knowledge


def test_what_other_terms_refuse_is_not_enriched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the term stands."""
    asked: list[Flow] = []

    def flow_type(one: Flow, _: Knowledge) -> str:
        asked.append(one)
        return "AzurePublic"

    monkeypatch.setattr(enrich, "flow_type", flow_type)
    judge = compile_terms("type=AzurePublic port=22").knowing(KNOWN)

    assert not judge(STORAGE)
    assert asked == []
    assert judge(replace(STORAGE, dst_port=22))


@pytest.mark.parametrize(
    ("terms", "asks"),
    [("action=denied port=22", False), ("type=Unknown", True), ("!nsg=prod-*", True), ("", False)],
)
def test_who_waits_for_knowledge(terms: str, asks: bool) -> None:
    """Types need it, and so do NSGs that a log names by GUID."""
    assert compile_terms(terms).asks_knowledge is asks


def test_without_such_terms_the_predicate_is_the_same_one() -> None:
    """Knowledge costs nothing where it makes no difference."""
    plain = compile_terms("action=denied port=3389")

    assert plain.knowing(KNOWN) is plain.accepts


def test_a_rule_may_be_called_as_a_place_is() -> None:
    """The words are words at the ends of a flow only."""
    named = compile_terms("rule=internet").knowing(KNOWN)
    assert not named(STORAGE)
    assert compile_terms("!rule=private").knowing(KNOWN)(STORAGE)
