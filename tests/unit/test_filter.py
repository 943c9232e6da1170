"""Filter terms: the grammar of the contract, key by key."""

import pytest

from nsgflow_core.errors import BadInputError
from nsgflow_core.filter import all_of, compile_terms
from nsgflow_core.logs.columns import of_blob
from nsgflow_core.model import BlobRef, Flow, Group, Record
from tests.made import Outcome, made

NSG_ID = (
    "/subscriptions/s/resourcegroups/r/providers/microsoft.network/networksecuritygroups/prod-web"
)


def flow(
    *,
    denied: bool = True,
    inbound: bool = True,
    src: str = "203.0.113.9",
    dst: str = "10.0.0.4",
    sport: int | None = 50000,
    port: int | None = 3389,
    proto: str = "TCP",
    state: str = "B",
    counters: tuple[int | None, ...] = (None,) * 4,
    acl_group: str = NSG_ID,
    acl_name: str = "Prod-Web",
    rule: str = "UserRule_DenyRdp",
    mac: str = "000D3AF87856",
) -> Flow:
    """A flow; what is not said is a denied RDP connection from outside."""
    record = Record(12, 99, "2018-11-13T12:00:35Z", 2, NSG_ID)
    group = Group(record, acl_group, acl_name, rule, mac)
    outcome = Outcome(port, proto, inbound, denied, state, "", *counters)
    return made(group, 0, "text", 1542110402000, src, dst, sport, outcome)


def passes(terms: str, one: Flow) -> bool:
    """Whether the flow passes the terms."""
    return compile_terms(terms).accepts(one)


@pytest.mark.parametrize("terms", ["", "   "])
def test_no_terms_accept_everything(terms: str) -> None:
    """No terms ask for nothing."""
    assert passes(terms, flow())
    assert passes(terms, flow(denied=False))


@pytest.mark.parametrize(
    ("terms", "yes", "no"),
    [
        ("action=denied", flow(), flow(denied=False)),
        ("action=allowed", flow(denied=False), flow()),
        ("direction=in", flow(), flow(inbound=False)),
        ("direction=out", flow(inbound=False), flow()),
        ("src=203.0.113.9", flow(), flow(src="203.0.113.10")),
        ("dst=10.0.0.4", flow(), flow(dst="203.0.113.9")),
        ("ip=10.0.0.4", flow(), flow(dst="10.0.0.5")),
        ("ip=203.0.113.9", flow(), flow(src="10.0.0.5")),
        ("port=3389", flow(), flow(port=3390)),
        ("port=3389", flow(), flow(port=22, sport=3389)),
        ("sport=50000", flow(), flow(sport=50001, port=50000)),
        ("proto=tcp", flow(), flow(proto="UDP")),
        ("proto=udp", flow(proto="UDP"), flow()),
        ("proto=icmp", flow(proto="ICMP"), flow()),
        ("proto=6", flow(), flow(proto="6x")),
        ("proto=17", flow(proto="UDP"), flow()),
        ("proto=1", flow(proto="ICMP"), flow()),
        ("proto=47", flow(proto="47"), flow()),
        ("nsg=prod-web", flow(), flow(acl_name="prod-web2")),
        ("rule=userrule_denyrdp", flow(), flow(rule="UserRule_DenyRdp2")),
        ("rule=denyrdp", flow(rule="UserRule_DenyRdp"), flow(rule="DefaultRule_DenyRdp")),
        ("rule=userrule_DenyRdp", flow(rule="denyrdp"), flow(rule="DefaultRule_DenyRdp")),
        ("rule=Deny*", flow(rule="UserRule_DenyRdp"), flow(rule="UserRule_NoDeny")),
        ("rule=UserRule_*", flow(rule="UserRule_DenyRdp"), flow(rule="DenyRdp")),
        ("state=B", flow(), flow(state="E")),
        ("state=D", flow(state="D"), flow()),
        ("mac=000D3AF87856", flow(), flow(mac="000D3AF87857")),
        ("type=ExternalPublic", flow(src="8.8.8.8"), flow(src="10.1.1.1")),
        ("type=UnknownPrivate", flow(src="10.1.1.1"), flow(src="8.8.8.8")),
        ("lb=yes", flow(src="168.63.129.16"), flow(dst="168.63.129.16")),
        ("lb=no", flow(), flow(src="168.63.129.16")),
        ("nonzero=yes", flow(counters=(0, 0, 0, 1)), flow(counters=(0, 0, 0, 0))),
        ("nonzero=yes", flow(counters=(1, None, None, None)), flow()),
        ("nonzero=no", flow(), flow(counters=(1, 66, 1, 66))),
        ("nonzero=no", flow(counters=(0, 0, 0, 0)), flow(counters=(0, 0, 2, 0))),
    ],
)
def test_each_key(terms: str, yes: Flow, no: Flow) -> None:
    """Each key holds for what it names and for nothing else; negated, the other way round."""
    assert passes(terms, yes)
    assert not passes(terms, no)
    assert not passes(f"!{terms}", yes)
    assert passes(f"!{terms}", no)


def test_values_are_alternatives() -> None:
    """Any value of a term may hold."""
    terms = "port=22,3389,8000-8100"

    accepted = [22, 3389, 8000, 8050, 8100]
    refused = [21, 23, 3388, 7999, 8101, None]
    assert all(passes(terms, flow(port=port)) for port in accepted)
    assert not any(passes(terms, flow(port=port)) for port in refused)


def test_terms_must_all_hold() -> None:
    """All terms of a filter must hold."""
    terms = "direction=in port=3389"

    assert passes(terms, flow())
    assert not passes(terms, flow(inbound=False))
    assert not passes(terms, flow(port=22))


def test_repeated_key_must_hold_each_time() -> None:
    """A key given twice must hold both times; it does not widen the first."""
    assert passes("port=1-100 port=50-200", flow(port=75))
    assert not passes("port=1-100 port=50-200", flow(port=25))
    assert not passes("port=22 port=3389", flow(port=22))
    assert passes("ip=10.0.0.0/8 ip=203.0.113.9", flow())


def test_contract_example() -> None:
    """The example of the contract means what it says."""
    terms = (
        "action=denied direction=in ip=10.0.0.0/8 port=22,3389,8000-8100 "
        "!src=internet nsg=prod-* !rule=DefaultRule_DenyAllInBound"
    )

    assert passes(terms, flow(src="172.16.0.1"))
    assert not passes(terms, flow(src="8.8.8.8"))
    assert not passes(terms, flow(src="172.16.0.1", rule="defaultrule_denyallinbound"))
    assert not passes(terms, flow(src="172.16.0.1", acl_name="test-web"))


@pytest.mark.parametrize("terms", ["port=0-65535", "sport=0-65535", "rule=*", "nsg=*", "mac=*"])
def test_missing_value_matches_no_positive_term(terms: str) -> None:
    """A flow without the value is refused by every positive term and accepted by the negated."""
    bare = flow(port=None, sport=None, rule="", acl_group="", acl_name="", mac="")

    assert not passes(terms, bare)
    assert passes(f"!{terms}", bare)
    assert passes(terms, flow())


def test_v1_flow_has_no_state() -> None:
    """The state of a v1 flow is missing: no state term holds."""
    assert not passes("state=B,C,E,D", flow(state=""))


@pytest.mark.parametrize(
    ("terms", "name", "expected"),
    [
        ("nsg=PROD-*", "prod-web", True),
        ("nsg=*web", "prod-web", True),
        ("nsg=p*d*b", "prod-web", True),
        ("nsg=prod", "prod-web", False),
        ("nsg=*rod*", "prod-web", True),
        ("nsg=web*", "prod-web", False),
        ("nsg=prod.web", "prod-web", False),
        ("nsg=a*,prod-w*", "prod-web", True),
        ("nsg=a|prod-web", "prod-web", False),
        ("nsg=(a)", "(A)", True),
        ("nsg=stra\u00dfe", "STRA\u00dfE", True),
    ],
)
def test_names(terms: str, name: str, expected: bool) -> None:
    """Names fold case, take `*` for any stretch, and every other character as itself."""
    assert passes(terms, flow(acl_name=name)) is expected


def test_wildcard_of_a_hostile_rule() -> None:
    """A wildcard spans line ends and any other character."""
    assert passes("rule=User*Rdp", flow(rule="User\n\x00,D\u2028Rdp"))


def test_nsg_of_a_flow_without_name() -> None:
    """Where the NSG's name is not known its aclID is what `nsg` looks at."""
    one = flow(acl_group="00000000-1234-ABCD-ef00-c1c2c3c4c5c6", acl_name="")

    assert passes("nsg=00000000-1234-abcd-*", one)
    assert not passes("nsg=prod-*", one)


@pytest.mark.parametrize(
    ("terms", "src", "expected"),
    [
        ("src=10.0.0.0/8", "10.255.255.255", True),
        ("src=10.0.0.0/8", "11.0.0.0", False),
        ("src=10.1.2.3/8", "10.9.9.9", True),
        ("src=0.0.0.0/0", "8.8.8.8", True),
        ("src=0.0.0.0/0", "2001:db8::1", False),
        ("src=2001:db8::/32", "2001:db8:ffff::1", True),
        ("src=2001:db8::/32", "2001:db9::1", False),
        ("src=2001:DB8:0:0::1", "2001:db8::1", True),
        ("src=[2001:db8::1]", "2001:db8::1", True),
        ("src=::/0", "10.0.0.1", False),
        ("src=private", "10.0.0.1", True),
        ("src=private", "172.31.255.255", True),
        ("src=private", "192.168.1.1", True),
        ("src=private", "100.64.0.1", True),
        ("src=private", "fd00::1", True),
        ("src=private", "169.254.1.1", False),
        ("src=private", "127.0.0.1", False),
        ("src=private", "8.8.8.8", False),
        ("src=internet", "8.8.8.8", True),
        ("src=internet", "2606:4700::1", True),
        ("src=internet", "10.0.0.1", False),
        ("src=internet", "100.64.0.1", False),
        ("src=internet", "168.63.129.16", False),
        ("src=internet", "203.0.113.1", False),
        ("src=internet", "fe80::1", False),
        ("src=INTERNET", "8.8.8.8", True),
        ("src=private,8.8.8.8", "8.8.8.8", True),
    ],
)
def test_addresses(terms: str, src: str, expected: bool) -> None:
    """Addresses take CIDR of both versions and the words private and internet."""
    assert passes(terms, flow(src=src)) is expected


def test_negated_ip_means_neither_end() -> None:
    """`!ip=` refuses a flow when either end matches."""
    assert not passes("!ip=10.0.0.0/8", flow())
    assert passes("!ip=10.0.0.0/8", flow(dst="172.16.0.1"))


@pytest.mark.parametrize(
    "mac", ["00-0D-3A-F8-78-56", "00:0d:3a:f8:78:56", "000d3af87856", "000D3A*"]
)
def test_mac_spellings(mac: str) -> None:
    """A MAC may be spelt with dashes, colons or neither, in any case, with a wildcard."""
    assert passes(f"mac={mac}", flow())


def test_case_of_keys_and_words_is_folded() -> None:
    """Keys and words fold case."""
    assert passes(
        "ACTION=Denied Direction=IN Proto=TCP State=b Type=externalpublic LB=No",
        flow(src="8.8.8.8"),
    )


@pytest.mark.parametrize(
    ("terms", "only"),
    [
        ("", False),
        ("action=denied", True),
        ("action=denied,allowed", False),
        ("!action=allowed", True),
        ("!action=denied", False),
        ("action=denied,allowed action=denied", True),
        ("port=22", False),
    ],
)
def test_denied_only(terms: str, only: bool) -> None:
    """A filter knows when no allowed flow can pass it."""
    assert compile_terms(terms).denied_only is only


def test_filter_that_nothing_passes() -> None:
    """Terms that exclude each other let nothing pass, and are no error."""
    contradiction = compile_terms("action=denied action=allowed")

    assert contradiction.decisions == frozenset()
    assert not contradiction.accepts(flow())
    assert not contradiction.accepts(flow(denied=False))


def test_all_of() -> None:
    """Two filters joined ask for both."""
    both = all_of(compile_terms("action=denied"), compile_terms("port=22,3389 nsg=prod-*"))

    assert both.terms == "action=denied port=22,3389 nsg=prod-*"
    assert both.denied_only
    assert both.accepts(flow())
    assert not both.accepts(flow(denied=False))
    assert not both.accepts(flow(port=80))


@pytest.mark.parametrize(
    ("term", "named"),
    [
        ("color=red", "color"),
        ("prt=22", "prt"),
        ("action=dropped", "dropped"),
        ("direction=inbound", "inbound"),
        ("ip=10.0.0.300", "10.0.0.300"),
        ("ip=10.0.0.0/33", "10.0.0.0/33"),
        ("src=office", "office"),
        ("dst=2001:db8::/129", "2001:db8::/129"),
        ("port=http", "http"),
        ("port=65536", "65536"),
        ("port=-1", "-1"),
        ("port=20-10", "20-10"),
        ("port=1-", "1-"),
        ("sport=1-99999", "1-99999"),
        ("port=22,", "port=22,"),
        ("port=\u0662\u0662", "\u0662\u0662"),
        ("proto=tpc", "tpc"),
        ("proto=256", "256"),
        ("proto=-1", "-1"),
        ("state=X", "state=X"),
        ("state=BC", "state=BC"),
        ("mac=zz", "zz"),
        ("mac=000D3AF8785600", "000D3AF8785600"),
        ("type=Internet", "Internet"),
        ("lb=maybe", "maybe"),
        ("nonzero=1", "nonzero=1"),
        ("nsg=a,,b", "nsg=a,,b"),
        ("port", "port"),
        ("port=", "port="),
        ("=22", "=22"),
        ("!!port=22", "!!port=22"),
        ("!", "!"),
        ("port!=22", "port!=22"),
    ],
)
def test_errors_name_what_is_wrong(term: str, named: str) -> None:
    """An unknown key or a bad value is an error that names it."""
    with pytest.raises(BadInputError) as caught:
        compile_terms(f"action=denied {term}")
    assert named in str(caught.value)


def test_every_problem_is_told() -> None:
    """One error tells of every bad term."""
    with pytest.raises(BadInputError) as caught:
        compile_terms("color=red port=99999 nsg=ok action=maybe")
    assert all(word in str(caught.value) for word in ("color", "99999", "maybe"))


def test_two_filters_that_must_both_hold_know_what_either_asks() -> None:
    """Whether an inventory is needed is told by the keys."""
    both = all_of(compile_terms("nsg=a"), compile_terms("port=1 rule=x"))
    assert both.keys == {"nsg", "port", "rule"}


def test_a_flow_type_that_there_is_none_of_names_those_that_there_are() -> None:
    """And the value that was given."""
    with pytest.raises(BadInputError, match=r"'Internet' is not one of .*IntraVNet"):
        compile_terms("type=Internet")


@pytest.mark.parametrize("value", ["443-22", "65536", "1-99999"])
def test_ports_that_cannot_be_are_told_as_they_were_given(value: str) -> None:
    """And what could be."""
    with pytest.raises(BadInputError, match=f"'{value}' is outside 0-65535 or backwards"):
        compile_terms(f"port=80,{value}")


_TYPES = "IntraVNet, InterVNet, S2S, P2S, AzurePublic, ExternalPublic, UnknownPrivate, Unknown"
_KEYS = (
    "action, direction, ip, src, dst, port, sport, proto, nsg, rule, state, mac, type, "
    "vm, subnet, vnet, tag, lb, nonzero"
)


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("port", "'port' is not of the form key=value[,value…]"),
        (
            "'port=22",
            '"\'port=22" is not of the form key=value[,value…] (quotes of cmd.exe are double ones)',
        ),
        ("Color=red", f"unknown key 'color' in 'Color=red' (keys: {_KEYS})"),
        ("action=no", "bad value in 'action=no': 'no' is not one of allowed, denied"),
        ("direction=up", "bad value in 'direction=up': 'up' is not one of in, out"),
        ("lb=1", "bad value in 'lb=1': '1' is not one of yes, no"),
        ("nonzero=1", "bad value in 'nonzero=1': '1' is not one of yes, no"),
        ("port=x", "bad value in 'port=x': 'x' is neither a port nor a range"),
        ("port=2-1", "bad value in 'port=2-1': '2-1' is outside 0-65535 or backwards"),
        (
            "proto=x",
            "bad value in 'proto=x': 'x' is neither tcp, udp, icmp nor a protocol number",
        ),
        ("state=X", "bad value in 'state=X': states are B, C, E and D"),
        ("mac=zz", "bad value in 'mac=zz': 'zz' is no MAC address"),
        ("rule=a,,b", "bad value in 'rule=a,,b': an empty name"),
        ("vm=a,,b", "bad value in 'vm=a,,b': an empty name"),
        ("type=Net", f"bad value in 'type=Net': 'Net' is not one of {_TYPES}"),
    ],
    ids=lambda text: text[:9],
)
def test_what_a_bad_term_is_told(term: str, said: str) -> None:
    """Word for word: it is all that the reader has."""
    with pytest.raises(BadInputError) as caught:
        compile_terms(term)
    assert str(caught.value) == said


def test_problems_are_told_in_their_order() -> None:
    """All of them, and good terms are none."""
    with pytest.raises(BadInputError) as caught:
        compile_terms("lb=1 port=22 mac=zz")
    parts = str(caught.value).split("; ")
    assert [part.split(":")[0] for part in parts] == [
        "bad value in 'lb=1'",
        "bad value in 'mac=zz'",
    ]


@pytest.mark.parametrize(
    "terms",
    [
        "",
        "action=denied",
        "action=allowed",
        "!action=denied",
        "action=denied,allowed",
        "action=denied action=allowed",
        "action=denied port=22",
        "port=22",
        "!port=22 action=allowed",
        "nsg=prod*",
    ],
)
@pytest.mark.parametrize("more", ["", "action=denied", "port=22,23"])
def test_many_flows_are_judged_as_each_alone(terms: str, more: str) -> None:
    """Also where a look at the decisions is enough."""
    both = all_of(compile_terms(terms), compile_terms(more))
    flows = [flow(denied=denied, port=port) for denied in (True, False) for port in (22, 23)]
    found = of_blob(BlobRef("account", "container", "path"), flows * 2)

    assert both.wanted(found).flows() == list(filter(both.accepts, flows * 2))
    assert [part.wanted(found[:0]).flows() for part in (both, compile_terms(terms))] == [[], []]
