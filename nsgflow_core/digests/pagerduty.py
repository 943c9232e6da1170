"""A digest as an event for PagerDuty's Events API v2.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events: at most 512 KB, a summary of
1,024 characters, a `dedup_key` of 255. All text is plain.

Each group is one incident, from the digest that tells it first to the one that says that it is
over: its `dedup_key` is made of the group and of who tells it, so that what goes on is the same
incident, and nobody resolves what another webhook or deployment has seen. A digest begins 20
incidents at most, well below the 120 calls a minute of a key; what is more, or is not followed, is
one incident under the digest's id. Flows that no group could name stand in another incident where
there is one, since nobody would ever know that they are over. Posted again, an event is the same,
and changes nothing.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

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


def events(digest: Digest, link: Callable[[Digest], str], routing_key: str) -> list[bytes]:
    """The bodies of the POSTs, in their order: what began or goes on, then what is over."""
    shared = digest.id
    incidents: dict[str, list[Tally]] = {}
    for tally in digest.groups:
        about = digest.about.get(tally.key.id) if digest.about else None
        incidents.setdefault(about.incident if about else shared, []).append(tally)
    if digest.more_groups:
        incidents.setdefault(shared, [])
    if not incidents and (digest.others or not (digest.ended or digest.silenced)):
        incidents[shared] = []
    rest = shared if shared in incidents else next(iter(incidents), "")
    bodies = []
    for incident, tallies in incidents.items():
        part = replace(digest, groups=tuple(tallies), ended=(), silenced=())
        if incident != rest:
            part = replace(part, more_groups=0, more_flows=0, others=0)
            part = replace(part, held_groups=0, behind_groups=0)
        bodies.append(_fitting(part, incident, link, routing_key))
    over = dict.fromkeys(at.incident for at in digest.ended if at.incident)
    return bodies + [_resolve(incident, routing_key) for incident in over]


def _fitting(digest: Digest, incident: str, link: Callable[[Digest], str], key: str) -> bytes:
    href = link(digest)
    return fit(
        digest,
        lambda part: _body(part, incident, href, key),
        lambda body: len(body) <= MAX_BYTES,
    )


def _resolve(incident: str, routing_key: str) -> bytes:
    return msgspec.json.encode(
        {"routing_key": routing_key, "event_action": "resolve", "dedup_key": incident}
    )


def _body(digest: Digest, incident: str, link: str, routing_key: str) -> bytes:
    summary = wording.headline(digest)
    severity = _LEAST
    source = "nsgflow"
    if digest.groups:
        first = digest.groups[0]
        source = wording.nsg(first)
        severity = _severity(first)
        what = f"{wording.port(first)} {wording.direction(first)} at {source}"
        summary = f"{what}: {summary}" if len(digest.groups) == 1 else f"{summary}, first {what}"
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": incident,
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
                "groups": [_group(digest, tally) for tally in digest.groups],
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


def _group(digest: Digest, tally: Tally) -> dict[str, Any]:
    state, since = wording.life(digest, tally)
    return {
        "state": f"{state.strip(': ').lower()} {since}".strip() or "not followed",
        "port": wording.port(tally),
        "direction": wording.direction(tally),
        "nsg": wording.nsg(tally),
        "rule": wording.rule(tally),
        "flows": wording.flows(tally),
        "sources": wording.sources(tally),
        "destinations": wording.targets(tally),
        "times": wording.times(tally),
        **({"now": said} if (said := wording.now(tally)) else {}),
        **({"look": said} if (said := wording.why(digest, tally)) else {}),
        **({"before": done} if (done := wording.before(digest, tally)) else {}),
    }
