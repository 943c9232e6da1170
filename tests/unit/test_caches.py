"""What caches keep of a hostile log: next to nothing, whatever its texts."""

import json
import subprocess
import sys

import pytest

_PROGRAM = """
import json, resource, sys
from nsgflow_core.logs import flows
from nsgflow_core.logs.path import parse_path
from nsgflow_core.model import BlobRef
from nsgflow_core.sinks import rows

kind, pieces, long = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
container = "insights-logs-networksecuritygroupflowevent"
path = "resourceId=/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.NETWORK" \\
    "/NETWORKSECURITYGROUPS/WEB/y=2026/m=11/d=23/h=08/m=00/macAddress=000D3AF87856/PT1H.json"
log = parse_path(path)
encode_for = BlobRef("a", container, path)

def record(number):
    tail = f"{number}-" + "x" * long
    told = {"time": "2026-11-23T08:00:00Z", "resourceId": "/n", "macAddress": "000D3AF87856"}
    tuple = f"1542110402,10.0.0.4,13.67.143.118,5,443,T,O,D,B,1,{number},1,1"
    rule = {"rule": "r", "flows": [{"mac": "000D3AF87856", "flowTuples": [tuple]}]}
    if kind == "tail":
        rule["flows"][0]["flowTuples"] = [tuple + "," + tail]
    elif kind == "mac":
        rule["flows"][0]["mac"] = tail
    else:
        told[kind] = tail
    return json.dumps(told | {"properties": {"Version": 2, "flows": [rule]}}).encode()

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

before = 0
for piece in range(pieces):
    data = b",".join(record(piece * 8 + at) for at in range(8))
    reading = flows.read_stretch(data, 1, encode_for, log, last=True, denied_only=True)
    encode = rows.encoder(encode_for)
    made = [encode(flow) for part in reading.flows for flow in part]
    assert len(made) == 8, (kind, reading.bad[:1])
    if piece == 4:
        before = held()
print(json.dumps(held() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["tail", "mac", "resourceId", "time"])
def test_hostile_texts_are_not_kept(kind: str) -> None:
    """Of 100 MiB of log with texts of 128 KiB, dropped when read, hardly anything is held."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, kind, "100", str(128 * 1024)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) < 16 * 1024 * 1024
