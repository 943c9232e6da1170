"""What an hour of updates costs at the storage: bytes downloaded and requests, at the wire."""

import datetime as dt
import os
import random
from typing import Literal

from benchmarks.figures import Figure
from benchmarks.local_azure import CONNECTION, LocalAzure, local_azure
from devtools.flowlogs import BlobWriter, Nic, nsg_path, random_record, vnet_path
from devtools.meter import Meter, metered
from nsgflow_core.config import from_env
from nsgflow_core.service import Service

_UPDATES = 60
_TUPLES = 40
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_LEAST_SIZE = 100 * 1024


def measure() -> list[Figure]:
    """Follow an hour of one NSG log and of one VNet log."""
    with local_azure() as local, metered(local.storage) as meter:
        os.environ |= dict.fromkeys((CONNECTION, "AzureWebJobsStorage"), meter.connection_string)
        service = Service(from_env(os.environ))
        # The table of checkpoints is made at the first blob of a deployment's life.
        _append(local, Nic(mac="000D3A000000"), 2, updates=1, meter=meter, service=service)
        nsg = _append(local, Nic(), 2, updates=_UPDATES, meter=meter, service=service)
        return nsg + _append(local, Nic(), 4, updates=_UPDATES, meter=meter, service=service)


def _append(
    local: LocalAzure,
    nic: Nic,
    version: Literal[2, 4],
    *,
    updates: int,
    meter: Meter,
    service: Service,
) -> list[Figure]:
    """Write updates one by one, deliver each, and deliver each again with nothing new."""
    path = vnet_path(nic, _HOUR) if version == 4 else nsg_path(nic, _HOUR)
    container = local.container(version)
    writer = BlobWriter(container, path, seed=version)
    rng = random.Random(version)
    with_new: list[int] = []
    with_none: list[int] = []
    downloaded = denied = 0
    before = local.accepted().rows
    for minute in range(updates):
        time = _HOUR + dt.timedelta(minutes=minute + 1)
        record = random_record(nic, time, rng, version=version, tuples=_TUPLES)
        writer.append(record.data)
        denied += len(record.denied)
        for counts in (with_new, with_none):
            meter.reset()
            service.deliver(CONNECTION, container.container_name, path)
            counts.append(meter.requests.total())
            downloaded += meter.downloaded.total()
    accepted = local.accepted().rows - before
    if accepted != denied:
        raise RuntimeError(f"{accepted} rows accepted, {denied} flows denied")
    if updates == 1:
        return []
    if writer.size < _LEAST_SIZE:
        raise RuntimeError(f"a blob of {writer.size} bytes is too small to tell")
    name = f"hour of {updates} updates, v{version}"
    return [
        Figure(f"{name}: bytes downloaded", downloaded / writer.size, "final blob size", 1.01),
        Figure(f"{name}: storage requests, first update", with_new[0], "the update", 7, unit=""),
        Figure(
            f"{name}: storage requests, new data", max(with_new[1:]), "worst update", 6, unit=""
        ),
        Figure(f"{name}: storage requests, nothing new", max(with_none), "worst event", 2, unit=""),
    ]
