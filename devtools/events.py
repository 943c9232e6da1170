"""Event Grid's events of written blobs, as a storage queue gets them.

https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage gives both forms.
"""

import base64
import contextlib
import itertools
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient
from azure.storage.queue import QueueClient

from devtools.flowlogs import seven_digits

_sequence = itertools.count(1)


def event_grid_event(
    topic: str, container: str, path: str, *, url: str, etag: str, size: int
) -> dict[str, Any]:
    """One in Event Grid's own schema, made now; `topic` is the account's resource id."""
    return {
        "topic": topic,
        "subject": f"/blobServices/default/containers/{container}/blobs/{path}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": seven_digits(datetime.now(UTC)),
        "id": str(uuid.uuid4()),
        "data": _data(url, etag, size),
        "dataVersion": "",
        "metadataVersion": "1",
    }


def cloud_event(
    source: str, container: str, path: str, *, url: str, etag: str, size: int
) -> dict[str, Any]:
    """The same as a CloudEvent."""
    return {
        "source": source,
        "subject": f"/blobServices/default/containers/{container}/blobs/{path}",
        "type": "Microsoft.Storage.BlobCreated",
        "time": seven_digits(datetime.now(UTC)),
        "id": str(uuid.uuid4()),
        "data": _data(url, etag, size),
        "specversion": "1.0",
    }


def _data(url: str, etag: str, size: int) -> dict[str, Any]:
    return {
        "api": "PutBlockList",
        "requestId": str(uuid.uuid4()),
        "eTag": etag,
        "contentType": "application/octet-stream",
        "contentLength": size,
        "blobType": "BlockBlob",
        "url": url,
        "sequencer": f"{next(_sequence):032}",
        "storageDiagnostics": {"batchId": str(uuid.uuid4())},
    }


def event_of(blob: BlobClient, *, cloud: bool = False) -> dict[str, Any]:
    """The event of a blob as it is now."""
    properties = blob.get_blob_properties()
    make = cloud_event if cloud else event_grid_event
    return make(
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/logs"
        f"/providers/Microsoft.Storage/storageAccounts/{blob.account_name}",
        blob.container_name,
        blob.blob_name,
        url=blob.url.partition("?")[0],
        etag=properties.etag.strip('"'),
        size=properties.size,
    )


def packed(what: object) -> str:
    """A message's text: Base64, as Event Grid writes it."""
    return base64.b64encode(json.dumps(what).encode()).decode()


def send(queue: QueueClient, what: object) -> None:
    """Put an event, or an array of them, on a queue; it is made if it is missing."""
    try:
        queue.send_message(packed(what))
    except ResourceNotFoundError:
        with contextlib.suppress(ResourceExistsError):
            queue.create_queue()
        queue.send_message(packed(what))
