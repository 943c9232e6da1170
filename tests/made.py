"""Flows made by hand, said in words and not in the codes of a tuple."""

from typing import Literal, NamedTuple, cast

from nsgflow_core.model import PROTOCOLS, Flow, Group

_VNET = 4
_CODES = {"TCP": "T", "UDP": "U", "ICMP": "I"}
_NUMBERS = {name: code for code, name in PROTOCOLS.items() if code.isdigit()}


class Outcome(NamedTuple):
    """The second half of a tuple: what the flow wanted and what became of it."""

    dst_port: int | None
    protocol: str
    inbound: bool
    denied: bool
    state: str
    encryption: str
    packets_sent: int | None = None
    bytes_sent: int | None = None
    packets_received: int | None = None
    bytes_received: int | None = None


def made(
    group: Group,
    ordinal: int,
    text: str,
    time_ms: int,
    src: str,
    dst: str,
    src_port: int | None,
    outcome: Outcome,
) -> Flow:
    """The flow as a reader makes it from a tuple of the record's version."""
    vnet = group.record.version == _VNET
    codes = _NUMBERS if vnet else _CODES
    decision = outcome.state if vnet else "D" if outcome.denied else "A"
    return Flow(
        time_ms,
        src,
        dst,
        src_port,
        outcome.dst_port,
        codes.get(outcome.protocol, outcome.protocol),
        "I" if outcome.inbound else "O",
        cast("Literal['A', 'D', 'B', 'C', 'E']", decision),
        outcome.encryption if vnet else outcome.state,
        outcome.packets_sent,
        outcome.bytes_sent,
        outcome.packets_received,
        outcome.bytes_received,
        group,
        ordinal,
        text,
    )


def outcome_of(flow: Flow) -> Outcome:
    """What a flow wanted and what became of it."""
    ends = (flow.dst_port, flow.protocol, flow.inbound, flow.denied)
    return Outcome(*ends, flow.state, flow.encryption, *flow.counters)
