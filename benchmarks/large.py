"""An hour blob of 1 GB in 50,000 blocks, the most a blob can have: memory, commits, CPU time."""

import datetime as dt
import gc
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import orjson
from azure.storage.blob import BlobBlock

from benchmarks.figures import Figure, cpu_seconds, memory
from benchmarks.fresh import in_fresh_process
from benchmarks.local_azure import CONNECTION, ROOT, LocalAzure, container_name, local_azure
from devtools.flowlogs import BlobWriter, Nic, nsg_path, random_record
from devtools.functions_host import FunctionsHost
from devtools.large_blob import LargeBlob, LargeWorld, large_world
from nsgflow_core.delivery.reading import WINDOW
from nsgflow_core.model import BlobRef, Block

BLOCKS = 50_000
GIGABYTE = 1_000_000_000

_AZURITE_BLOCKS = 1000
_TUPLES = 300
_DENIED_SHARE = 0.05
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_TINY = Nic(mac="000D3A000000")
_MIB = 1024 * 1024
_SECONDS = 480


@dataclass(frozen=True)
class Delivered:
    """What the delivery of a large blob took and did.

    `memory` is the peak beyond what was held before, in bytes; `cpu` in seconds, and
    `decoding` what orjson takes for as many bytes.
    """

    size: int
    memory: int
    cpu: float
    decoding: float
    commits: int
    lists: int
    bytes_read: int
    denied: int
    accepted: tuple[int, ...]
    repeated: int
    bad: int


def measure() -> list[Figure]:
    """The whole blob in one go, made as it is read."""
    large = in_fresh_process(deliver)
    if set(large.accepted) != {large.denied} or large.repeated or large.bad:
        raise RuntimeError(f"not each denied flow arrived once: {large}")
    name = f"{large.size / 1e9:.2f} GB in {BLOCKS} blocks"
    return [
        Figure(f"{name}: CPU", large.cpu / large.decoding, "orjson.loads"),
        Figure(f"{name}: peak memory", large.memory / _MIB, "over before", 128, unit="MiB"),
        Figure(f"{name}: bytes read", large.bytes_read / large.size, "the blob", 1.0),
        Figure(
            f"{name}: commits",
            large.commits,
            "windows of it",
            large.size // WINDOW,
            at_least=True,
            unit="",
        ),
        Figure(
            f"{name}: block lists", large.lists, "a look tells that there is no more", 1, unit=""
        ),
    ]


def measure_through_azurite() -> list[Figure]:
    """As many bytes on the disk of Azurite, through the function to accepted rows.

    In fewer blocks: Azurite takes longer for each block the more there are.
    """
    world, denied = large_and_denied()
    world.blob.records = b",".join([world.blob.records] * (BLOCKS // _AZURITE_BLOCKS))
    world.blob.count = _AZURITE_BLOCKS
    with local_azure(alerts=False, on_disk=True) as local:
        _upload(local, world.blob, world.ref)
        BlobWriter(local.container(2), nsg_path(_TINY, _HOUR)).append(world.blob.records)
        before = local.accepted().rows
        seconds, peak = in_fresh_process(_deliver_from_azurite, world.ref.path)
        accepted = local.accepted().rows - before - denied // _AZURITE_BLOCKS
    if accepted != denied:
        raise RuntimeError(f"{accepted} rows accepted, {denied} flows denied")
    name = f"{world.blob.size / 1e9:.2f} GB in {_AZURITE_BLOCKS} blocks, Azurite to rows"
    return [
        Figure(f"{name}: CPU", seconds, f"{denied} rows", unit="s"),
        Figure(f"{name}: peak memory", peak / _MIB, "over before", 128, unit="MiB"),
    ]


def _upload(local: LocalAzure, blob: LargeBlob, ref: BlobRef) -> None:
    client = local.container(2).get_blob_client(ref.path)

    def stage(block: Block) -> BlobBlock:
        name = f"{block.offset:016}"
        client.stage_block(name, blob.read(ref, block.offset, block.end, blob.etag))
        return BlobBlock(name)

    with ThreadPoolExecutor(8) as pool:
        client.commit_block_list(list(pool.map(stage, blob.list_blocks(ref).blocks)))


def _deliver_from_azurite(path: str) -> tuple[float, int]:
    with FunctionsHost(ROOT / "function_app.py", ROOT / "host.json") as host:
        _trigger(host, nsg_path(_TINY, _HOUR))
        gc.collect()
        before = memory("VmRSS")
        seconds = cpu_seconds(lambda: _trigger(host, path))
        return seconds, memory("VmHWM") - before


def _trigger(host: FunctionsHost, path: str) -> None:
    host.blob_created(container_name(2), path, CONNECTION)
    host.drain(600.0)
    host.app.service().wait(600.0)  # what it drains beside the events
    if host.failures:
        raise RuntimeError(host.failures[0].error)


def large_and_denied() -> tuple[LargeWorld, int]:
    """A gigabyte in 50,000 blocks, and how many flows of it were denied."""
    record = random_record(
        Nic(), _HOUR, random.Random(1), tuples=_TUPLES, denied_share=_DENIED_SHARE
    )
    world = large_world(record.data, BLOCKS, _HOUR)
    return world, BLOCKS * len(record.denied)


def deliver(blocks: int = BLOCKS) -> Delivered:
    """Deliver it; to be called in a process of its own, since peaks of memory stay."""
    world, _ = large_and_denied()
    world.blob.count = 100
    _run(world)  # what is made once for good
    world, denied = large_and_denied()
    world.blob.count, denied = blocks, denied * blocks // BLOCKS
    gc.collect()
    before = memory("VmRSS")
    cpu = cpu_seconds(lambda: _run(world))
    peak = memory("VmHWM") - before
    part = b'{"records":[' + b",".join([world.blob.records] * 100) + b"]}"
    decoding = min(cpu_seconds(lambda: orjson.loads(part)) for _ in range(5))
    return Delivered(
        world.blob.size,
        peak,
        cpu,
        decoding * world.blob.size / len(part),
        world.checkpoints.writes,
        world.blob.lists,
        world.blob.bytes_read,
        denied,
        tuple(sink.flows for sink in world.sinks),
        sum(sink.repeated for sink in world.sinks),
        world.letters.count,
    )


def _run(world: LargeWorld) -> None:
    with ThreadPoolExecutor(len(world.sinks)) as pool:
        world.pipeline(pool).run(world.ref, world.seconds + _SECONDS)
