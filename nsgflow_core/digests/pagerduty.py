"""A digest as an event for PagerDuty's Events API v2.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events: at most 512 KB, a summary of
1,024 characters, a `dedup_key` of 255. All text is plain.

A digest is one event. One for each group would be a thousand pages for a scan of a thousand
ports, more than the 120 calls a minute of a key, and a group is not known ever to end, so nobody
would resolve it. The `dedup_key` is the digest's id: posted again, it is the same alert.
"""

from typing import Any

import msgspec

from nsgflow_core.digests import wording
from nsgflow_core.digests.groups import Tally
from nsgflow_core.digests.message import Digest
from nsgflow_core.digests.wording import fit
from nsgflow_core.estate.causes import PLATFORM
from nsgflow_core.estate.scope import INSIDE, OUTBOUND
from nsgflow_core.model import flow_time

MAX_BYTES = 500_000
MAX_SUMMARY = 1024

_SEVERITIES = {INSIDE: "error", OUTBOUND: "warning", PLATFORM: "warning"}
_LEAST = "info"


def render(digest: Digest, link: str, routing_key: str) -> bytes:
    """The body of the POST: as many groups as fit."""
    return fit(
        digest, lambda part: _body(part, link, routing_key), lambda body: len(body) <= MAX_BYTES
    )


def _body(digest: Digest, link: str, routing_key: str) -> bytes:
    summary = wording.headline(digest)
    severity = _LEAST
    source = "nsgflow"
    if digest.groups:
        first = digest.groups[0]
        source = wording.nsg(first)
        severity = _severity(first)
        summary += f", first {wording.port(first)} {wording.direction(first)} at {source}"
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": digest.id,
        "client": "nsgflow",
        "payload": {
            "summary": summary[:MAX_SUMMARY],
            "source": source,
            "severity": severity,
            "timestamp": flow_time(round(digest.made * 1000)),
            "component": "network security group",
            "class": "denied flows",
            "custom_details": {
                "flows": digest.flows,
                "groups": [_group(tally) for tally in digest.groups],
                "not_shown": wording.remainder(digest),
            },
        },
    }
    if link:
        event["links"] = [{"href": link, "text": "Look into it in Log Analytics"}]
    return msgspec.json.encode(event)


def _severity(tally: Tally) -> str:
    """What Azure drops by itself is no rule of anybody's to mend, wherever it went."""
    kind = PLATFORM if tally.key.cause == PLATFORM else tally.key.scope
    return _SEVERITIES.get(kind, _LEAST)


def _group(tally: Tally) -> dict[str, Any]:
    return {
        "port": wording.port(tally),
        "direction": wording.direction(tally),
        "nsg": wording.nsg(tally),
        "rule": wording.rule(tally),
        "flows": wording.flows(tally),
        "sources": wording.sources(tally),
        "destinations": wording.targets(tally),
        "times": wording.times(tally),
    } | ({"now": said} if (said := wording.now(tally)) else {})
