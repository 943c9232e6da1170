"""From the bytes of a log to its denied flows, against decoding the same bytes as JSON."""

import datetime as dt
from typing import Literal

import orjson

from benchmarks.figures import Figure, ratio
from devtools.flowlogs import Nic, large_log, nsg_path, vnet_path
from nsgflow_core.delivery.reading import WINDOW
from nsgflow_core.filter import compile_terms
from nsgflow_core.logs import flows
from nsgflow_core.logs.columns import Columns
from nsgflow_core.logs.path import LogPath, parse_path
from nsgflow_core.model import BlobRef

_SIZE = WINDOW
_LOGS = 2
"""So many logs take turns, and their times are more than the caches of the product hold."""
_ROUNDS = 20
_TARGETS = {2000: 0.5, 40: 0.9}
_TARGET_MIXED, _TARGET_NONE = 1.2, 0.6
_DENIED = compile_terms("action=denied")
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def measure() -> list[Figure]:
    """Both versions, large and small records, with and without denied flows."""
    versions: tuple[Literal[2], Literal[4]] = (2, 4)
    figures: list[Figure] = []
    for version in versions:
        for size in (2000, 40):
            figures += [
                _figure(version, size, 0.05, target=_TARGETS[size]),
                _figure(version, size, 0.0, target=_TARGET_NONE),
                _figure(version, size, 0.05, mixed=True, target=_TARGET_MIXED),
            ]
    return figures


def _figure(
    version: Literal[2, 4],
    tuples: int,
    denied_share: float,
    *,
    mixed: bool = False,
    target: float,
) -> Figure:
    path = vnet_path(Nic(), _HOUR) if version == 4 else nsg_path(Nic(), _HOUR)
    log, ref = parse_path(path), BlobRef("account", "container", path)
    count = round(_SIZE / len(large_log(1, tuples, denied_share, version, 0, mixed=mixed)))
    logs = [
        large_log(count, tuples, denied_share, version, seed, mixed=mixed) for seed in range(_LOGS)
    ]
    expected = count * round(tuples * denied_share)
    if sum(map(len, denied_flows(logs[0], ref, log))) != expected:
        raise RuntimeError(f"not the {expected} denied flows of the log")
    measured = ratio(
        _ROUNDS,
        lambda number: denied_flows(logs[number % _LOGS], ref, log),
        lambda number: orjson.loads(logs[number % _LOGS]),
    )
    share = f"{denied_share:.0%} denied" if denied_share else "none denied"
    name = f"parse and filter v{version}, {tuples} tuples a record, {share}"
    if mixed:
        name += ", mixed in one group"
    return Figure(name, measured, "orjson.loads", target)


def denied_flows(data: bytes, ref: BlobRef, log: LogPath) -> list[Columns]:
    """The denied flows of a whole log, found as the pipeline finds them."""
    stretch = flows.read_stretch(data, 0, ref, log, last=True, denied_only=True)
    return [_DENIED.wanted(part) for part in stretch.flows]
