"""Filter terms against an evaluation of the same terms written independently of the product."""

import fnmatch
import ipaddress
import random
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from nsgflow_core.filter import compile_terms
from nsgflow_core.model import Flow, Group, Record
from tests.made import Outcome, made

ADDRESSES = ("10.0.0.4", "10.9.0.4", "8.8.8.8", "100.64.0.1", "2606:4700::1", "fd00::1", "fe80::1")
NAMES = ("web", "web-1", "db", "")
PRIVATE = {"10.0.0.4", "10.9.0.4", "100.64.0.1", "fd00::1"}
PUBLIC = {"8.8.8.8", "2606:4700::1"}


@st.composite
def any_flow(draw: st.DrawFn) -> Flow:
    """A flow of few addresses, ports and names, so that terms often hold."""
    name, rule = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
    acl = f"/x/{name}" if name else ""
    ports = st.sampled_from((None, 0, 22, 80, 443, 65535))
    sent = draw(st.sampled_from((None, 0, 1)))
    outcome = Outcome(
        draw(ports),
        draw(st.sampled_from(("TCP", "UDP", "ICMP", "47"))),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.sampled_from(("", "B", "C", "E", "D"))),
        "",
        sent,
        sent and 66,
        sent and 0,
        sent and 0,
    )
    group = Group(Record(0, 1, "", 2, ""), acl, name, rule, "000D3AF87856")
    src, dst = draw(st.sampled_from(ADDRESSES)), draw(st.sampled_from(ADDRESSES))
    return made(group, 0, "", 0, src, dst, draw(ports), outcome)


flows = any_flow()


@dataclass(frozen=True)
class Term:
    """One term: key, values, and whether it is negated."""

    key: str
    values: tuple[str, ...]
    negated: bool

    def __str__(self) -> str:
        return f"{'!' if self.negated else ''}{self.key}={','.join(self.values)}"


VALUES = {
    "action": ("denied", "allowed"),
    "direction": ("in", "out"),
    "ip": ("10.0.0.0/16", "private", "internet", "fe80::/10", "8.8.8.8"),
    "src": ("10.0.0.0/8", "private", "internet", "::/0"),
    "dst": ("0.0.0.0/0", "internet", "fd00::1", "10.9.0.4"),
    "port": ("22", "0-79", "80-443", "65535"),
    "sport": ("0", "1-65535"),
    "proto": ("tcp", "17", "47"),
    "nsg": ("web", "WEB*", "*b", "*"),
    "rule": ("db", "*-1", "d*"),
    "state": ("B", "d", "C"),
    "lb": ("yes", "no"),
    "nonzero": ("yes", "no"),
}
terms = st.sampled_from(tuple(VALUES)).flatmap(
    lambda key: st.builds(
        Term,
        st.just(key),
        st.lists(st.sampled_from(VALUES[key]), min_size=1, max_size=3).map(tuple),
        st.booleans(),
    )
)


def address_matches(value: str, address: str) -> bool:
    """Whether one value of an address term names the address."""
    if value in ("private", "internet"):
        return address in (PRIVATE if value == "private" else PUBLIC)
    return ipaddress.ip_address(address) in ipaddress.ip_network(value)


def value_matches(key: str, value: str, flow: Flow) -> bool:  # noqa: PLR0911
    """Whether one value of a term holds, by the words of the contract."""
    seen = flow
    match key:
        case "action":
            return seen.denied == (value == "denied")
        case "direction":
            return seen.inbound == (value == "in")
        case "ip":
            return address_matches(value, flow.src) or address_matches(value, flow.dst)
        case "src" | "dst":
            return address_matches(value, flow.src if key == "src" else flow.dst)
        case "port" | "sport":
            port = seen.dst_port if key == "port" else flow.src_port
            first, _, last = value.partition("-")
            return port is not None and int(first) <= port <= int(last or first)
        case "proto":
            return seen.protocol == {"tcp": "TCP", "17": "UDP"}.get(value, value)
        case "nsg" | "rule":
            name = flow.group.acl_name if key == "nsg" else flow.group.rule
            return bool(name) and fnmatch.fnmatchcase(name, value.lower())
        case "state":
            return seen.state == value.upper()
        case "lb":
            return (flow.src == "168.63.129.16") == (value == "yes")
        case _:
            counted = (seen.packets_sent or 0) > 0
            return counted == (value == "yes")


def holds(term: Term, flow: Flow) -> bool:
    """Whether a term holds: any of its values, or none of them when negated."""
    return term.negated != any(value_matches(term.key, value, flow) for value in term.values)


@given(st.lists(terms, max_size=4), flows)
@settings(deadline=None, max_examples=600)
def test_terms_mean_what_the_contract_says(asked: list[Term], flow: Flow) -> None:
    """All terms must hold, any value of a term may, and `!` turns a term round."""
    compiled = compile_terms(" ".join(map(str, asked)))

    expected = all(holds(term, flow) for term in asked)
    assert bool(compiled.accepts(flow)) is expected
    if expected:
        assert flow.denied in compiled.decisions
        assert flow.denied or not compiled.denied_only


@given(st.lists(terms, max_size=4), st.lists(flows, max_size=5), st.randoms())
@settings(deadline=None)
def test_order_of_terms_makes_no_difference(
    asked: list[Term], some: list[Flow], rng: random.Random
) -> None:
    """Terms may be written in any order."""
    shuffled = list(asked)
    rng.shuffle(shuffled)
    one, other = (compile_terms(" ".join(map(str, each))) for each in (asked, shuffled))

    assert [bool(one.accepts(flow)) for flow in some] == [
        bool(other.accepts(flow)) for flow in some
    ]
    assert one.decisions == other.decisions
