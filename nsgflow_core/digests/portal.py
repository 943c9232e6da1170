"""A link into the Azure portal: a workspace's Logs page with the query of a digest filled in.

The form is that of the portal's own "Copy link to query": the query packed with gzip, in base64,
escaped twice, since the portal's router unescapes it twice.
"""

import base64
import gzip
from collections.abc import Iterable
from urllib.parse import quote

from nsgflow_core.digests.groups import Tally
from nsgflow_core.digests.message import Digest
from nsgflow_core.estate.causes import ENCRYPTION
from nsgflow_core.model import flow_time

_PORTALS = {"us": "https://portal.azure.us", "cn": "https://portal.azure.cn"}
_MAX_RULES = 10
_MARGIN_MS = 60_000


def portal(logs_endpoint: str) -> str:
    """The portal of the cloud that a Logs Ingestion endpoint is in."""
    for suffix, url in _PORTALS.items():
        if logs_endpoint.lower().rstrip("/").endswith(f".azure.{suffix}"):
            return url
    return "https://portal.azure.com"


def query(digest: Digest, table: str) -> str:
    """The KQL that shows what a digest tells of, one row a group and destination."""
    lines = [table, '| where FlowStatus == "Denied"']
    if digest.groups:
        first = min(tally.first for tally in digest.groups) - _MARGIN_MS
        last = max(tally.last for tally in digest.groups) + _MARGIN_MS
        begin, end = f"datetime({flow_time(first)})", f"datetime({flow_time(last)})"
        # Naming TimeGenerated keeps the portal from adding a time range of its own.
        lines.append(f"| where TimeGenerated >= {begin} and FlowTime between ({begin} .. {end})")
    rules = dict.fromkeys(_logged_rule(tally) for tally in digest.groups)
    if rules and not digest.more_groups and len(rules) <= _MAX_RULES:
        lines.append(f"| where AclRule in ({_strings(rules)})")
    lines += [
        "| summarize Flows = count(), Sources = dcount(SrcIp), Last = max(FlowTime)",
        "    by Nsg = tolower(AclName), AclRule, FlowDirection, L4Protocol, DestPort, DestIp",
        "| order by Flows desc",
    ]
    return "\n".join(lines)


def _logged_rule(tally: Tally) -> str:
    """What the table has in AclRule: of encryption a group names the reason in its place."""
    return "unspecified" if tally.key.cause == ENCRYPTION else tally.key.rule


def _strings(texts: Iterable[str]) -> str:
    """Texts as string literals of KQL, which escapes as JSON does."""
    return ", ".join(
        '"' + "".join(char if char.isprintable() else _escape(char) for char in safe) + '"'
        for safe in (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    )


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}"


def link(digest: Digest, workspace_id: str, table: str, host: str) -> str:
    """The link, "" without a workspace."""
    if not workspace_id:
        return ""
    packed = gzip.compress(query(digest, table).encode(), mtime=0)
    escaped = quote(quote(base64.b64encode(packed).decode(), safe=""), safe="")
    return (
        f"{host}/#blade/Microsoft_OperationsManagementSuite_Workspace/Logs.ReactView"
        f"/resourceId/{quote(workspace_id, safe='')}"
        f"/source/LogsBlade.AnalyticsShareLinkToQuery/q/{escaped}"
    )
