"""What it costs to propose rules for many groups of denied flows, and how that grows."""

import io
import random
import time
from contextlib import redirect_stdout

from benchmarks.figures import Figure
from devtools.estate import Estate, rule
from devtools.resource_manager import run
from nsgflow_core.cli.proposals import Document
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.proposals import propose
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.estate.wishes import Denied

_GROUPS = 10_000
_NSGS = 300
_RULES = 60


def measure() -> list[Figure]:
    """CPU from groups to a file of rules; and of twice as many groups, as a multiple."""
    estate = _Estate()
    half, whole = _proposing(estate, _GROUPS // 2), _proposing(estate, _GROUPS)
    at_one = _proposing(estate, _GROUPS // 2, nsgs=1), _proposing(estate, _GROUPS, nsgs=1)
    return [
        Figure(
            "proposing rules for 10,000 groups, CPU",
            whole,
            f"{_NSGS} NSGs, every flow judged before and after",
            15,
            unit="s",
        ),
        Figure("proposing for twice the groups", whole / half, "half of them", 2.6),
        Figure("the same, all of one NSG", at_one[1] / at_one[0], "half of them", 2.6),
    ]


class _Estate:
    """Subnets with an NSG and two hosts each."""

    def __init__(self) -> None:
        estate = Estate()
        self.query = lambda query, page=1000: iter(run(query, estate.tables))  # noqa: ARG005
        self.nsgs: list[str] = []
        subnets = {f"s{at}": f"10.{at // 256}.{at % 256}.0/24" for at in range(_NSGS)}
        vnet = estate.vnet("net", **subnets)
        own = [
            {"name": f"Rule{at}", "properties": rule(100 + 10 * at, "Deny", port=str(at + 1))}
            for at in range(_RULES)
        ]
        own.append({"name": "Deny", "properties": rule(4000, "Deny", protocol="*")})
        for at in range(_NSGS):
            subnet, nsg = f"{vnet}/subnets/s{at}", estate.nsg(f"nsg{at}", f"g-{at}", *own)
            self.nsgs.append(nsg.lower())
            estate.guard(subnet, nsg)
            for host in (4, 5):
                mac = f"00-0D-3A-{host:02X}-{at // 256:02X}-{at % 256:02X}"
                estate.nic(subnet, mac, _address(at, host), vm=f"vm{at}-{host}")
        self.inventory = Inventory(read_inventory(self))


def _address(subnet: int, host: int) -> str:
    return f"10.{subnet // 256}.{subnet % 256}.{host}"


def _proposing(estate: _Estate, count: int, nsgs: int = _NSGS) -> float:
    rng = random.Random(1)
    groups: dict[tuple[str, str, int, str], frozenset[str]] = {}
    while len(groups) < count:
        at = rng.randrange(nsgs)
        port, protocol = rng.randrange(100, 100 + 120_000 // nsgs), rng.choice(("TCP", "UDP"))
        sources = rng.choice((1, 1, 2, 3, 8))
        groups[estate.nsgs[at], _address(at, rng.choice((4, 5))), port % 65536, protocol] = (
            frozenset(_address(rng.randrange(_NSGS), rng.choice((4, 5))) for _ in range(sources))
        )
    denied = [
        Denied(nsg, "UserRule_Deny", True, protocol, sources, host, port, 5000)  # noqa: FBT003
        for (nsg, host, port, protocol), sources in groups.items()
    ]
    begun = time.process_time()
    found = propose(denied, Judge(estate.inventory))
    with redirect_stdout(io.StringIO()) as out:
        Document(found, "az").write()
    taken = time.process_time() - begun
    if "PROVEN" not in out.getvalue():
        raise RuntimeError("nothing was proven")
    return taken
