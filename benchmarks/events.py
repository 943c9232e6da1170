"""Events by blob trigger and by queue, side by side: requests, delays, and an account that refuses.

Both ways run through function_app.py in the small Functions host, which looks at each blob before
a blob trigger as the real one does, and polls a real queue in Azurite as the real one does. The
queue of blob triggers is in the host's memory here, so that its requests are not counted.
"""

import contextlib
import datetime as dt
import json
import logging
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from azure.storage.blob import BlobClient

from benchmarks.figures import Figure, percentile
from benchmarks.local_azure import CONNECTION, ROOT, LocalAzure, container_name, local_azure
from devtools.azurite import ACCOUNT, ACCOUNT_KEY
from devtools.events import event_of, send
from devtools.flowlogs import BlobWriter, Nic, nsg_path, random_record, seven_digits
from devtools.functions_host import FunctionsHost
from devtools.http_server import Response, serve
from devtools.meter import Meter, metered
from nsgflow_core.telemetry import quiet_sdks

_UPDATES = 30
_TUPLES = 34
_DENIED_SHARE = 0.2
_LONGEST_PAUSE = 6.0
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_WAYS = {"EventGrid": "blob trigger", "Queue": "queue"}


@dataclass(frozen=True)
class _Way:
    """One way of events: the app in its host, and how the event of a blob is sent."""

    host: FunctionsHost
    local: LocalAzure
    meter: Meter

    def send(self, blob: BlobClient) -> None:
        """An event of a blob, past the meter."""
        if triggers := self.host.queue_triggers:
            send(triggers[0].queue, event_of(blob))
        else:
            self.host.blob_created(blob.container_name, blob.blob_name, CONNECTION)


def measure() -> list[Figure]:
    """All of it, each way in turn."""
    quiet_sdks()
    logging.getLogger("nsgflow").setLevel(logging.CRITICAL)  # of what is refused on purpose
    figures: list[Figure] = []
    with local_azure() as local, metered(local.storage) as meter:
        for source, name in _WAYS.items():
            with _way(local, meter, source) as way:
                figures += _requests(way, name)
                figures += _delays(way, name)
        for source, name in _WAYS.items():
            figures += _refusing(local, source, name)
    return figures


@contextlib.contextmanager
def _way(local: LocalAzure, meter: Meter, source: str, **settings: str) -> Iterator[_Way]:
    through = dict.fromkeys((CONNECTION, "AzureWebJobsStorage"), meter.connection_string)
    before = dict(os.environ)
    os.environ |= through | {"NSGFLOW_TRIGGER_SOURCE": source} | settings
    try:
        with FunctionsHost(ROOT / "function_app.py", ROOT / "host.json", look=True) as host:
            yield _Way(host, local, meter)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _requests(way: _Way, name: str) -> list[Figure]:
    """Requests of an update with new data, and of its event when it comes again."""
    queue = bool(way.host.queue_triggers)
    log = _Log(way.local, f"000D3A{int(queue):06X}")
    log.write()
    _run(way, log)  # the first of a blob makes its row, and of all the table and the queue
    counted: dict[str, dict[str, int]] = {}
    for what in ("an update", "the same event again"):
        if what == "an update":
            log.write()
        way.meter.reset()
        _run(way, log)
        flow_logs = sum(
            count
            for operation, count in way.meter.requests.items()
            if operation in ("HEAD blob", "GET blob", "GET blocklist")
        )
        rest = sum(
            count
            for operation, count in way.meter.requests.items()
            if operation.endswith("entity") or operation in ("DELETE message", "PUT message")
        )
        counted[what] = {"flow-log account": flow_logs, "host storage": rest}
    most = {"an update": 3, "the same event again": 0} if queue else {}
    beside = "less polls" if queue else "less the trigger's queue"
    return [
        Figure(
            f"{name}: requests to {account}, {what}",
            count,
            beside if account == "host storage" else "the event",
            most.get(what) if account == "flow-log account" else None,
            unit="",
        )
        for what, counts in counted.items()
        for account, count in counts.items()
    ]


def _delays(way: _Way, name: str) -> list[Figure]:
    """Seconds from an event to its row, where events come alone, at any time."""
    queue = bool(way.host.queue_triggers)
    log = _Log(way.local, f"000D3B{int(queue):06X}")
    log.write()
    _run(way, log)
    rng = random.Random(7)
    written: list[tuple[str, float]] = []
    way.meter.reset()
    begun = time.monotonic()
    for _ in range(_UPDATES):
        # Polls grow as rare as they may: an event that comes then meets any part of their pause.
        time.sleep(rng.uniform(2, _LONGEST_PAUSE) if queue else 0.1)
        written.append((log.write(), time.monotonic()))
        way.send(log.blob)
    way.host.drain()
    seconds = time.monotonic() - begun
    arrivals = way.local.arrivals()
    source = f"{container_name(2)}/{log.blob.blob_name}"
    delays = [arrivals[source, record] - sent for record, sent in written]
    what = f"{name}: from event to row, alone"
    figures = [
        Figure(f"{what}: p50", percentile(delays, 50) * 1000, "the event", unit="ms"),
        Figure(f"{what}: p95", percentile(delays, 95) * 1000, "the event", 1500, unit="ms"),
    ]
    if queue:
        polls = way.meter.requests["GET messages"] / seconds
        figures.append(Figure(f"{name}: polls", polls, "a second, nearly idle", unit=""))
    return figures


def _refusing(local: LocalAzure, source: str, name: str) -> list[Figure]:
    """What becomes of an account's events beside one that answers 403 to everything."""
    refused = Response(403, b"", {"x-ms-error-code": "AuthorizationFailure"})
    with contextlib.ExitStack() as stack:
        west = stack.enter_context(serve(lambda _: refused))
        meter = stack.enter_context(metered(local.storage))
        way = stack.enter_context(
            _way(
                local,
                meter,
                source,
                NSGFLOW_CONNECTIONS=f"{CONNECTION},West",
                West=f"AccountName=west;AccountKey={ACCOUNT_KEY};"
                f"BlobEndpoint=http://127.0.0.1:{west.port}/west",
            )
        )
        queue = bool(way.host.queue_triggers)
        before = local.accepted().rows
        denied = 0
        for number in range(_UPDATES):
            log = _Log(local, f"000D3C{2 * number + queue:06X}")
            log.write()
            denied += log.denied
            _refused_event(way, log)
            way.send(log.blob)
            time.sleep(0.02)
        deadline = time.monotonic() + 20
        while (delivered := local.accepted().rows - before) < denied and not way.host.ended:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        share = delivered / denied
    return [
        Figure(
            f"{name}: beside an account that refuses",
            100 * share,
            "of the other account's flows delivered, by events alone",
            100 if queue else None,
            at_least=True,
            unit="%",
        )
    ]


def _refused_event(way: _Way, log: "_Log") -> None:
    if triggers := way.host.queue_triggers:
        send(triggers[0].queue, json.loads(json.dumps(event_of(log.blob)).replace(ACCOUNT, "west")))
    else:
        with contextlib.suppress(LookupError):
            way.host.blob_created(log.blob.container_name, log.blob.blob_name, "West")


def _run(way: _Way, log: "_Log") -> None:
    way.send(log.blob)
    way.host.drain()
    if way.host.failures:
        raise RuntimeError(way.host.failures[0].error)


class _Log:
    """A flow log that is written past the meter, an update at a time."""

    def __init__(self, local: LocalAzure, mac: str) -> None:
        self._nic = Nic(mac=mac)
        self._rng = random.Random(mac)
        path = nsg_path(self._nic, _HOUR)
        self._writer = BlobWriter(local.container(2), path)
        self.blob = local.container(2).get_blob_client(path)
        self.denied = 0

    def write(self) -> str:
        """One update of now; the record's time."""
        record = random_record(
            self._nic, _HOUR, self._rng, tuples=_TUPLES, denied_share=_DENIED_SHARE
        )
        now = seven_digits(dt.datetime.now(dt.UTC))
        self._writer.append(record.data.replace(record.time.encode(), now.encode(), 1))
        self.denied += len(record.denied)
        return now
