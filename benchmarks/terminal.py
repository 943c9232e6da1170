"""All of one million tuples at the terminal, none like another, against loops of a few lines.

CPU time of whole processes, start-up included, that write to nowhere. The baselines are what most
readers of flow logs are: json, a split, and one print a tuple; or a dict of counts.
"""

import atexit
import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.distinct import distinct_log
from benchmarks.figures import Figure
from benchmarks.local_azure import ROOT
from devtools.flowlogs import Nic, nsg_path

_NICS = 4
_RECORDS, _TUPLES, _DENIED_SHARE = 125, 2000, 0.05
"""Of each of them; one million tuples in all, whose times must be merged."""
_ROUNDS = 5
_HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_ALL = ("--display-allowed", "--display-direction=both", "--display-lb")
_LOOP = """
import pathlib, sys, orjson
counting, groups = sys.argv[1] == "count", {}
for path in sorted(pathlib.Path(sys.argv[2]).rglob("PT1H.json")):
    for record in orjson.loads(path.read_bytes())["records"]:
        name = record["resourceId"].rpartition("/")[2]
        for of_rule in record["properties"]["flows"]:
            rule = of_rule["rule"]
            for text in (text for nic in of_rule["flows"] for text in nic["flowTuples"]):
                _, src, dst, sport, port, proto, way, decision, state, a, b, c, d = text.split(",")
                if not counting:
                    print(
                        f"{record['time']} {name} {rule} {decision} {way} {src} {proto} {sport} "
                        f"{dst} {port} {state} src2dst: {a}/{b} dst2src: {c}/{d}"
                    )
                elif decision == "D":
                    key = (name, rule, way, proto, dst, port)
                    groups[key] = groups.get(key, 0) + 1
for key, count in sorted(groups.items(), key=lambda entry: -entry[1]):
    print(count, *key)
"""


@dataclass(frozen=True)
class _Cost:
    seconds: float
    mebibytes: float


def measure() -> list[Figure]:
    """Each form of flows, then denied, the most memory they held, and that of a million groups."""
    with _logs(_DENIED_SHARE) as folder:
        figures = _figures(folder)
    with _logs(1.0) as folder:
        return [*figures, *_all_denied(folder)]


@contextmanager
def _logs(denied_share: float) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_NICS):
            nic = Nic(nsg=f"NSG{number}", mac=f"000D3A00000{number}")
            path = Path(folder) / nsg_path(nic, _HOUR)
            path.parent.mkdir(parents=True)
            path.write_bytes(distinct_log(_RECORDS, _TUPLES, denied_share, 2, number))
        yield folder


def _all_denied(folder: str) -> list[Figure]:
    """What is held where every flow is a group, a source and a pair of its own, as in a scan."""
    asked: dict[str, Sequence[str]] = {
        "denied, drawn": ("denied", folder),
        "denied as JSON": ("denied", "-o", "json", folder),
        "report": ("report", "-o", f"{folder}/denied.html", folder),
    }
    return [
        Figure(
            f"peak memory of {name}, a million groups",
            _cost(("-m", "nsgflow_core", *words)).mebibytes,
            "all of it",
            300,
            unit="MiB",
        )
        for name, words in asked.items()
    ]


def _figures(folder: str) -> list[Figure]:
    loops = {what: ("-c", _LOOP, what, folder) for what in ("print", "count")}
    asked: list[tuple[str, str, float, Sequence[str]]] = [
        ("flows as text", "print", 1.5, ("flows", *_ALL, folder)),
        ("flows as a table", "print", 1.5, ("flows", *_ALL, "-o", "table", folder)),
        ("flows as JSON", "print", 2.0, ("flows", *_ALL, "-o", "json", folder)),
        ("flows as CSV", "print", 2.0, ("flows", *_ALL, "-o", "csv", folder)),
        ("denied, drawn", "count", 1.3, ("denied", folder)),
    ]
    figures: list[Figure] = []
    most = 0.0
    for name, what, target, words in asked:
        ours: list[_Cost] = []
        theirs: list[_Cost] = []
        for _ in range(_ROUNDS):  # in turns, so that whatever else the machine does meets both
            ours.append(_cost(("-m", "nsgflow_core", *words)))
            theirs.append(_cost(loops[what]))
        most = max(most, *(cost.mebibytes for cost in ours))
        figures.append(
            Figure(
                f"{name}, one million tuples (CPU)",
                min(cost.seconds for cost in ours) / min(cost.seconds for cost in theirs),
                f"a plain loop that {what}s",
                target,
            )
        )
    return [*figures, Figure("peak memory of any of these", most, "all of it", 200, unit="MiB")]


def _cost(arguments: Sequence[str]) -> _Cost:
    """What a Python process costs from its start to its end."""
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, cwd=ROOT, env=_environment()
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments[:3]} ended with {process.returncode}")
    return _Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@cache
def _environment() -> dict[str, str]:
    """As a shell has it: modules are compiled once, as pip leaves them, and output is buffered."""
    ours = {key: os.environ[key] for key in os.environ if not key.startswith("PYTHON")}
    folder = tempfile.mkdtemp(prefix="nsgflow-compiled-")
    atexit.register(shutil.rmtree, folder)
    return ours | {"PYTHONPYCACHEPREFIX": folder}
