"""Proposals over made-up estates: every flow passes, nothing unannounced does, none is too many."""

import random
from collections.abc import Iterator
import os

import pytest

from nsgflow_core.estate.acl import Packet
from nsgflow_core.estate.proposals import Proposal, propose
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.estate.wishes import Denied
from tests.unit.test_verdict import HOSTS, Made, addresses_of, plain_packet

ESTATES = int(os.environ.get("TEST_ESTATES", "60"))
FLOWS = 60
NAMES = {6: "TCP", 17: "UDP"}


def seen(estate: Made, rng: random.Random) -> list[Denied]:
    """Groups of denied flows, each logged by the first NSG that the oracle has deny it."""
    groups: dict[tuple[str, str, bool, str, str, int], set[str]] = {}
    for _ in range(FLOWS):
        src, dst, src_address, dst_address = addresses_of(rng)
        packet = plain_packet(rng, src_address, dst_address)
        for end, kind, access, rule in estate.expected(src, dst, packet):
            if access != "Deny":
                continue
            host = src if end == "source" else dst
            if kind != "admin":
                nsg = estate.nics[host] if kind == "nic" else estate.subnets[estate.place(host)]
                logged = f"DefaultRule_{rule}" if rule.startswith("Deny") else f"UserRule_{rule}"
                key = (nsg.lower(), logged, end == "destination", NAMES[packet["protocol"]],
                       dst_address, packet["dst_port"])  # fmt: skip
                groups.setdefault(key, set()).add(src_address)
            break
    return [
        Denied(nsg, rule, inbound, protocol, frozenset(sources), dst, port, 50000,
               frozenset(sources & {"8.8.8.8"}))
        for (nsg, rule, inbound, protocol, dst, port), sources in groups.items()
    ]  # fmt: skip


if __name__ == "__main__":
    import collections
    c = collections.Counter()
    for seed in range(200):
        rng = random.Random(seed)
        e = Made(rng)
        g = seen(e, rng)
        j = Judge(e.inventory)
        out = propose(g, j)
        for o in out:
            if isinstance(o, Proposal):
                c[o.proof.verdict] += 1
                c["also"] += bool(o.also)
                c["besides"] += bool(o.besides)
                for s in o.proof.still: c["still admin" if "admin" in s else "still"] += 1
                for s in o.proof.because: c[s] += 1
                if o.proof.still and not any("admin" in s for s in o.proof.still): c[o.no_priority]+=1
            else: c["refused "+o.why[:40]] += 1
    for k,v in c.most_common(40): print(v,k)
