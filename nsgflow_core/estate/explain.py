"""What rules say now of a flow that a log has, for lists and digests."""

from nsgflow_core.estate.acl import Packet
from nsgflow_core.estate.judgement import Judgement, denial_line
from nsgflow_core.estate.simulation import tells
from nsgflow_core.estate.verdict import NO_INVENTORY, Judge
from nsgflow_core.model import Flow

_LEARNED = 100_000
"""Addresses of which is kept what flows before told, where there is no inventory: some 15 MiB. In
a scan there are millions; of its own ends each flow tells anew."""


def judged(judge: Judge, flow: Flow) -> Judgement:
    """What every layer says of a flow; without an inventory, what the NSG that logged it says.

    The interface that the log is of is one end: others may have its address in other VNets.
    """
    packet = Packet(flow.src, flow.dst, flow.protocol, flow.src_port, flow.dst_port)
    near, far = (flow.dst, flow.src) if flow.inbound else (flow.src, flow.dst)
    if judge.inventory is not None:
        nic = judge.inventory.nic(flow.group.mac)
        if nic is None or near not in nic.addresses:  # not its own: it passed the flow on
            return judge.judge(packet)
        source, target = (None, nic) if flow.inbound else (nic, None)
        return judge.judge(packet, judge.ends(packet, source=source, target=target))
    space = judge.space(None)
    space.keep(_LEARNED)
    space.own(near)
    if (inside := tells(flow.group.rule)) is not None:
        space.learn(far, inside=inside)
    found = judge.one_layer(flow.group.acl_group, packet, inbound=flow.inbound)
    if found.verdict != "allowed":
        return found
    return Judgement("unknown", found.layers, (NO_INVENTORY,))


def line(judge: Judge, flow: Flow) -> str:
    """The same in one line."""
    return denial_line(judged(judge, flow), judge.shown)
