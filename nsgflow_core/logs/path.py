"""The path of a PT1H.json and what it says: kind, resource, hour, MAC.

NSG logs have one form, VNet logs two; all of them end alike (`m=` is month, then minute):

    resourceId=/SUBSCRIPTIONS/…/NETWORKSECURITYGROUPS/{NSG}/y=…/m=…/d=…/h=…/m=00/macAddress=…/
    flowLogResourceID=/SUBSCRIPTIONS/…/FLOWLOGS/{NAME}/y=…/…
    flowLogResourceID=/{SUBSCRIPTION}_{GROUP}/NETWORKWATCHER_{REGION}_{NAME}/y=…/…

https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview and
https://learn.microsoft.com/azure/network-watcher/flow-logs-read give them.
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.addresses import canonical_mac
from nsgflow_core.model import BlobRef

NSG_CONTAINER = "insights-logs-networksecuritygroupflowevent"
VNET_CONTAINER = "insights-logs-flowlogflowevent"

_PATH = re.compile(
    r"(?P<key>resourceId|flowLogResourceID)=(?P<resource>/.+)"
    r"/y=(?P<y>\d{4})/m=(?P<m>\d{1,2})/d=(?P<d>\d{1,2})/h=(?P<h>\d{1,2})/m=\d{1,2}"
    r"/macAddress=(?P<mac>[^/]+)/PT1H\.json",
    re.IGNORECASE,
)

_HOUR_NAME = len("2026-11-23T08")
_FIRST_YEAR = 2000
_AHEAD = timedelta(days=1)


class LogPath(msgspec.Struct, frozen=True):
    """A parsed path: `resource` as written, `hour` in UTC, `mac` as 12 upper-case hex digits."""

    kind: Literal["nsg", "vnet"]
    resource: str
    hour: datetime
    mac: str


def hour_name(hour: datetime) -> str:
    """An hour as state and partitions name it, for example `2026-11-23T08`."""
    # Not by strftime: platforms differ on whether it pads a year before 1000.
    return hour.isoformat(timespec="hours")[:_HOUR_NAME]


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
    if y < _FIRST_YEAR:
        raise BadInputError(f"an hour long before flow logs in the path of one: {path}")
    kind: Literal["nsg", "vnet"] = "nsg" if found["key"].lower() == "resourceid" else "vnet"
    return LogPath(kind, found["resource"], hour, canonical_mac(found["mac"]))


def possible(hour: datetime, now: datetime) -> bool:
    """Whether there can be flow logs of an hour: clocks differ, by less than a day."""
    return hour.year >= _FIRST_YEAR and hour - now <= _AHEAD


def written_by(now: datetime, path: str) -> LogPath:
    """Read the path of a flow-log blob that exists at a time.

    Raises:
        BadInputError: the path is not that of a PT1H.json, or its hour is still to come.
    """
    log = parse_path(path)
    if not possible(log.hour, now):
        raise BadInputError(f"an hour that is still to come in the path of a flow log: {path}")
    return log


def log_name(ref: BlobRef, log: LogPath) -> str:
    """The log that a blob is an hour of: its MAC, and what tells it from others of that MAC."""
    place = f"{ref.account}/{ref.container}/{log.resource}"
    other = hashlib.blake2b(place.encode(), digest_size=6).hexdigest()
    return f"{log.mac}:{other}"


def resource_prefix(path: str) -> str:
    """The prefix of the resource that a flow log is of, ending in "/"; "" if it is none."""
    found = _PATH.fullmatch(path)
    return path[: found.end("resource") + 1] if found else ""


def hour_prefix(resource_prefix: str, hour: datetime) -> str:
    """The prefix of one hour's blobs below a resource's prefix (which ends in "/")."""
    return f"{resource_prefix}y={hour.year:04}/m={hour:%m}/d={hour:%d}/h={hour:%H}/"
