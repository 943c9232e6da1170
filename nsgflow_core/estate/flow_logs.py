"""Flow logs as Azure has them configured: what is logged, where to, and what is left out.

They are in Resource Graph's `resources` as `microsoft.network/networkwatchers/flowlogs`
(https://learn.microsoft.com/azure/governance/resource-graph/reference/supported-tables-resources).
Resource Graph reads each type by one version of its API, which may be older than the filters of
VNet flow logs (preview): where a flow log has neither of their properties, its Network Watcher is
asked by a version that has them
(https://learn.microsoft.com/rest/api/network-watcher/flow-logs/list).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from nsgflow_core.errors import NsgflowError
from nsgflow_core.estate.rule_json import lower_keys

Level = Literal["nsg", "nic", "subnet", "vnet", ""]

_QUERY = """resources
| where type =~ 'microsoft.network/networkwatchers/flowlogs'
| project id, target = tostring(properties.targetResourceId),
    storage = tostring(properties.storageId), enabled = tostring(properties.enabled),
    types = properties.recordTypes, criteria = properties.enabledFilteringCriteria
| order by id asc"""
_ALL_STATES = frozenset("BCED")
_LEVELS: Mapping[str, Level] = {
    "networksecuritygroups": "nsg",
    "networkinterfaces": "nic",
    "subnets": "subnet",
    "virtualnetworks": "vnet",
}


class FlowLog(msgspec.Struct, frozen=True):
    """A flow log of one target; `id` is as Azure writes it, `target` in lower case.

    `storage` is the id of the storage account. `record_types` and `criteria` are the API's
    `recordTypes` and `enabledFilteringCriteria`: "" where nothing is left out, None where nobody
    told.
    """

    id: str
    target: str
    storage: str
    enabled: bool
    record_types: str | None
    criteria: str | None

    @property
    def name(self) -> str:
        """As it is called."""
        return self.id.rpartition("/")[2]

    @property
    def watcher(self) -> str:
        """The id of its Network Watcher."""
        return self.id.rpartition("/")[0].rpartition("/")[0]

    @property
    def account(self) -> str:
        """The name of its storage account."""
        return self.storage.rpartition("/")[2].lower()

    @property
    def level(self) -> Level:
        """What its target is; "" for what is none of these."""
        return _LEVELS.get(self.target.rpartition("/")[0].rpartition("/")[2], "")

    @property
    def filtered(self) -> bool | None:
        """Whether it leaves flows out; None where nobody told. Logs of NSGs cannot."""
        if self.level == "nsg":
            return False
        types = {part.strip().upper() for part in (self.record_types or "").split(",")} - {""}
        if self.criteria or (types and not types >= _ALL_STATES):
            return True
        return None if self.record_types is None and self.criteria is None else False


class Azure(Protocol):
    """Where flow logs are asked for; `arm.ResourceManager` is the real one."""

    def query(self, query: str, page: int = 1000) -> Iterator[dict[str, Any]]: ...  # noqa: D102

    def flow_logs(self, watcher: str) -> list[dict[str, Any]]: ...  # noqa: D102


def read_flow_logs(azure: Azure) -> list[FlowLog]:
    """Every flow log that who is signed in may see: one query, and one request for each watcher
    whose filters Resource Graph does not tell.

    Raises:
        NsgflowError: Resource Graph refuses. A Network Watcher that refuses leaves it open
            whether its flow logs are filtered.
    """  # noqa: D205 - one sentence
    found = [_flow_log(row) for row in azure.query(_QUERY)]
    untold = {one.watcher for one in found if one.filtered is None}
    told = {watcher: _told(azure, watcher) for watcher in sorted(untold)}
    return [
        told[one.watcher].get(one.id.lower(), one) if one.filtered is None else one for one in found
    ]


def _told(azure: Azure, watcher: str) -> dict[str, FlowLog]:
    """The flow logs of a watcher, by lower-case id; what is not said there is not set."""
    try:
        entries: Sequence[Mapping[str, Any]] = azure.flow_logs(watcher)
    except NsgflowError:
        return {}
    found = {}
    for entry in entries:
        given = lower_keys(entry.get("properties") or {})
        log = _flow_log(
            {
                "id": entry["id"],
                "target": given.get("targetresourceid"),
                "storage": given.get("storageid"),
                "enabled": given.get("enabled"),
                "types": given.get("recordtypes") or "",
                "criteria": given.get("enabledfilteringcriteria") or "",
            }
        )
        found[log.id.lower()] = log
    return found


def _flow_log(row: Mapping[str, Any]) -> FlowLog:
    types, criteria = row["types"], row["criteria"]
    return FlowLog(
        str(row["id"]),
        str(row["target"] or "").lower(),
        str(row["storage"] or ""),
        str(row["enabled"]).lower() == "true",
        None if types is None else ",".join(types) if isinstance(types, list) else str(types),
        None if criteria is None else str(criteria),
    )
