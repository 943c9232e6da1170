"""What service tags and an inventory cost: in rows, at start, in memory.

The tags have 100,000 prefixes, as many as Microsoft's, and the inventory 50,000 NICs. The far
ends of the flows are a third NICs of the inventory, a third addresses of services, a third others.
"""

import datetime as dt
import ipaddress
import json
import random
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.figures import Figure, ratio
from benchmarks.fresh import in_fresh_process
from benchmarks.local_azure import container_name
from benchmarks.parsing import denied_flows
from devtools.flowlogs import Nic, large_log, nsg_path, vnet_path
from nsgflow_core.estate.inventory import Acl, Inventory, Subnet, pack_inventory
from nsgflow_core.estate.inventory import Nic as KnownNic
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.estate.rules import Rule
from nsgflow_core.estate.service_tags import ServiceTags, compile_tags
from nsgflow_core.logs.path import LogPath, parse_path
from nsgflow_core.model import BlobRef
from nsgflow_core.sinks import rows

_PREFIXES = 100_000
_NICS = 50_000
_NSGS = 2_000
_LOGS = 8
_ROWS = 10_000
_RECORD = 100
_ROUNDS = 16
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_HOME = "/subscriptions/s/resourcegroups/shop-rg/providers/microsoft.network"


def measure() -> list[Figure]:
    """Rows of both versions, then loading and memory in processes of their own."""
    rng = random.Random(7)
    begun = time.perf_counter()
    tags = compile_tags([tags_document(rng)])
    compiled = time.perf_counter() - begun
    inventory = packed_inventory(rng)
    versions: tuple[Literal[2], Literal[4]] = (2, 4)
    figures = [
        _rows_figure(version, tags, inventory, times) for version in versions for times in (4, 1)
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tags").write_bytes(tags)
        (Path(folder) / "inventory").write_bytes(inventory)
        loads = [in_fresh_process(_load, folder) for _ in range(3)]
        memory = in_fresh_process(_memory, folder)
    size = f"{_PREFIXES:,} prefixes, {_NICS:,} NICs"
    return [
        *figures,
        Figure("loading both, the first time in a process", min(loads), size, 300, unit="ms"),
        Figure("memory of the tags, searched", memory, f"{_PREFIXES:,} prefixes", 50, unit="MiB"),
        Figure("compiling the tags, in the sweep", compiled, f"{_PREFIXES:,} prefixes", unit="s"),
        Figure("both blobs", (len(tags) + len(inventory)) / 2**20, size, unit="MiB"),
    ]


def tags_document(rng: random.Random) -> bytes:
    """A ServiceTags JSON of the real one's size: umbrellas, services, regions, v4 and v6."""
    regions = [f"Region{number}" for number in range(60)]
    values: dict[str, set[str]] = {}
    left = _PREFIXES
    seen: set[str] = set()
    while left:
        region = rng.choice(regions)
        umbrella = rng.random() < 0.2
        name = f"AzureCloud.{region}" if umbrella else f"Service{rng.randrange(100)}.{region}"
        if rng.random() < 0.75:
            length = rng.randrange(13, 24) if umbrella else rng.randrange(22, 33)
            number = rng.choice((13, 20, 40, 51, 52, 104)) << 24 | rng.getrandbits(24)
        else:
            length = rng.randrange(36, 49) if umbrella else rng.randrange(48, 128)
            number = 0x2603_1000 << 96 | rng.getrandbits(112)
        text = str(_network(number, length))
        if text not in seen:
            seen.add(text)
            values.setdefault(name, set()).add(text)
            left -= 1
    tags = [
        {"name": name, "properties": {"addressPrefixes": sorted(prefixes)}}
        for name, prefixes in values.items()
    ]
    return json.dumps({"changeNumber": 1, "cloud": "Public", "values": tags}).encode()


def _network(number: int, length: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if number < 2**32:
        return ipaddress.IPv4Network((number, length), strict=False)
    return ipaddress.IPv6Network((number, length), strict=False)


def packed_inventory(rng: random.Random) -> bytes:
    """An inventory of many VNets, some of which use the same addresses; with NSGs and rules."""
    subnets: list[tuple[Subnet, tuple[str, ...]]] = [
        (
            Subnet(f"shop-rg/vnet-{vnet}/net-{part}", f"{_HOME}/virtualnetworks/vnet-{vnet}", part),
            (f"10.{vnet % 250}.{16 * part}.0/20",),
        )
        for vnet in range(300)
        for part in range(8)
    ]
    nics = [KnownNic(Nic().mac, "shop-rg/web-1", 0, 0, (Nic().ip,))]
    for number in range(1, _NICS):
        subnet = rng.randrange(len(subnets))
        base = subnets[subnet][1][0].rpartition(".")[0].rpartition(".")[0]
        host = f"{base}.{16 * (subnet % 8) + rng.randrange(16)}.{rng.randrange(4, 255)}"
        public = (f"20.{number >> 16}.{number >> 8 & 255}.{number & 255}",) * (number % 10 == 0)
        nics.append(KnownNic(f"{number:012X}", f"shop-rg/vm-{number}", subnet, -1, (host, *public)))
    nsgs = [f"{_HOME}/networksecuritygroups/nsg-{number}" for number in range(_NSGS)]
    rules = tuple(
        Rule(f"Rule{at}", 100 + at, True, "Deny", "Tcp", ("*",), ("*",), ("*",), (str(at),))  # noqa: FBT003
        for at in range(20)
    )
    acls = {f"{at:08x}-0000-0000-0000-000000000000": Acl(nsg, nsg) for at, nsg in enumerate(nsgs)}
    return pack_inventory(
        nics, subnets, nsgs, {"192.168.0.0/16": 1}, acls, dict.fromkeys(nsgs, rules)
    )


def _rows_figure(version: Literal[2, 4], tags: bytes, inventory: bytes, times: int) -> Figure:
    """Rows whose far ends come so many times each: who is denied tries again."""
    path = vnet_path(Nic(), _HOUR) if version == 4 else nsg_path(Nic(), _HOUR)
    log, ref = parse_path(path), BlobRef("account", container_name(version), path)
    known = Knowledge(ServiceTags(tags), Inventory(inventory))
    ends = _far_ends(inventory)
    logs = [_log(version, seed, ends, times) for seed in range(_LOGS)]
    _check([msgspec.json.decode(row) for row in _rows(logs[0], log, ref, known)])
    measured = ratio(
        _ROUNDS,
        # Far ends that were looked up in an earlier round must not help.
        lambda number: _rows(logs[number % _LOGS], log, ref, replace(known, seen={})),
        lambda number: _rows(logs[number % _LOGS], log, ref, NOTHING),
    )
    name = f"enriching on top of parsing and encoding, v{version}, "
    name += f"far ends {times} times each" if times > 1 else "each far end new"
    target = 1.0 if times > 1 else None
    return Figure(name, measured - 1, "parsing and encoding without", target)


def _rows(data: bytes, log: LogPath, ref: BlobRef, knowledge: Knowledge) -> list[str]:
    found, lines = denied_flows(data, ref, log), rows.lines_of(knowledge)
    return "".join(map(lines, found)).splitlines()


def _far_ends(inventory: bytes) -> list[str]:
    """Far more addresses than the logs have flows, in a random order."""
    rng = random.Random(11)
    nics = [address for nic in Inventory(inventory)._stored.nics for address in nic.addresses]  # noqa: SLF001 - any list of them would do
    count = _LOGS * _ROWS // 3 + 1
    services = [
        f"20.{rng.randrange(1, 256)}.{rng.randrange(256)}.{rng.randrange(256)}"
        for _ in range(count)
    ]
    others = [
        f"{rng.randrange(60, 90)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}"
        for _ in range(count)
    ]
    found = [*rng.choices(nics, k=count), *services, *others]
    rng.shuffle(found)
    return found


def _log(version: Literal[2, 4], seed: int, ends: Sequence[str], times: int) -> bytes:
    """A log of denied flows; each log has far ends of its own, in a random order."""
    near = re.escape(Nic().ip)
    own = list(ends[seed * _ROWS : seed * _ROWS + _ROWS // times]) * times
    random.Random(seed).shuffle(own)

    def swap(found: re.Match[str]) -> str:
        far = own.pop()
        return found[0].replace(found[1] or found[2], far)

    text = large_log(_ROWS // _RECORD, _RECORD, 1.0, version, seed).decode()
    return re.sub(rf",(?:([\d.]+),{near}|{near},([\d.]+)),", swap, text).encode()


def _check(found: list[dict[str, str]]) -> None:
    """That all kinds of far ends were met, and told apart."""
    kinds = {row["FlowType"] for row in found}
    if len(found) != _ROWS or not {"InterVNet", "AzurePublic", "ExternalPublic"} <= kinds:
        raise RuntimeError(f"{len(found)} rows of the types {sorted(kinds)}")
    if not all(row["SrcVm"] or row["DestVm"] for row in found):
        raise RuntimeError("a row without a VM")


def _load(folder: str) -> float:
    """Milliseconds that loading both takes."""
    tags, inventory = ((Path(folder) / name).read_bytes() for name in ("tags", "inventory"))
    begun = time.perf_counter()
    loaded = Knowledge(ServiceTags(tags), Inventory(inventory))
    taken = time.perf_counter() - begun
    if loaded.tags is None or loaded.tags.prefixes != _PREFIXES:
        raise RuntimeError("not the tags that were compiled")
    return taken * 1000


def _memory(folder: str) -> float:
    """MiB by which the process grows with the tags, and a cache of addresses that is full."""
    before = _resident()
    tags = ServiceTags((Path(folder) / "tags").read_bytes())
    rng = random.Random(3)
    for _ in range(100_000):
        tags.of(f"20.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}")
    return _resident() - before


def _resident() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
