"""A sweep of 10,000 NICs with years of history behind them: requests and CPU time."""

import datetime as dt
from dataclasses import dataclass

from benchmarks.figures import Figure, cpu_seconds, memory
from benchmarks.fresh import in_fresh_process
from devtools.azurite import azurite
from devtools.flowlogs import NSG_CONTAINER, VNET_CONTAINER
from devtools.history import ACCOUNT, ETAG, SIZE, history, history_container, nsg_resources
from devtools.meter import metered
from nsgflow_core.delivery import checkpoint
from nsgflow_core.delivery.checkpoint import Checkpoint, Checkpoints
from nsgflow_core.delivery.cursor import Cursor
from nsgflow_core.delivery.report import Report
from nsgflow_core.delivery.sweep import Account, Window, sweep
from nsgflow_core.model import BlobRef, Storage
from nsgflow_core.storage import table

_SUBSCRIPTIONS, _GROUPS, _NSGS = 2, 5, 20
_NICS = 50
_HOURS = 500
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_TABLE = "checks"
_MIB = 1024 * 1024


@dataclass(frozen=True)
class _Swept:
    blobs: int
    runs: int
    cpu: float
    memory: int


def measure() -> list[Figure]:
    """One sweep, which looks at two hours; in one of them each blob has its checkpoint."""
    resources = nsg_resources(_SUBSCRIPTIONS, _GROUPS, _NSGS)
    nics = len(resources) * _NICS
    with azurite() as storage, history(resources, _HOUR, _HOURS, _NICS) as logs:
        paths = [f"{at}{below}" for at in resources for below in logs.below_resource()]
        _write_checkpoints(storage.connection_string, paths)
        with metered(storage) as meter:
            swept = in_fresh_process(_sweep, logs.server.url, meter.connection_string)
        if (swept.blobs, swept.runs) != (2 * nics, nics):
            raise RuntimeError(f"{swept.blobs} blobs were listed, {swept.runs} run")
        walk = 3 + 2 * _SUBSCRIPTIONS + 4 * _SUBSCRIPTIONS * _GROUPS + 1  # no VNet logs there
        name = f"sweep of {nics} NICs of {len(resources)} NSGs"
        return [
            Figure(
                f"{name}: listings",
                logs.server.requests,
                f"among {logs.blobs} blobs",
                walk + 2 * len(resources),
                unit="",
            ),
            Figure(
                f"{name}: table requests",
                meter.requests.total(),
                "a thousand checkpoints each",
                3 + nics // 1000 + 1,
                unit="",
            ),
            Figure(f"{name}: CPU", swept.cpu, "blobs of two hours", unit="s"),
            Figure(f"{name}: peak memory", swept.memory / _MIB, "over before", unit="MiB"),
        ]


def _write_checkpoints(connection_string: str, paths: list[str]) -> None:
    cursors = {"table": Cursor(SIZE, seen=SIZE, etag=f'"{ETAG}"')}
    with table(Storage(connection_string), _TABLE) as rows:
        rows.create_table()
        for first in range(0, len(paths), 100):
            some = [BlobRef(ACCOUNT, NSG_CONTAINER, path) for path in paths[first : first + 100]]
            entities = [checkpoint._entity(Checkpoint(ref, _HOUR, cursors)) for ref in some]  # noqa: SLF001  # one by one would take minutes
            rows.submit_transaction([("create", entity) for entity in entities])


def _sweep(url: str, connection_string: str) -> _Swept:
    runs: list[BlobRef] = []

    def run(ref: BlobRef) -> Report:
        runs.append(ref)
        return Report(ref)

    containers = [history_container(url, name) for name in (NSG_CONTAINER, VNET_CONTAINER)]
    account = Account("FlowLogs", ACCOUNT, containers)
    checkpoints = Checkpoints(table(Storage(connection_string), _TABLE))
    window = Window(_HOUR + dt.timedelta(minutes=30), 3, 30, lambda: False)
    before = memory("VmRSS")
    blobs = 0

    def once() -> None:
        nonlocal blobs
        blobs = sweep(account, checkpoints, run, window, {}).blobs

    cpu = cpu_seconds(once)
    return _Swept(blobs, len(runs), cpu, memory("VmHWM") - before)
