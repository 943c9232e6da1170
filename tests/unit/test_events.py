"""Messages of the events' queue are read in both schemas, and whatever else comes is told."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devtools.events import cloud_event, event_grid_event
from devtools.events import packed as packed_text
from devtools.flowlogs import NSG_CONTAINER, VNET_CONTAINER, Nic, nsg_path, vnet_path
from nsgflow_core.logs.events import Announced, read_message

HOUR = datetime(2026, 11, 23, 8, tzinfo=UTC)
PATH = nsg_path(Nic(), HOUR)
ETAG = "0x8DE2B4C1D2E3F40"
TOPIC = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/Logs"
    "/providers/Microsoft.Storage/storageAccounts/StFlowLogs"
)


def event(**changes: Any) -> dict[str, Any]:
    """An event of a flow log in Event Grid's own schema, changed where told."""
    url = f"https://stflowlogs.blob.core.windows.net/{NSG_CONTAINER}/{PATH}"
    made = event_grid_event(TOPIC, NSG_CONTAINER, PATH, url=url, etag=ETAG, size=1234)
    return made | {"eventTime": "2026-11-23T08:01:02.1234567Z"} | changes


def packed(what: object) -> bytes:
    """As Event Grid writes it."""
    return packed_text(what).encode()


def test_event_grids_own_schema() -> None:
    """Account, container, path, and what the blob was then."""
    message = read_message(packed(event()))

    (found,) = message.events
    assert message.problems == []
    assert (found.accounts, found.container, found.path) == (("stflowlogs",), NSG_CONTAINER, PATH)
    assert found.announced == Announced(1234, ETAG, 1795420862.123457)


def test_cloud_events() -> None:
    """The same, told in the other schema."""
    path = vnet_path(Nic(), HOUR, "short")
    url = f"https://stflowlogs.blob.core.windows.net/{VNET_CONTAINER}/{path}"
    made = cloud_event(TOPIC, VNET_CONTAINER, path, url=url, etag=f'"{ETAG}"', size=5)
    (found,) = read_message(packed(made)).events

    assert (found.accounts, found.container, found.path) == (
        ("stflowlogs",),
        VNET_CONTAINER,
        path,
    )
    assert found.announced is not None
    assert (found.announced.size, found.announced.etag) == (5, ETAG)


def test_an_array_and_a_message_that_the_host_has_decoded() -> None:
    """Each event of an array counts, a bad neighbour or none; JSON is taken as it is."""
    events = [event(), {"eventType": 7}, event(eventType="Microsoft.Storage.BlobDeleted"), event()]
    message = read_message(b"\xef\xbb\xbf " + json.dumps(events).encode())

    assert len(message.events) == 2
    assert len(message.problems) == 2
    assert "Microsoft.Storage.BlobDeleted" in message.problems[1]


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://stflowlogs.blob.core.windows.net", "stflowlogs"),
        ("https://STFLOWLOGS.blob.core.chinacloudapi.cn:443", "stflowlogs"),
        ("https://stflowlogs.dfs.core.windows.net", "stflowlogs"),
        ("https://stflowlogs.privatelink.blob.core.windows.net", "stflowlogs"),
        ("https://stflowlogs.z01.blob.storage.azure.net", "stflowlogs"),
        ("http://127.0.0.1:10000/devstoreaccount1", "devstoreaccount1"),
    ],
)
def test_the_account_by_the_url(url: str, account: str) -> None:
    """Where no topic tells, the URL of the blob does; so it does for container and path."""
    data = {"url": f"{url}/{NSG_CONTAINER}/{PATH.replace('=', '%3D')}"}
    (found,) = read_message(packed(event(topic="", subject="", data=data))).events

    assert (found.accounts, found.container, found.path) == ((account,), NSG_CONTAINER, PATH)
    assert found.announced is None


def test_topic_and_url_that_differ() -> None:
    """The topic's account comes first."""
    data = {"url": f"https://logs.example.com/{NSG_CONTAINER}/{PATH}"}
    (found,) = read_message(packed(event(data=data))).events

    assert found.accounts == ("stflowlogs", "logs")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "no event"),
        (b"hello, world", "neither JSON nor Base64"),
        (b"\xff\xfe\x00", "neither JSON nor Base64"),
        (b'{"eventType": "Microsoft.Storage', "no event"),
        (b"[" * 100_000, "no event"),
        (packed(7), "no event"),
        (packed({}), "type none"),
        (packed(event(data=None)), "no event"),
        (packed(event(data={"url": "https://[", "contentLength": 1})), "impossible URL"),
        (packed(event(eventType="Microsoft.Storage.BlobDeleted")), "BlobDeleted"),
        (packed(event(eventType="", type="Microsoft.Storage.BlobRenamed")), "BlobRenamed"),
        (packed(event(subject="/blobServices/default/containers/$logs/blobs/x")), "no flow log"),
        (
            packed(event(subject=f"/blobServices/default/containers/{NSG_CONTAINER}/blobs/x.txt")),
            "not the path of a flow log",
        ),
    ],
)
def test_what_is_no_event_of_a_flow_log(body: bytes, problem: str) -> None:
    """It is told in one short sentence, and nothing is raised."""
    message = read_message(body)

    assert message.events == []
    (told,) = message.problems
    assert problem in told
    assert len(told) < 300


_FIELDS = ("topic", "subject", "eventType", "data", "time", "url")
_JSON = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(_FIELDS), inner),
)


@settings(deadline=None)
@given(
    st.binary(max_size=200) | _JSON.map(packed) | _JSON.map(lambda data: packed(event(data=data)))
)
def test_nothing_that_comes_raises(body: bytes) -> None:
    """Any bytes, any JSON, and any data of an event."""
    read_message(body)


def test_base64_with_other_letters_is_none() -> None:
    """Python would pass them over, and read a message that nobody wrote."""
    text = packed(event())
    (found,) = read_message(text).events
    assert found.container == NSG_CONTAINER
    message = read_message(text[:9] + b"!" + text[9:])
    assert message.events == []
    assert "neither JSON nor Base64" in message.problems[0]
