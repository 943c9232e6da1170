"""The path of a PT1H.json and what it says: kind, resource, hour, MAC.

NSG logs have one form, VNet logs two; all of them end alike (`m=` is month, then minute):

    resourceId=/SUBSCRIPTIONS/…/NETWORKSECURITYGROUPS/{NSG}/y=…/m=…/d=…/h=…/m=00/macAddress=…/
    flowLogResourceID=/SUBSCRIPTIONS/…/FLOWLOGS/{NAME}/y=…/…
    flowLogResourceID=/{SUBSCRIPTION}_{GROUP}/NETWORKWATCHER_{REGION}_{NAME}/y=…/…

https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview and
https://learn.microsoft.com/azure/network-watcher/flow-logs-read give them.
"""

import re
from datetime import UTC, datetime
from typing import Literal

import msgspec

from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.addresses import canonical_mac

NSG_CONTAINER = "insights-logs-networksecuritygroupflowevent"
VNET_CONTAINER = "insights-logs-flowlogflowevent"

_PATH = re.compile(
    r"(?P<key>resourceId|flowLogResourceID)=(?P<resource>/.+)"
    r"/y=(?P<y>\d{4})/m=(?P<m>\d{1,2})/d=(?P<d>\d{1,2})/h=(?P<h>\d{1,2})/m=\d{1,2}"
    r"/macAddress=(?P<mac>[^/]+)/PT1H\.json",
    re.IGNORECASE,
)


class LogPath(msgspec.Struct, frozen=True):
    """A parsed path: `resource` as written, `hour` in UTC, `mac` as 12 upper-case hex digits."""

    kind: Literal["nsg", "vnet"]
    resource: str
    hour: datetime
    mac: str


def hour_name(hour: datetime) -> str:
    """An hour as state and partitions name it, for example `2026-11-23T08`."""
    return f"{hour:%Y-%m-%dT%H}"


def hour_named(name: str) -> datetime:
    """The hour of such a name.

    Raises:
        ValueError: it is none.
    """
    return datetime.strptime(name + "+0000", "%Y-%m-%dT%H%z")


def is_flow_log(path: str) -> bool:
    """Whether a path has the form of a flow log's."""
    return _PATH.fullmatch(path) is not None


def parse_path(path: str) -> LogPath:
    """Read the path of a flow-log blob.

    Raises:
        BadInputError: the path is not that of a PT1H.json.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise BadInputError(f"not the path of a flow log: {path}")
    y, m, d, h = (int(found[part]) for part in "ymdh")
    try:
        hour = datetime(y, m, d, h, tzinfo=UTC)
    except ValueError as exc:
        raise BadInputError(f"no such hour in the path of a flow log: {path}") from exc
    kind: Literal["nsg", "vnet"] = "nsg" if found["key"].lower() == "resourceid" else "vnet"
    return LogPath(kind, found["resource"], hour, canonical_mac(found["mac"]))


def hour_prefix(resource_prefix: str, hour: datetime) -> str:
    """The prefix of one hour's blobs below a resource's prefix (which ends in "/")."""
    return f"{resource_prefix}y={hour:%Y}/m={hour:%m}/d={hour:%d}/h={hour:%H}/"
