"""Whole verdicts over made-up estates: against the oracle, layer by layer, and by hand."""

import random
from typing import Any

import pytest

from devtools.estate import Estate
from nsgflow_core.estate.acl import Packet
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.judgement import Judgement, denial_line
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.estate.rule_files import Files, RuleFiles
from nsgflow_core.estate.verdict import Judge
from tests.rules_made import azure, compiled, rules
from tests.rules_oracle import Plain, decide, defaults
from tests.unit.test_inventory import Graph

ESTATES = 60
PACKETS = 60
HOSTS = {
    "web": ("10.0.0.4", "fd00:1::4"),
    "web2": ("10.0.0.5",),
    "db": ("10.0.1.7",),
    "spoke": ("10.1.0.4",),
    "alone": ("10.2.0.9",),
}
SUBNETS = {"web": "hub/a", "web2": "hub/a", "db": "hub/b", "spoke": "spoke/a", "alone": "alone/a"}
SPACES = {
    "hub": ["10.0.0.0/24", "10.0.1.0/24", "fd00:1::/64", "192.168.3.0/24", "10.1.0.0/24"],
    "spoke": ["10.1.0.0/24", "10.0.0.0/24", "10.0.1.0/24", "fd00:1::/64", "192.168.3.0/24"],
    "alone": ["10.2.0.0/24"],
}
"""What VirtualNetwork holds: hub and spoke are peers, and the spoke uses the hub's gateway."""


class Made:
    """A random estate, and all that was put into it."""

    def __init__(self, rng: random.Random) -> None:
        estate = Estate()
        self.vnets = {
            "hub": estate.vnet("hub", a="10.0.0.0/24", b="10.0.1.0/24", v6="fd00:1::/64"),
            "spoke": estate.vnet("spoke", a="10.1.0.0/24"),
            "alone": estate.vnet("alone", a="10.2.0.0/24"),
        }
        estate.peer(self.vnets["spoke"], self.vnets["hub"], gateway=True)
        estate.gateway(self.vnets["hub"], "vpn", "192.168.3.0/24")
        self.rules: dict[str, dict[bool, list[Plain]]] = {}
        self.groups = {
            estate.group("web"): ["10.0.0.4", "fd00:1::4"],
            estate.group("db"): ["10.0.1.7"],
        }
        self.subnets: dict[str, str] = {}
        self.nics: dict[str, str] = {}
        for place in sorted(set(SUBNETS.values())):
            vnet, _, subnet = place.partition("/")
            if rng.random() < 0.7:
                self.subnets[place] = nsg = self._nsg(estate, f"subnet-{vnet}-{subnet}", rng)
                estate.guard(f"{self.vnets[vnet]}/subnets/{subnet}", nsg)
        for number, (host, found) in enumerate(HOSTS.items()):
            vnet, _, subnet = SUBNETS[host].partition("/")
            nsg = self._nsg(estate, f"nic-{host}", rng) if rng.random() < 0.5 else ""
            if nsg:
                self.nics[host] = nsg
            member = [group for group, members in self.groups.items() if found[0] in members]
            mac = f"00-0D-3A-00-00-0{number}"
            where = f"{self.vnets[vnet]}/subnets/{subnet}"
            estate.nic(where, mac, *found, vm=host, nsg=nsg, groups=member)
        self.admin: list[dict[bool, list[Plain]]] = []
        self.managed: list[set[str]] = []
        for high in (True, False):
            if rng.random() < 0.5:
                self._manager(estate, rng, high=high)
        self.inventory: Inventory = Inventory(read_inventory(Graph(estate)))
        self.tagless = rng.random() < 0.5

    def _nsg(self, estate: Estate, name: str, rng: random.Random) -> str:
        both = {inbound: self._rules(rng, admin=False) for inbound in (True, False)}
        made = [
            azure(dict(rule, name=f"{rule['name']}{'i' if inbound else 'o'}"), way)
            for inbound, way in ((True, "Inbound"), (False, "Outbound"))
            for rule in both[inbound]
        ]
        nsg = estate.nsg(name, f"00000000-0000-0000-0000-{len(self.rules):012d}", *made)
        self.rules[nsg] = both
        return nsg

    def _manager(self, estate: Estate, rng: random.Random, *, high: bool) -> None:
        both = {inbound: self._rules(rng, admin=True, most=4) for inbound in (True, False)}
        named = {
            f"{rule['name']}{'i' if inbound else 'o'}": {
                "sources": [{"addressPrefix": text} for text in rule["sources"]],
                "destinations": [{"addressPrefix": text} for text in rule["destinations"]],
                "sourcePortRanges": rule["source_ports"],
                "destinationPortRanges": rule["ports"],
                "protocol": rule["protocol"],
                "access": rule["access"],
                "priority": rule["priority"],
                "direction": "Inbound" if inbound else "Outbound",
            }
            for inbound in (True, False)
            for rule in both[inbound]
        }
        split = dict(list(named.items())[::2]), dict(list(named.items())[1::2])
        managed = set(rng.sample(sorted(self.vnets), 2))
        where = [self.vnets[vnet] for vnet in managed]
        estate.deploy(
            "high" if high else "low", {"one": split[0], "two": split[1]}, *where, high=high
        )
        self.admin.append(both)
        self.managed.append(managed)

    def _rules(self, rng: random.Random, *, admin: bool, most: int = 5) -> list[Plain]:
        """Random rules, whose groups are those of this estate."""
        ids = list(self.groups) if hasattr(self, "groups") else []

        def ours(text: str) -> str:
            if not text.startswith("/") or not ids:
                return text
            return ids[0] if text.endswith("web") else ids[1] if text.endswith("db") else text

        def ends(texts: list[str]) -> list[str]:
            return ["10.0.0.0/8"] if admin and texts[0].startswith("/") else [*map(ours, texts)]

        return [
            dict(rule, sources=ends(rule["sources"]), destinations=ends(rule["destinations"]))
            for rule in rules(rng, admin=admin, most=most)
        ]

    @staticmethod
    def place(host: str) -> str:
        """VNet and subnet of a host."""
        return SUBNETS[host]

    def expected(self, src: str, dst: str, packet: Plain) -> list[tuple[str, str, str, Any]]:
        """Each layer's end, kind, access ("?" where unknown) and rule, as the oracle has them."""
        found: list[tuple[str, str, str, Any]] = []
        for end, host, inbound in (("source", src, False), ("destination", dst, True)):
            if host:
                found += self._end(end, host, inbound, packet)
        return found

    def _end(
        self, end: str, host: str, inbound: bool, packet: Plain
    ) -> list[tuple[str, str, str, Any]]:
        vnet = SUBNETS[host].partition("/")[0]
        reach = {"hub", "spoke"} if vnet != "alone" else {"alone"}
        groups: dict[str, list[str]] = {
            group: members if "hub" in reach else [] for group, members in self.groups.items()
        }
        world = {
            "space": SPACES[vnet],
            "tags": None,
            "groups": {k.lower(): v for k, v in groups.items()},
        }

        def ask(found: list[Plain]) -> tuple[str, str | None]:
            lowered = [
                dict(
                    rule,
                    sources=[text.lower() if text[0] == "/" else text for text in rule["sources"]],
                    destinations=[
                        text.lower() if text[0] == "/" else text for text in rule["destinations"]
                    ],
                )
                for rule in found
            ]
            return decide(lowered, packet, world)

        suffix = "i" if inbound else "o"
        layers: list[tuple[str, str, str, Any]] = []
        for both, managed in zip(self.admin, self.managed, strict=True):
            if vnet not in managed:
                continue
            access, name = ask(both[inbound])
            if access:
                layers.append((end, "admin", access, name and name + suffix))
                if access == "AlwaysAllow":
                    return layers
                break
        order = [("nic", self.nics.get(host)), ("subnet", self.subnets.get(SUBNETS[host]))]
        for kind, nsg in reversed(order) if inbound else order:
            if nsg:
                access, name = ask([*self.rules[nsg][inbound], *defaults(inbound)])
                own = name is not None and name.startswith("r")
                layers.append((end, kind, access, name + suffix if own and name else name))
        return layers


def plain_packet(rng: random.Random, src: str, dst: str) -> Plain:
    """A packet between two addresses."""
    return {
        "src": src,
        "dst": dst,
        "protocol": rng.choice((6, 6, 17)),
        "src_port": rng.choice((1024, 50000)),
        "dst_port": rng.choice((22, 80, 443, 3389, 1023)),
    }


def addresses_of(rng: random.Random) -> tuple[str, str, str, str]:
    """Two hosts, or one and an address on the internet ("" for its host); and their addresses."""
    src, dst = rng.sample(sorted(HOSTS), 2)
    if rng.random() < 0.3:
        return ("", dst, "8.8.8.8", HOSTS[dst][0]) if rng.random() < 0.5 else (
            src, "", HOSTS[src][0], "8.8.8.8",
        )  # fmt: skip
    return src, dst, HOSTS[src][0], HOSTS[dst][0]


@pytest.mark.parametrize("seed", range(ESTATES))
def test_layer_by_layer_as_the_oracle(seed: int) -> None:
    """Managers of two scopes, subnets, NICs, peers and gateways; both ends, in order."""
    rng = random.Random(seed)
    made = Made(rng)
    judge = Judge(made.inventory)
    for _ in range(PACKETS):
        src, dst, src_address, dst_address = addresses_of(rng)
        packet = plain_packet(rng, src_address, dst_address)
        asked = Packet(
            src_address,
            dst_address,
            str(packet["protocol"]),
            packet["src_port"],
            packet["dst_port"],
        )
        judgement = judge.judge(asked)
        expected = made.expected(src, dst, packet)
        found = [
            (layer.end, layer.layer, layer.access or "?", layer.rule) for layer in judgement.layers
        ]
        assert found == expected, (seed, packet)
        accesses = [access for _, _, access, _ in expected]
        if "Deny" in accesses:
            assert judgement.verdict == "denied"
        else:
            assert judgement.verdict == ("unknown" if "?" in accesses else "allowed")
        assert bool(judgement.unknown) == ("?" in accesses)


def verdict(judge: Judge, src: str, dst: str, port: int | None = 443) -> Judgement:
    """What becomes of a TCP connection."""
    return judge.judge(Packet(src, dst, "tcp", 50000, port))


@pytest.fixture(scope="module")
def plain_estate() -> Estate:
    """A VNet with an NSG on its subnet that says nothing but Azure's defaults, and two NICs."""
    estate = Estate()
    vnet = estate.vnet("net", a="10.0.0.0/24", b="10.0.9.0/24")
    estate.guard(f"{vnet}/subnets/a", estate.nsg("subnet-nsg", "1-1"))
    estate.nic(f"{vnet}/subnets/a", "00-0D-3A-00-00-01", "10.0.0.4", vm="one", public="20.1.1.1")
    estate.nic(f"{vnet}/subnets/a", "00-0D-3A-00-00-02", "10.0.0.5", vm="two")
    return estate


def test_the_subnet_counts_inside_the_subnet(plain_estate: Estate) -> None:
    """Both directions of it are asked for two neighbours."""
    judge = Judge(Inventory(read_inventory(Graph(plain_estate))))
    found = verdict(judge, "10.0.0.4", "10.0.0.5")

    assert [(layer.end, layer.layer, layer.rule) for layer in found.layers] == [
        ("source", "subnet", "AllowVnetOutBound"),
        ("destination", "subnet", "AllowVnetInBound"),
    ]
    assert found.verdict == "allowed"
    assert (
        denial_line(found) == "now allowed by every layer, last by AllowVnetInBound of subnet-nsg"
    )


def test_defaults_that_nobody_lists(plain_estate: Estate) -> None:
    """From the internet to a public address: rules see the private one, and the default denies."""
    judge = Judge(Inventory(read_inventory(Graph(plain_estate))))
    found = verdict(judge, "8.8.8.8", "20.1.1.1")

    assert [layer.to_json() for layer in found.layers] == [
        {
            "end": "destination",
            "layer": "subnet",
            "acl": found.layers[0].acl,
            "name": "subnet-nsg",
            "rule": "DenyAllInBound",
            "priority": 65500,
            "access": "Deny",
            "verdict": "denied",
        }
    ]
    assert found.denying == list(found.layers)


def test_what_nobody_knows_is_said(plain_estate: Estate) -> None:
    """An address that no NIC has, an NSG without rules, and no inventory at all."""
    inventory = Inventory(read_inventory(Graph(plain_estate)))
    judge = Judge(inventory)

    stranger = verdict(judge, "10.0.0.4", "10.0.0.99")
    assert (stranger.verdict, stranger.unknown) == (
        "unknown",
        ("no network interface of the inventory has 10.0.0.99",),
    )
    assert judge.at_nsg("/x/y", Packet("1.1.1.1", "10.0.0.4", "tcp", 1, 2), inbound=True).because
    nothing = verdict(Judge(), "10.0.0.4", "10.0.0.5")
    assert nothing.verdict == "unknown"


def test_an_nsg_without_rules_in_the_inventory() -> None:
    """Its layer is unknown, and the others are asked all the same."""
    estate = Estate()
    vnet = estate.vnet("net", a="10.0.0.0/24")
    estate.nic(
        f"{vnet}/subnets/a", "00-0D-3A-00-00-01", "10.0.0.4", nsg="/subscriptions/x/nsg/hidden"
    )
    found = verdict(Judge(Inventory(read_inventory(Graph(estate)))), "8.8.8.8", "10.0.0.4")

    assert [layer.verdict for layer in found.layers] == ["unknown"]
    assert "hidden" in found.unknown[0]


def test_a_file_stands_in_for_the_inventory(plain_estate: Estate) -> None:
    """By the NSG's id in any case, fully or not."""
    inventory = Inventory(read_inventory(Graph(plain_estate)))
    nsg = inventory.nsgs("000D3A000001")[0]
    for name in (nsg, nsg.upper(), "/providers/Microsoft.Network/networkSecurityGroups/Subnet-NSG"):
        every = ["*"]
        plain = {"name": "Open", "priority": 100, "access": "Allow", "protocol": "*"}
        ends = {"sources": every, "destinations": every, "source_ports": every, "ports": every}
        open_ = compiled(plain | ends, inbound=True)
        key = name.lower()
        files = Files(RuleFiles({key: (open_,)}, {key: "subnet-nsg"}))
        judge = Judge(inventory, files=files)
        assert verdict(judge, "8.8.8.8", "10.0.0.4").layers[0].rule == "Open"


def test_routes_and_bgp_leave_it_open() -> None:
    """A default route, and routes that are in no resource, may count as VirtualNetwork."""
    estate = Estate()
    vnet = estate.vnet("net", a="10.0.0.0/24", b="10.0.1.0/24")
    for subnet, mac, address in (("a", "01", "10.0.0.4"), ("b", "02", "10.0.1.4")):
        where = f"{vnet}/subnets/{subnet}"
        nsg = estate.nsg(f"nsg-{subnet}", f"1-{mac}")
        estate.nic(where, f"00-0D-3A-00-00-{mac}", address, nsg=nsg)
    estate.route(f"{vnet}/subnets/a", "to-firewall", "0.0.0.0/0", "172.20.0.0/16")
    estate.gateway(vnet, "er", bgp=True)
    judge = Judge(Inventory(read_inventory(Graph(estate))))

    from_internet = judge.judge(Packet("8.8.8.8", "10.0.0.4", "tcp", 1, 22))
    assert "default route" in from_internet.unknown[0]
    assert judge.judge(Packet("8.8.8.8", "10.0.1.4", "tcp", 1, 22)).verdict == "denied"
    routed = judge.judge(Packet("172.20.0.9", "10.0.0.4", "tcp", 1, 22))
    assert [layer.rule for layer in routed.layers] == ["AllowVnetInBound"]
    learned = judge.judge(Packet("172.21.0.9", "10.0.1.4", "tcp", 1, 22))
    assert any("BGP" in reason for reason in learned.unknown)
