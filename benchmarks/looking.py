"""The look for denied flows that are let through, against reading the window that it looks at."""

import datetime as dt
from functools import partial

from benchmarks.figures import Figure, ratio
from benchmarks.local_azure import LocalAzure, local_azure
from devtools.flowlogs import Nic, large_log, nsg_path
from nsgflow_core.delivery.dead_letters import DeadLetters
from nsgflow_core.delivery.looking import Look
from nsgflow_core.delivery.parts import Parts
from nsgflow_core.delivery.reading import WINDOW, Reader
from nsgflow_core.delivery.report import Report
from nsgflow_core.digests import ledger
from nsgflow_core.digests.groups import Key, Tally
from nsgflow_core.digests.ledger import Ledger
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


def measure() -> list[Figure]:
    """Windows of an update, of a busy interface's, and of a backlog; few flows sought, and many."""
    with local_azure() as local:
        return [
            Figure(
                f"look for {flows} in a window of {size}: CPU",
                _ratio(local, size, number),
                "reading it and its denied flows",
                _TARGET,
            )
            for size in _SIZES
            for flows, number in _FLOWS.items()
        ]


def _ratio(local: LocalAzure, size: str, flows: int) -> float:
    tuples, records = _SIZES[size]
    data = large_log(records, tuples, 0.05, 2, 0)[:-2][:WINDOW]
    path = nsg_path(Nic(mac=f"000D3A{tuples:06X}"), _HOUR + dt.timedelta(hours=len(size)))
    container = local.container(2)
    container.get_blob_client(path).upload_blob(data, overwrite=True)
    ref = BlobRef(str(container.account_name), str(container.container_name), path)
    source = FlowLogs({ref.account: local.service})
    blocks = source.list_blocks(ref)
    log = parse_path(path)
    letters = DeadLetters(local.container(4))
    reader = Reader(Parts(source, None, letters, []), log, NOTHING, Report(ref))  # type: ignore[arg-type]  # nothing is committed
    known = _ledger(flows)

    def look(_: int) -> None:
        for _ in range(_TOGETHER[size]):
            if Look(data, 0, len(data), log, NOTHING).passed(known, (), 10**14):
                raise RuntimeError("nothing of it is there")

    read = partial(reader.window, 0, blocks, denied_only=True)

    def reads(_: int) -> None:
        for _ in range(_TOGETHER[size]):
            read()

    return ratio(_ROUNDS, look, reads)


def _ledger(flows: int) -> Ledger:
    """Groups of four flows each, between hosts that are alike to those of the log."""
    examples = [f"10.5.16.{number % 250} 10.5.16.4 {number}" for number in range(flows)]
    return ledger.add(
        None,
        [
            Tally(
                Key("/nsgs/a", "a", "r", inbound=True, protocol="TCP", port=at, scope=INSIDE),
                1,
                10**12,
                10**12,
                examples=Sample(tuple(examples[at : at + 4])),
            )
            for at in range(0, flows, 4)
        ],
    )
