"""Flows kept as Parquet and asked in SQL: what it costs from the log on."""

import io
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

from benchmarks.figures import Figure
from devtools.flowlogs import large_log
from nsgflow_core.cli.database import database
from nsgflow_core.cli.files import FileLogs
from nsgflow_core.cli.formats import write_flows
from nsgflow_core.cli.options import Wanted, When
from nsgflow_core.cli.query import Defaults
from nsgflow_core.cli.reading import reading
from nsgflow_core.estate.knowledge import NOTHING

_RECORDS, _TUPLES = 500, 2_000
_SECONDS = 60
_OF = 10_000_000
_QUESTION = "SELECT AclRule, DestPort, count(*) FROM flows GROUP BY ALL ORDER BY ALL"
_ALL = Defaults(allowed=True, probes=True, ordered=False)


def measure() -> list[Figure]:
    """CPU of an export of each format, its size, and a question."""
    return [figure for version in (2, 4) for figure in _export(version)]


def _export(version: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        log, target = Path(folder) / "PT1H.json", Path(folder) / "flows.parquet"
        log.write_bytes(large_log(_RECORDS, _TUPLES, 0.3, 2 if version == 2 else 4, 1))
        begun = time.process_time()
        with database() as flows:
            with reading(FileLogs([str(log)]), Wanted(), When(), _ALL, NOTHING) as work:
                flows.load(work.columns())
            flows.write_parquet(target)
            taken = time.process_time() - begun
            flows.lock()
            asked = time.perf_counter()
            answer = list(flows.ask(_QUESTION)[1])
            asked = time.perf_counter() - asked
        if sum(count for *_, count in answer) != _RECORDS * _TUPLES:
            raise RuntimeError("not every flow was kept")
        of = f"v{version}, {_RECORDS * _TUPLES} tuples"
        size = target.stat().st_size
        return [
            Figure(
                "export to Parquet, CPU of ten million tuples",
                taken * _OF / (_RECORDS * _TUPLES),
                of,
                _SECONDS,
                unit="s",
            ),
            Figure("Parquet, size", size / _json_size(log), f"flows -o json, {of}", 0.05),
            Figure("Parquet, size", size / log.stat().st_size, f"the log itself, {of}"),
            Figure("GROUP BY rule and port", asked, of, 1, unit="s"),
        ]


def _json_size(log: Path) -> int:
    """Bytes of the same rows as JSON."""
    with redirect_stdout(io.StringIO()) as written:
        with reading(FileLogs([str(log)]), Wanted(), When(), _ALL, NOTHING) as work:
            write_flows(work.columns(), "json", NOTHING)
        return len(written.getvalue().encode())
