"""The CPU time of one update of 3 KB with both sinks, against the SDK's calls made bare."""

import datetime as dt
import logging
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO, StringIO
from typing import Any, Self

from azure.core import MatchConditions
from azure.data.tables import TableClient, TableEntity, UpdateMode
from azure.monitor.ingestion import LogsIngestionClient
from azure.storage.blob import BlobServiceClient

from benchmarks.figures import Figure, cpu_seconds, percentile
from benchmarks.local_azure import CONNECTION, ROOT, LocalAzure, local_azure
from devtools.flowlogs import CLOSER, HEAD, BlobWriter, Nic, nsg_path, random_record
from devtools.functions_host import FunctionsHost
from devtools.meter import metered
from nsgflow_core.config import LogsSettings, Settings, from_env
from nsgflow_core.logs import flows, records
from nsgflow_core.logs.columns import of_blob
from nsgflow_core.logs.path import parse_path
from nsgflow_core.model import BlobRef
from nsgflow_core.service import Service
from nsgflow_core.sinks import log_analytics, rows, webhook
from nsgflow_core.sinks.webhook import WebhookSink
from nsgflow_core.storage import credential
from nsgflow_core.telemetry import quiet_sdks
from nsgflow_core.webhooks import WebhookSettings

_HOURS = 4
_UPDATES = 40
_WARM_UP = 5
_COUNTED = 10
_TUPLES = 34
_DENIED_SHARE = 0.2
_HOUR = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class _Update:
    """One update of a blob: where its new bytes lie, and what the product makes of them."""

    path: str
    start: int
    end: int
    etag: str
    rows: bytes
    alert: bytes
    alert_headers: dict[str, str]
    denied: int


def measure() -> list[Figure]:
    """Several hours of updates; product and bare calls take turns at each."""
    # The summary line of each delivery is written in production, so it is paid for here.
    logger = logging.getLogger("nsgflow")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(logging.StreamHandler(StringIO()))
    quiet_sdks()
    with local_azure() as local:
        settings = from_env(os.environ)
        ours, bare = _cpu_times(local, settings)
        requests = _requests(local)
        delays = _delays(local)
    name = "update of 3 KB, both sinks"
    middle = statistics.median(ours) / statistics.median(bare)
    return [
        Figure(f"{name}: CPU", middle, "six SDK calls and both posts made bare", 0.9),
        Figure(f"{name}: storage requests", requests, "with a checkpoint remembered", 5, unit=""),
        Figure(f"{name}: p50", percentile(delays, 50) * 1000, "event to acceptance", unit="ms"),
        Figure(f"{name}: p95", percentile(delays, 95) * 1000, "event to acceptance", unit="ms"),
    ]


def _cpu_times(local: LocalAzure, settings: Settings) -> tuple[list[float], list[float]]:
    service = Service(settings)
    ours: list[float] = []
    theirs: list[float] = []
    expected = 0
    with _Bare(settings) as bare:
        for hour in range(_HOURS):
            nic = Nic(mac=f"000D3A0000{hour:02X}")
            for number, update in enumerate(_updates(local, settings, nic, _UPDATES)):
                product = partial(service.deliver, CONNECTION, _container(local), update.path)
                if number == 0:  # the calls of a blob's first update are not the same
                    product()
                    bare.open(update)
                    expected += update.denied
                    continue
                turns: list[tuple[list[float], Callable[[], object]]] = [
                    (ours, product),
                    (theirs, partial(bare.deliver, update)),
                ]
                for times, run in turns if number % 2 else reversed(turns):
                    seconds = cpu_seconds(run)
                    if number > _WARM_UP:
                        times.append(seconds)
                expected += 2 * update.denied
    if local.accepted().rows != expected:
        raise RuntimeError(f"{local.accepted().rows} rows accepted, not {expected}")
    return ours, theirs


def _requests(local: LocalAzure) -> float:
    """Storage requests of an update, both accounts together, once the first is over."""
    with metered(local.storage) as meter:
        through = dict.fromkeys((CONNECTION, "AzureWebJobsStorage"), meter.connection_string)
        service = Service(from_env(os.environ | through))
        nic = Nic(mac="000D3A0000FE")
        for number, update in enumerate(_updates(local, from_env(os.environ), nic, _COUNTED + 1)):
            if number == 1:
                meter.reset()
            service.deliver(CONNECTION, _container(local), update.path)
        return meter.requests.total() / _COUNTED


def _delays(local: LocalAzure) -> list[float]:
    """Seconds from an event until both stand-ins had accepted all of its update."""
    settings = from_env(os.environ)
    delays: list[float] = []
    with FunctionsHost(ROOT / "function_app.py", ROOT / "host.json") as host:
        nic = Nic(mac="000D3A0000FF")
        for number, update in enumerate(_updates(local, settings, nic, _UPDATES)):
            begun = time.monotonic()
            host.blob_created(_container(local), update.path)
            host.drain()
            accepted = local.accepted()
            if number > _WARM_UP:
                delays.append(max(accepted.last_row, accepted.last_alert) - begun)
        if host.failures:
            raise RuntimeError(host.failures[0].error)
    return delays


def _container(local: LocalAzure) -> str:
    return str(local.container(2).container_name)


def _updates(local: LocalAzure, settings: Settings, nic: Nic, count: int) -> Iterator[_Update]:
    """Write updates one by one."""
    path = nsg_path(nic, _HOUR)
    container = local.container(2)
    blob = container.get_blob_client(path)
    ref = BlobRef(str(container.account_name), _container(local), path)
    writer = BlobWriter(container, path)
    rng = random.Random(nic.mac)
    for minute in range(count):
        start = writer.size - len(CLOSER) if minute else 0
        moment = _HOUR + dt.timedelta(minutes=minute + 1)
        record = random_record(nic, moment, rng, tuples=_TUPLES, denied_share=_DENIED_SHARE)
        writer.append(record.data)
        data = (HEAD if minute == 0 else b",") + record.data + CLOSER
        stretch = records.split(data, start, last=True)
        found = flows.read(stretch.records[0], parse_path(path), [], denied_only=True)
        bodies = log_analytics.Bodies(rows.lines_of())
        bodies.add(of_blob(ref, found))
        (batch,) = bodies.batches()
        ((alert,),) = webhook._alerts(ref, found)  # noqa: SLF001
        headers = webhook.signature(_webhook(settings).secret, alert.id, alert.payload)
        headers["Content-Type"] = "application/cloudevents+json; charset=utf-8"
        etag = str(blob.get_blob_properties().etag)
        packed = batch.body
        yield _Update(
            path, start, writer.size, etag, packed, alert.payload, headers, len(record.denied)
        )


class _Bare:
    """The calls of an update that remembers nothing and lists twice, by the SDK as it comes."""

    def __init__(self, settings: Settings) -> None:
        self._logs = _logs(settings)
        self._webhook = _webhook(settings)
        self._blobs = BlobServiceClient.from_connection_string(
            settings.connections[CONNECTION].connection_string
        )
        self._table = TableClient.from_connection_string(
            settings.host_storage.connection_string, settings.state_table
        )
        self._ingestion = LogsIngestionClient(self._logs.endpoint, credential())
        self._session = WebhookSink(self._webhook)._session  # noqa: SLF001
        self._pool = ThreadPoolExecutor(2)
        self._row = TableEntity()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def open(self, update: _Update) -> None:
        """Copy the checkpoint of the blob, as the product left it, to a row of our own."""
        rows = self._table.query_entities("Path eq @path", parameters={"path": update.path})
        (self._row,) = rows
        self._row["RowKey"] = f"bare-{self._row['RowKey']}"
        self._table.create_entity(self._row)

    def deliver(self, update: _Update) -> None:
        """What an update needs of the services, in the product's order."""
        row = self._table.get_entity(self._row["PartitionKey"], self._row["RowKey"])
        blob = self._blobs.get_blob_client(self._row["Container"], update.path)
        blob.get_block_list("committed")
        etag = self._write(row.metadata["etag"])
        blob.download_blob(
            offset=update.start,
            length=update.end - update.start,
            etag=update.etag,
            match_condition=MatchConditions.IfNotModified,
        ).readall()
        sent = [self._pool.submit(self._upload, update), self._pool.submit(self._post, update)]
        for future in sent:
            future.result()
        self._write(etag)
        blob.get_block_list("committed")

    def _write(self, etag: Any) -> Any:
        answer = self._table.update_entity(
            self._row,
            mode=UpdateMode.REPLACE,
            etag=etag,
            match_condition=MatchConditions.IfNotModified,
        )
        return answer["etag"]

    def _upload(self, update: _Update) -> None:
        self._ingestion.upload(
            self._logs.rule_id,
            self._logs.stream,
            BytesIO(update.rows),
            connection_timeout=5,
            read_timeout=10,
        )

    def _post(self, update: _Update) -> None:
        response = self._session.post(
            self._webhook.url,
            data=update.alert,
            headers=update.alert_headers,
            timeout=(5, 10),
            allow_redirects=False,
        )
        response.raise_for_status()


def _logs(settings: Settings) -> LogsSettings:
    if settings.logs is None:
        raise ValueError("the table is not configured")
    return settings.logs


def _webhook(settings: Settings) -> WebhookSettings:
    if not settings.webhooks:
        raise ValueError("the webhook is not configured")
    return settings.webhooks[0]
