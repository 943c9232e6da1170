"""The queries to Resource Graph, checked by the language service that the Azure portal uses."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nsgflow_core.estate.changes import read_changes
from nsgflow_core.estate.flow_logs import read_flow_logs
from nsgflow_core.estate.resource_graph import read_inventory

CHECK = Path(__file__).resolve().parents[2] / "devtools" / "kusto_check.cjs"
COLUMNS = (
    "id:string, name:string, type:string, location:string, resourceGroup:string, "
    "subscriptionId:string, properties:dynamic, tags:dynamic"
)
TABLES = ("resources", "computeresources", "networkresources", "resourcechanges")


class Empty:
    """An empty tenant that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def query(self, query: str, page: int = 1000) -> Iterator[dict[str, Any]]:
        """No rows."""
        self.asked.append(query)
        return iter(())

    def flow_logs(self, watcher: str) -> list[dict[str, Any]]:
        """No Network Watcher is there to be asked."""
        raise AssertionError(watcher)


def test_the_queries_are_kusto() -> None:
    """No error and no unknown name; and something in each row that pages can be made of."""
    graph = Empty()
    read_inventory(graph)
    read_flow_logs(graph)
    read_changes(graph, ["/subscriptions/s/a", "/subscriptions/s/b"])
    read_changes(graph, ["/subscriptions/s/a"], who=True)
    queries = {str(number): query for number, query in enumerate(graph.asked)}
    ask = {"tables": dict.fromkeys(TABLES, COLUMNS), "functions": {}, "queries": queries}
    run = subprocess.run(
        ["node", CHECK], input=json.dumps(ask), capture_output=True, text=True, check=True
    )
    answers = json.loads(run.stdout)

    assert len(answers) == len(queries) == 17
    for number, answer in answers.items():
        assert answer["diagnostics"] == [], queries[number]
        # Resource Graph gives no next page when every column is dynamic.
        assert "string" in answer["columns"].values()
        assert queries[number].splitlines()[-1].startswith("| order by ")
