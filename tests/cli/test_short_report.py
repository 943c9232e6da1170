"""The time line of a report of seconds and minutes."""

import json
import re
from pathlib import Path

import pytest

from devtools.flowlogs import Group, Nic, vnet_record
from tests.cli.test_alike_names import GUIDS, HOUR, MS, run
from tests.cli.test_why_names import logged


@pytest.mark.parametrize(
    ("last", "width", "words", "begun"),
    [
        (0, 1, "1 second", "2026-03-04 05:00:00"),
        (20, 1, "1 second", "2026-03-04 05:00:20"),
        (119, 1, "1 second", "2026-03-04 05:01:59"),
        (120, 5, "5 seconds", "2026-03-04 05:02:00"),
        (299, 5, "5 seconds", "2026-03-04 05:04:55"),
        (300, 60, "1 minute", "2026-03-04 05:05"),
    ],
)
def test_bars_are_as_short_as_the_time(
    tmp_path: Path, last: int, width: int, words: str, begun: str
) -> None:
    """Every flow is in one; times have seconds where minutes would read alike."""
    tuples = tuple(
        f"{MS + at * 1000},8.8.8.8,10.0.0.4,50001,1433,6,I,D,NX,0,0,0,0" for at in (0, last)
    )
    nic = Nic(mac="000D3A000001", ip="10.0.0.4", vnet="Hub")
    record = vnet_record(nic, HOUR, [Group("UserRule_DenySql", tuples, GUIDS[0])]).data
    page = tmp_path / "denied.html"
    run("report", logged(tmp_path / "PT1H.json", record), "-o", str(page))
    text = page.read_text(encoding="utf-8")
    found = re.search(r"const TIMELINE = (.*);\n", text)
    assert found is not None
    numbers = json.loads(found[1])
    times, inbound, _ = numbers["columns"]
    assert (numbers["seconds"], sum(inbound), len(times)) == (width, 2, last // width + 1)
    assert f"each bar is {words}, times are UTC" in text
    assert f">{begun}</td>" in text
