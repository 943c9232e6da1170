"""Questions about rows, asked in Python."""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from devtools.kql import INGESTED
from devtools.table_rows import NOW, Row

Answer = list[Row]


def each_once(rows: Iterable[Row]) -> list[Row]:
    """One row of each flow."""
    return list({row["FlowId"]: row for row in rows}.values())


def denied(rows: Iterable[Row], span: dt.timedelta) -> list[Row]:
    """The denied flows in a time range that ends now, each once."""
    inside = [row for row in rows if row["FlowStatus"] == "Denied" and time(row) > NOW - span]
    return each_once(inside)


def time(row: Row) -> dt.datetime:
    """When the flow happened."""
    return dt.datetime.fromisoformat(row["FlowTime"])


def nsg(row: Row) -> str:
    """What an engineer calls what dropped the flow."""
    if row["AclGroup"] == "unspecified":
        return "VNet encryption"
    if row["AclRule"] == "PlatformRule":
        return "Azure platform"
    group: str = row["AclGroup"]
    parts = group.split("/")
    return f"{parts[4]}/{parts[-1]}" if len(parts) > 1 else group


def rule(row: Row) -> str:
    """The rule, or the code that says why without one."""
    name: str = row["FlowEncryption" if row["AclRule"] == "unspecified" else "AclRule"]
    return name


def port(row: Row) -> str:
    """Protocol and port."""
    names = {"58": "ICMPv6", "47": "GRE", "50": "ESP", "51": "AH", "99": "protocol 99"}
    number: str = row["L4Protocol"]
    protocol = names.get(number, number)
    if protocol in ("TCP", "UDP"):
        return f"{protocol} {row['DestPort']}"
    return f"SCTP {row['DestPort']}" if protocol == "132" else protocol


def grouped(rows: Iterable[Row], *keys: Callable[[Row], Any]) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by what the keys say of them."""
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(key(row) for key in keys)].append(row)
    return groups


def of(name: str) -> Callable[[Row], Any]:
    """A key: the column as it is."""
    return lambda row: row[name]


def comparable(answer: Iterable[Row]) -> list[str]:
    """Rows as text, in order of the text: times in UTC, lists as sets, rows without their order."""

    def plain(value: Any) -> Any:
        if isinstance(value, str) and value.startswith("["):
            value = set(json.loads(value))
        if isinstance(value, set):
            return sorted(map(str, value))
        if isinstance(value, dt.datetime):
            return value.replace(tzinfo=None).isoformat(timespec="milliseconds")
        return value

    return sorted(
        json.dumps(
            {name: plain(value) for name, value in row.items() if name != INGESTED}, sort_keys=True
        )
        for row in answer
    )
