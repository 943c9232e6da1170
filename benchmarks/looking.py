"""The look for denied flows that are let through, against reading the window that it looks at."""

import datetime as dt
from functools import partial

from msgspec.structs import replace

from benchmarks.figures import Figure, ratio
from benchmarks.local_azure import LocalAzure, local_azure
from devtools.flowlogs import HEAD, Group, Nic, large_log, nsg_path, nsg_record
from nsgflow_core.delivery.dead_letters import DeadLetters
from nsgflow_core.delivery.looking import Look
from nsgflow_core.delivery.parts import Parts
from nsgflow_core.delivery.reading import WINDOW, Reader
from nsgflow_core.delivery.report import Report
from nsgflow_core.digests import ledger
from nsgflow_core.digests.groups import Key, Tally
from nsgflow_core.digests.ledger import Ledger, Passed
from nsgflow_core.digests.sample import Sample
from nsgflow_core.estate.knowledge import NOTHING
from nsgflow_core.estate.scope import INSIDE
from nsgflow_core.logs.blocks import FlowLogs
from nsgflow_core.logs.path import parse_path
from nsgflow_core.model import BlobRef

_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_SIZES = {"3 KB": (34, 1), "130 KB": (2000, 1), "8 MiB": (2000, 62)}
_FLOWS = {"one flow": 1, "eight flows": 8, "256 flows": 256}
_TOGETHER = {"3 KB": 50, "130 KB": 10, "8 MiB": 1}
_ROUNDS = 15
_TARGET = 0.02
_KEY = Key("/nsgs/a", "a", "r", inbound=True, protocol="TCP", port=0, scope=INSIDE)


def measure() -> list[Figure]:
    """Windows of an update, of a busy interface's, and of a backlog; few flows sought, and many."""
    with local_azure() as local:
        figures = [
            _figure(f"{name} in a window of {size}", local, size, _log(size), _ledger(flows))
            for size in _SIZES
            for name, flows in _FLOWS.items()
        ]
        name = "a flow seen let through before, 2000 times in a window of 130 KB"
        known = ledger.noted(_ledger(1), [Passed(_KEY.id, _example(0), 10**12, 10**12, "r")], "log")
        figures.append(_figure(name, local, "130 KB", _open(2000), known))
        return figures


def _figure(name: str, local: LocalAzure, size: str, data: bytes, known: Ledger) -> Figure:
    path = nsg_path(Nic(mac=f"000D3A{len(data):06X}"), _HOUR)
    container = local.container(2)
    container.get_blob_client(path).upload_blob(data, overwrite=True)
    ref = BlobRef(str(container.account_name), str(container.container_name), path)
    source = FlowLogs({ref.account: local.service})
    blocks = source.list_blocks(ref)
    log = parse_path(path)
    letters = DeadLetters(local.container(4))
    reader = Reader(Parts(source, None, letters, []), log, NOTHING, Report(ref))  # type: ignore[arg-type]  # nothing is committed
    read = partial(reader.window, 0, blocks, lambda flows: flows, denied_only=True)
    _, reading = read()
    late = replace(reading, read_to=10**14)

    def look(_: int) -> None:
        for _ in range(_TOGETHER[size]):
            if Look(data, 0, late, log, NOTHING).passed(known, ()):
                raise RuntimeError("nothing of it is there")

    def reads(_: int) -> None:
        for _ in range(_TOGETHER[size]):
            read()

    measured = ratio(_ROUNDS, look, reads)
    return Figure(f"look for {name}: CPU", measured, "reading it and its denied flows", _TARGET)


def _log(size: str) -> bytes:
    tuples, records = _SIZES[size]
    return large_log(records, tuples, 0.05, 2, 0)[:-2][:WINDOW]


def _open(tuples: int) -> bytes:
    """A record with one connection that goes on, and nothing of it begins."""
    ends = _example(0).replace(" ", ",").replace(",0", ",50000,0")
    text = f"{round(_HOUR.timestamp())},{ends},T,I,A,C,1,60,1,60"
    return HEAD + nsg_record(Nic(), _HOUR, [Group("UserRule_Allow", (text,) * tuples)]).data


def _example(number: int) -> str:
    return f"10.5.16.{number % 250} 10.5.16.4 {number}"


def _ledger(flows: int) -> Ledger:
    """Groups of four flows each, between hosts that are alike to those of the log."""
    examples = list(map(_example, range(flows)))
    return ledger.add(
        None,
        [
            Tally(
                replace(_KEY, port=at),
                1,
                10**12,
                10**12,
                examples=Sample(tuple(examples[at : at + 4])),
            )
            for at in range(0, flows, 4)
        ],
    )
