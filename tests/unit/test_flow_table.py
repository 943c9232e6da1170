"""The table of flows as it is drawn, without a terminal."""

import pytest

from nsgflow_core.cli.flow_table import Pages
from nsgflow_core.estate.knowledge import NOTHING
from nsgflow_core.logs.columns import Place, of_flows
from nsgflow_core.model import BlobRef, Flow, Group, Record

REF = BlobRef("account", "container", "path")
NSG = "/subscriptions/s/resourcegroups/rg/providers/microsoft.network/networksecuritygroups/web"


def test_a_name_is_spelled_as_it_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Logs that spell an NSG in several ways do not make a table differ from run to run."""
    group = Group(Record(0, 9, "2026-01-01T12:00:00Z", 2, NSG), NSG, "WEB", "UserRule_x", "")
    flow = Flow(0, "192.0.2.1", "10.0.0.4", 50000, 22, "T", "I", "D", "B", group=group)
    places = [Place(REF, group, f"NSG{number}") for number in range(40)]

    Pages(NOTHING).write(of_flows([flow] * len(places), places))

    _, *lines = capsys.readouterr().out.splitlines()
    assert {line.split()[1] for line in lines} == {"NSG0"}
