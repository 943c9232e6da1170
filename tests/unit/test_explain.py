"""What rules say of a flow without an inventory, of however many."""

import json

import pytest

from nsgflow_core.estate import explain
from nsgflow_core.estate.members import Learned
from nsgflow_core.estate.rule_files import Files, RuleFiles
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.model import Flow, Group, Record
from tests.made import Outcome, made

NSG = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups/web"
GROUP = Group(Record(0, 1, "", 2, ""), NSG, "web", "DefaultRule_DenyAllInBound", "")


def denied(number: int) -> Flow:
    """A flow from one of many private addresses, of which only its rule says that it is outside."""
    source = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return made(
        GROUP,
        0,
        "",
        0,
        source,
        "10.200.0.4",
        5000,
        Outcome(22, "TCP", inbound=True, denied=True, state="D", encryption=""),
    )


def test_what_was_told_of_addresses_is_not_kept_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each flow is judged as if it were the only one: what it tells is enough for itself."""
    monkeypatch.setattr(explain, "_LEARNED", 50)
    files = RuleFiles()
    files.add(json.dumps([{"id": NSG, "name": "web", "securityRules": []}]).encode(), "nsgs.json")
    judge = Judge(files=Files(files))
    said = {explain.line(judge, denied(number)) for number in range(1000)}
    assert said == {explain.line(Judge(files=Files(files)), denied(0))}
    space = judge.space(None)
    assert isinstance(space, Learned)
    assert 0 < len(space._told) + len(space._own) <= 52
