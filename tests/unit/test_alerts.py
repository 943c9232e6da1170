"""The cloudevents alert: its shape, its groups and its size."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsgflow_core.model import BlobRef, Flow, Group, Record
from nsgflow_core.sinks import webhook
from tests.made import Outcome, made

REF = BlobRef("acct", "insights-logs-flowlogflowevent", "flowLogResourceID=/A/PT1H.json")
NSG_ID = "/subscriptions/s/resourcegroups/r/providers/microsoft.network/networksecuritygroups/web"
RECORD = Record(12, 900, "2018-11-13T12:00:35.3899262Z", 2, NSG_ID)
LIMIT = 65_536


def flow(
    *,
    at: int = 1542110402000,
    rule: str = "r",
    src: str = "203.0.113.9",
    dst: str = "10.0.0.4",
    port: int | None = 3389,
    inbound: bool = True,
    ordinal: int = 0,
    record: Record = RECORD,
) -> Flow:
    """A denied flow."""
    group = Group(record, NSG_ID, "Web", rule, "000D3AF87856")
    outcome = Outcome(port, "TCP", inbound, True, "B", "", None, None, None, None)  # noqa: FBT003
    return made(group, ordinal, "text", at, src, dst, 50000, outcome)


def alert(flows: list[Flow], record: Record = RECORD) -> dict[str, Any]:
    """The alert of the flows, decoded."""
    decoded: dict[str, Any] = json.loads(webhook.encode_alert(REF, record, flows))
    return decoded


def test_envelope() -> None:
    """The envelope is CloudEvents 1.0 with the contract's type, source, id and time."""
    made = alert([flow()])
    data = made.pop("data")

    assert set(data) == {"flows", "truncated", "groups"}
    assert made.pop("datacontenttype") == "application/json"
    assert made == {
        "specversion": "1.0",
        "type": "nsgflow.flows.denied",
        "source": "acct/insights-logs-flowlogflowevent/flowLogResourceID=/A/PT1H.json",
        "id": webhook.alert_id(REF, RECORD),
        "time": "2018-11-13T12:00:35.3899262Z",
    }


def test_data() -> None:
    """Flows that share rule, direction, protocol, addresses and port are one group."""
    flows = [flow(at=1542110405500), flow(at=1542110402000), flow(at=1542110403000), flow(port=22)]

    assert alert(flows)["data"] == {
        "flows": 4,
        "truncated": 0,
        "groups": [
            {
                "aclGroup": NSG_ID,
                "aclName": "Web",
                "aclRule": "r",
                "direction": "Inbound",
                "protocol": "TCP",
                "srcIp": "203.0.113.9",
                "destIp": "10.0.0.4",
                "destPort": 3389,
                "flows": 3,
                "firstSeen": "2018-11-13T12:00:02.000Z",
                "lastSeen": "2018-11-13T12:00:05.500Z",
            },
            {
                "aclGroup": NSG_ID,
                "aclName": "Web",
                "aclRule": "r",
                "direction": "Inbound",
                "protocol": "TCP",
                "srcIp": "203.0.113.9",
                "destIp": "10.0.0.4",
                "destPort": 22,
                "flows": 1,
                "firstSeen": "2018-11-13T12:00:02.000Z",
                "lastSeen": "2018-11-13T12:00:02.000Z",
            },
        ],
    }


def test_groups_are_ordered_by_flows_then_key() -> None:
    """The busiest group comes first; equals are ordered by their key, ports as numbers."""
    flows = [
        flow(port=443),
        flow(port=80),
        flow(port=None),
        flow(rule="a", port=9999),
        flow(src="198.51.100.1", port=5000),
        flow(inbound=False, port=1),
        flow(inbound=False, port=1),
    ]
    groups = alert(flows)["data"]["groups"]

    assert [(g["flows"], g["aclRule"], g["srcIp"], g["destPort"]) for g in groups] == [
        (2, "r", "203.0.113.9", 1),
        (1, "a", "203.0.113.9", 9999),
        (1, "r", "198.51.100.1", 5000),
        (1, "r", "203.0.113.9", None),
        (1, "r", "203.0.113.9", 80),
        (1, "r", "203.0.113.9", 443),
    ]
    assert groups[0]["direction"] == "Outbound"


def test_order_of_flows_makes_no_difference() -> None:
    """The same flows in another order are the same alert."""
    flows = [flow(port=port, at=1542110402000 + port) for port in (80, 22, 80, 443, 22, 80)]

    assert alert(flows)["data"] == alert(list(reversed(flows)))["data"]


@pytest.mark.parametrize("time", ["", "soon"])
def test_record_without_time(time: str) -> None:
    """A record whose time cannot be read gives the alert a time all the same: a flow's."""
    record = Record(12, 900, time, 2, NSG_ID)

    assert alert([flow(at=1542110402000)], record)["time"] == "2018-11-13T12:00:02.000Z"


def test_thousands_of_groups_are_cut_to_size() -> None:
    """An alert too large loses its smallest groups, and says how many flows those had."""
    flows = [flow(src=f"203.0.{n // 250}.{n % 250}", port=n) for n in range(5000)]
    flows += [flow(src="203.0.113.200", port=n % 3) for n in range(300)]
    payload = webhook.encode_alert(REF, RECORD, flows)
    data = json.loads(payload)["data"]

    assert LIMIT - 1000 < len(payload) <= LIMIT
    assert data["flows"] == 5300
    assert [group["flows"] for group in data["groups"][:4]] == [100, 100, 100, 1]
    assert sum(group["flows"] for group in data["groups"]) + data["truncated"] == 5300
    assert data["truncated"] > 0


def test_rule_of_a_megabyte() -> None:
    """A group that alone is too large is cut; the sum still holds."""
    payload = webhook.encode_alert(REF, RECORD, [flow(rule="r" * 1_000_000)] * 3)
    data = json.loads(payload)["data"]

    assert len(payload) <= LIMIT
    assert data == {"flows": 3, "truncated": 3, "groups": []}


def test_a_huge_group_hides_no_other() -> None:
    """Though it has the most flows: the others are sent, and only its flows are cut off."""
    flows = [flow(rule="r" * 70_000)] * 9 + [flow(port=22)] * 2 + [flow(port=80)]
    data = alert(flows)["data"]

    assert (data["flows"], data["truncated"]) == (12, 9)
    assert [(group["destPort"], group["flows"]) for group in data["groups"]] == [(22, 2), (80, 1)]


def test_record_time_of_many_digits() -> None:
    """A record's time of many digits does not make an alert too large."""
    record = Record(12, 900, "2018-11-13T12:00:35." + "1" * 100_000 + "Z", 2, NSG_ID)

    assert len(webhook.encode_alert(REF, record, [flow()])) <= LIMIT


@given(
    st.lists(
        st.tuples(st.text(max_size=3), st.integers(0, 30_000), st.sampled_from((None, 22, 80))),
        min_size=1,
        max_size=40,
    )
)
@settings(deadline=None, max_examples=100)
def test_size_and_sum_hold_always(made: list[tuple[str, int, int | None]]) -> None:
    """At most 64 KiB, and `flows` is the sum over the groups plus `truncated`, always."""
    flows = [flow(rule=text + "\u00e4" * length, port=port) for text, length, port in made]
    payload = webhook.encode_alert(REF, RECORD, flows)
    data = json.loads(payload)["data"]

    assert len(payload) <= LIMIT
    assert data["flows"] == len(flows)
    assert sum(group["flows"] for group in data["groups"]) + data["truncated"] == len(flows)
    assert data["truncated"] == 0 or sum(length for _, length, _ in made) > 20_000
    sent = {(group["aclRule"], group["destPort"]) for group in data["groups"]}
    for one in flows:
        if (one.group.rule, one.dst_port) not in sent:
            (alone,) = json.loads(webhook.encode_alert(REF, RECORD, [one]))["data"]["groups"] or [0]
            size = len(json.dumps(alone, ensure_ascii=False, separators=(",", ":")).encode())
            assert not alone or len(payload) + size > LIMIT - 20, "what fits is sent"


def test_id_is_stable_and_the_records_own() -> None:
    """The id depends on account, path and the record's offset, and on nothing else."""
    again = Record(12, 950, "", 4, "x")
    others = [
        webhook.alert_id(REF, Record(13, 900, RECORD.time, 2, NSG_ID)),
        webhook.alert_id(BlobRef("acct2", REF.container, REF.path), RECORD),
        webhook.alert_id(BlobRef("acct", REF.container, "y"), RECORD),
    ]

    assert webhook.alert_id(REF, again) == webhook.alert_id(REF, RECORD)
    assert len({webhook.alert_id(REF, RECORD), *others}) == 4


def test_id_is_pinned() -> None:
    """The id of an alert never changes between releases."""
    assert webhook.alert_id(REF, RECORD) == "60a8bd5026bf8aa08bba76c35b1dcc6f"
