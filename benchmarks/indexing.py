"""A cold start: indexing function_app.py, against importing what it cannot do without.

Each is a fresh interpreter; what counts is its CPU time, user and system.
"""

import os
import resource
import statistics
import subprocess
import sys

from benchmarks.figures import Figure
from benchmarks.local_azure import ROOT, set_environment

_ROUNDS = 9
_INDEX = "import function_app; function_app.app.get_functions()"
_IMPORT = "import azure.functions, azure.storage.blob, azurefunctions.extensions.bindings.blob"
_STORAGE = "UseDevelopmentStorage=true"


def measure() -> list[Figure]:
    """The two take turns; a first run of each has the bytecode written."""
    set_environment(
        {
            "FlowLogs": _STORAGE,
            "AzureWebJobsStorage": _STORAGE,
            "NSGFLOW_LOGS_ENDPOINT": "https://localhost",
            "NSGFLOW_LOGS_RULE_ID": "dcr-0",
            "NSGFLOW_WEBHOOK_URL": "https://localhost",
        }
    )
    seconds: dict[str, list[float]] = {_INDEX: [], _IMPORT: []}
    for _ in range(_ROUNDS + 1):
        for code, taken in seconds.items():
            taken.append(_cpu_seconds(code))
    ours, theirs = (statistics.median(taken[1:]) for taken in seconds.values())
    return [
        Figure("index function_app.py, fresh process", ours / theirs, "its imports alone", 1.25)
    ]


def _cpu_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", code]
    subprocess.run(command, cwd=ROOT, env=os.environ, check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
