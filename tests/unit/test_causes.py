"""What dropped a flow, as its NSG, rule and encryption tell."""

from typing import Literal

import pytest

from nsgflow_core.cli.groupings import in_words
from nsgflow_core.estate import causes
from nsgflow_core.model import Flow, Group, Record


def flow(rule: str, encryption: str, decision: Literal["D", "B"] = "D") -> Flow:
    """A flow of a VNet flow log that names no NSG."""
    group = Group(Record(0, 1, "", 4, ""), "unspecified", "", rule, "")
    return Flow(1, "10.0.0.1", "10.0.0.2", 1, 443, "6", "I", decision, encryption, group=group)


@pytest.mark.parametrize(
    ("rule", "encryption", "decision", "kind", "shown"),
    [
        ("unspecified", "NX_NOT_ACCEPTED", "D", causes.ENCRYPTION, "NX_NOT_ACCEPTED"),
        ("unspecified", "NX", "D", causes.ENCRYPTION, "NX"),
        ("unspecified", "", "D", causes.ENCRYPTION, "no reason given"),
        ("R", "NX", "D", causes.ENCRYPTION, "R"),
        ("R", "X", "D", causes.RULE, "R"),
        ("unspecified", "X", "D", causes.RULE, "unspecified"),
        ("R", "NX", "B", causes.RULE, "R"),
        ("unspecified", "NX", "B", causes.RULE, "unspecified"),
    ],
)
def test_what_encryption_dropped(
    rule: str, encryption: str, decision: Literal["D", "B"], kind: str, shown: str
) -> None:
    """No flow that is encrypted or was let through; a rule that is named is the reason."""
    found = flow(rule, encryption, decision)
    assert causes.cause_of(found) == kind
    nsg = "VNet encryption" if kind else "unspecified"
    assert in_words("nsg", "unspecified", found) == nsg
    assert in_words("rule", rule, found) == shown
