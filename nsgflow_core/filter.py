"""Filter terms: `action=denied port=22,3389 !src=internet` to a predicate over flows.

Terms are separated by spaces and all must hold; the values of a term are separated by commas
and any may hold; `!` in front negates the term. A flow that lacks the value a term asks for
matches no positive term. `terms.KEYS` has the keys.
"""

import re

import msgspec

from nsgflow_core import matches
from nsgflow_core.errors import BadInputError, did_you_mean
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.logs.columns import Columns
from nsgflow_core.matches import Judge, Predicate
from nsgflow_core.terms import ALIASES, ELSEWHERE, KEYS, in_keys, nearest

_TERM = re.compile(r"(?P<negated>!?)(?P<key>[A-Za-z][A-Za-z0-9]*)=(?P<values>[^=~].*)")
_COMPARED = re.compile(
    r"(?P<key>!?[A-Za-z][A-Za-z0-9]*)(?P<sign>!=|<>|==|=~|~|>=|<=|>|<)(?P<value>[^=~].*)"
)
_AND = "all terms must hold anyway, so leave it out"
_OR = "any of the values of one term may hold, as in port=22,3389; all terms must"
_NOT = "say ! in front of the term, as in !src=internet"
_WORDS = {"and": _AND, "&&": _AND, "or": _OR, "||": _OR, "not": _NOT, "!": _NOT}
"""How other languages join terms, and what is said here."""
_LAST_PORT = 65535


class Filter(msgspec.Struct, frozen=True):
    """A compiled filter: its terms, with the keys' own words, and what they ask of a flow.

    `decisions` are those that can pass: True for denied flows, False for allowed ones; `alone` says
    that the terms ask for nothing else. `accepts` judges by what flows alone tell; `knowing` says
    how to judge with a snapshot of knowledge, None where that makes no difference. `keys` are those
    of the terms.
    """

    terms: str
    decisions: frozenset[bool]
    accepts: Predicate
    judge: Judge | None = None
    keys: frozenset[str] = frozenset()
    alone: bool = False

    def wanted(self, flows: Columns, knowledge: Knowledge = NOTHING) -> Columns:
        """Those of some flows that pass, in their order."""
        for denied in {True, False} - self.decisions:
            if flows.decision.count("D") != (0 if denied else len(flows)):
                flows = flows.where([(each == "D") != denied for each in flows.decision])
        if self.alone or not flows:
            return flows
        return flows.where(list(map(self.knowing(knowledge), flows)))

    def knowing(self, knowledge: Knowledge) -> Predicate:
        """The predicate of whoever has this knowledge."""
        return self.accepts if self.judge is None else self.judge(knowledge)

    @property
    def asks_knowledge(self) -> bool:
        """Whether what passes depends on service tags or the inventory."""
        return self.judge is not None

    @property
    def denied_only(self) -> bool:
        """Whether no allowed flow can pass, so that those need not even be read."""
        return False not in self.decisions


def compile_terms(terms: str) -> Filter:
    """Compile filter terms; no terms accept every flow.

    Raises:
        BadInputError: names every unknown key and bad value.
    """
    predicates: list[Predicate] = []
    judges: list[Judge] = []
    keys: set[str] = set()
    problems: list[str] = []
    decisions = {True, False}
    for term in terms.split():
        found = _TERM.fullmatch(in_keys(term))
        if found is None:
            problems.append(f"{term!r} is not of the form key=value[,value…]{_mend(term)}")
            continue
        key, negated = found["key"], bool(found["negated"])
        if key not in KEYS:
            problems.append(_unknown(key, term))
            continue
        values = found["values"].split(",")
        keys.add(key)
        try:
            if judgement := matches.judgement(key, values, negated=negated):
                judges.append(judgement)
            else:
                predicates.append(matches.predicate(key, values, negated=negated))
        except ValueError as exc:
            problems.append(f"bad value in {term!r}: {exc}")
            continue
        if key == "action":
            named = matches.decisions(values)
            decisions -= named if negated else {True, False} - named
    if problems:
        raise BadInputError("; ".join(problems))

    def judge(knowledge: Knowledge) -> Predicate:
        # Terms that need no enrichment come first: what they throw away costs nothing more.
        return _conjunction([*predicates, *(make(knowledge) for make in judges)])

    return Filter(
        in_keys(terms),
        frozenset(decisions),
        judge(NOTHING),
        judge if judges else None,
        frozenset(keys),
        alone=keys <= {"action"},
    )


def _unknown(key: str, term: str) -> str:
    if said := nearest(key):
        return f"unknown key {key!r} in {term!r}: {said}"
    near = did_you_mean(key, [*KEYS, *ALIASES], ELSEWHERE)
    said = f"{term!r}, {near}" if near else f"{term!r}"
    return f"unknown key {key!r} in {said} (keys: {', '.join(KEYS)})"


def _mend(term: str) -> str:
    """What to say behind a term that is none: how what it may mean is written."""
    if term.startswith("'"):
        return " (quotes of cmd.exe are double ones)"
    if mend := _WORDS.get(term.lower()):
        return f": {mend}"
    if (found := _COMPARED.fullmatch(term)) is None:
        return ""
    key, sign, value = found["key"], found["sign"], found["value"]
    if sign in ("!=", "<>"):
        return f": say !{key}={value}"
    if sign in ("==", "=~", "~"):
        return f": say {key}={value}"
    return f": say {key}={_range(sign, value)}"


def _range(sign: str, value: str) -> str:
    """The range of ports that a comparison means."""
    if re.fullmatch(r"\d{1,5}", value, re.ASCII) is None:
        return "VALUE"
    first, last = (0, int(value)) if "<" in sign else (int(value), _LAST_PORT)
    return f"{first + (sign == '>')}-{last - (sign == '<')}"


def all_of(first: Filter, second: Filter) -> Filter:
    """Both filters at once."""
    return Filter(
        f"{first.terms} {second.terms}".strip(),
        first.decisions & second.decisions,
        _conjunction([first.accepts, second.accepts]),
        None
        if first.judge is None and second.judge is None
        else lambda knowledge: _conjunction([first.knowing(knowledge), second.knowing(knowledge)]),
        first.keys | second.keys,
        alone=first.alone and second.alone,
    )


def _conjunction(predicates: list[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    return lambda flow: all(predicate(flow) for predicate in predicates)
