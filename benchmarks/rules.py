"""What a verdict costs, a digest's line, proposals, and a simulation over a million flows."""

import io
import random
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

from benchmarks import proposing
from benchmarks.figures import Figure
from devtools.estate import Estate, rule
from devtools.flowlogs import Nic, large_log
from devtools.resource_manager import run
from nsgflow_core.cli import simulations
from nsgflow_core.cli.files import FileLogs
from nsgflow_core.cli.options import Wanted, When
from nsgflow_core.cli.query import Defaults
from nsgflow_core.cli.reading import reading
from nsgflow_core.digests.groups import count
from nsgflow_core.estate.acl import Acl, Packet
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.layout import VnetSpace
from nsgflow_core.estate.members import Members
from nsgflow_core.estate.resource_graph import read_inventory
from nsgflow_core.estate.rule_files import Files, RuleFiles
from nsgflow_core.estate.rules import Rule, with_defaults
from nsgflow_core.estate.simulation import Simulation
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.model import Flow, Group, Record

_VERDICTS = 400_000
_RULES = 60
_RECORDS, _TUPLES = 2_000, 500
_GROUPS = 300


def measure() -> list[Figure]:
    """Verdicts, a simulation through the command's own way, and the line of a digest."""
    return [
        Figure(
            "verdicts a CPU second",
            _verdicts(),
            f"{_RULES} rules, nearly each source new",
            200_000,
            at_least=True,
            unit="/s",
        ),
        Figure("simulating a million flows, CPU", _simulation(), "files to totals", 10, unit="s"),
        Figure("the line of a digest", _line(), f"{_GROUPS} NSGs, each new", 5, unit="ms"),
        *proposing.measure(),
    ]


def _rules() -> tuple[Rule, ...]:
    rng = random.Random(3)
    named = (("*",), ("VirtualNetwork",), ("Internet",), ("10.1.0.0/16", "10.2.0.0/16"))
    return with_defaults(
        [
            Rule(
                f"Rule{number}",
                100 + number,
                True,  # noqa: FBT003
                rng.choice(("Allow", "Deny")),
                rng.choice(("Tcp", "Udp", "*")),
                rng.choice((*named, (f"10.{number}.0.0/16",))),
                ("*",),
                ("*",),
                (f"{number * 100}-{number * 100 + 40}",),
            )
            for number in range(_RULES)
        ]
    )


def _verdicts() -> float:
    """How many a second, where nearly each packet has another source."""
    rng = random.Random(5)
    packets = [
        Packet(
            f"{rng.choice((10, 20))}.{rng.randrange(60)}.{rng.randrange(256)}.{rng.randrange(256)}",
            "10.0.0.4",
            "TCP",
            rng.randrange(1024, 65536),
            rng.randrange(6000),
        )
        for _ in range(_VERDICTS)
    ]
    acl = Acl(_rules(), Members(VnetSpace(["10.0.0.0/16"], "")), inbound=True)
    begun = time.process_time()
    for packet in packets:
        acl.decide(packet)
    return _VERDICTS / (time.process_time() - begun)


def _simulation() -> float:
    """CPU seconds from a file to what is printed."""
    nsg = Nic().nsg_id.lower()
    files = RuleFiles({nsg: _rules()}, {nsg: "web"})
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "PT1H.json"
        log.write_bytes(large_log(_RECORDS, _TUPLES, 0.3, 2, 1))
        begun = time.process_time()
        judge = Judge(files=Files(files))
        simulation = Simulation(judge)
        defaults = Defaults(allowed=True, probes=True, ordered=False)
        with reading(FileLogs([str(log)]), Wanted(), When(), defaults, NOTHING) as work:
            for found in work.flows():
                simulation.add(found.flow)
            kinds = simulation.kinds()
            with redirect_stdout(io.StringIO()):
                simulations.write(kinds, "json", judge.shown, only_denied=False)
        taken = time.process_time() - begun
    if sum(seen.flows for _, seen in kinds) != _RECORDS * _TUPLES:
        raise RuntimeError("not every flow was judged")
    return taken


class _Graph:
    def __init__(self, estate: Estate) -> None:
        self.query = lambda query, page=1000: iter(run(query, estate.tables))  # noqa: ARG005


def _line() -> float:
    """Milliseconds a group, the first time that each NSG is asked, unpacking included."""
    estate = Estate()
    vnet = estate.vnet(
        "net", **{f"s{at}": f"10.{at // 256}.{at % 256}.0/24" for at in range(_GROUPS)}
    )
    own = [
        {"name": f"Rule{at}", "properties": rule(100 + at, "Deny", port=str(at + 1))}
        for at in range(_RULES)
    ]
    for at in range(_GROUPS):
        subnet = f"{vnet}/subnets/s{at}"
        estate.guard(subnet, estate.nsg(f"nsg{at}", f"g-{at}", *own))
        mac = f"00-0D-3A-00-{at // 256:02X}-{at % 256:02X}"
        estate.nic(subnet, mac, f"10.{at // 256}.{at % 256}.4", vm=f"vm{at}")
    knowledge = Knowledge(None, Inventory(read_inventory(_Graph(estate))))
    flows = [
        Flow(1000, "10.0.0.4", f"10.{at // 256}.{at % 256}.4", 5000, 22, "T", "I", "D", "B",
             group=Group(Record(0, 1, "", 2, ""), f"/nsg{at}", "", "UserRule_Rule21", f"{at:012X}"))
        for at in range(1, _GROUPS)
    ]  # fmt: skip
    begun = time.process_time()
    tallies = count(flows, knowledge)
    taken = time.process_time() - begun
    if not all(tally.now.startswith("now denied") for tally in tallies):
        raise RuntimeError("a group was not judged")
    return taken * 1000 / len(flows)
