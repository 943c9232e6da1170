"""docs/unverified.md: what rests on something untried has its first command, and is marked."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "unverified.md").read_text()
ROWS = [
    re.split(r"(?<!\\)\|", line)[1:-1]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| what |")
]
# A phrase of the list, and where the code relies on it.
MARKED = {
    "starts hooks in Python": "azure.yaml",
    "what the hook sets is read before the deployment": "azure.yaml",
    "`postdown` after the group is gone": "infra/hooks/nsgflow_hooks/removal.py",
    "signed in by OpenID Connect": ".github/workflows/deploy.yml",
    "regions of Flex Consumption": "infra/hooks/nsgflow_hooks/check_place.py",
    "what one may do, by `permissions`": "infra/hooks/nsgflow_hooks/check_rights.py",
    "flow logs are in Resource Graph": "infra/hooks/nsgflow_hooks/check_flow_logs.py",
    "status of each Key Vault reference": "infra/hooks/nsgflow_hooks/readiness.py",
    "a sweep's line by account": "infra/hooks/nsgflow_hooks/readiness.py",
    "a topic's metrics are split": "infra/hooks/nsgflow_hooks/arrival.py",
    "`getFullUrl` of a topic's subscription": "infra/hooks/nsgflow_hooks/subscriptions.py",
    "taken as it is by a PUT": "infra/hooks/nsgflow_hooks/events.py",
    "may look back for two days": "infra/modules/alerts.bicep",
    "takes `case`, `split` and `strcat`": "infra/queries/alert-denied-watched-minute.kql",
}


def test_each_has_its_first_command() -> None:
    """In code marks, in the last column; what it rests on is said where anything is."""
    assert len(ROWS) > 40
    assert [row[0] for row in ROWS if len(row) != 3] == []
    assert [row[0] for row in ROWS if not re.search(r"`[^`]+`|Cost Management", row[2])] == []


@pytest.mark.parametrize("phrase", MARKED)
def test_what_relies_on_it_says_so(phrase: str) -> None:
    """Whoever reads the code finds the list, and the list what the code relies on."""
    assert phrase in TEXT
    assert "docs/unverified.md" in (ROOT / MARKED[phrase]).read_text()


def test_a_workbook_cannot_be_marked_but_is_listed() -> None:
    """JSON has no remarks."""
    workbook = (ROOT / "infra" / "workbook" / "nsgflow.workbook.json").read_text()

    assert ("mv-expand kind=array" in workbook) == ("`mv-expand kind=array`" in TEXT)
