"""Run all benchmarks, or those named, and print one table; exit status 1 if a target is missed."""

import argparse
import sys
import time
from collections.abc import Callable

from benchmarks import (
    backlog,
    beside,
    billing,
    cli,
    encoding,
    enrichment,
    events,
    every,
    export,
    indexing,
    large,
    looking,
    parsing,
    rules,
    soak,
    sweeping,
    terminal,
    throughput,
    update,
    wire,
)
from benchmarks.figures import Figure, table
from benchmarks.fresh import in_fresh_process
from devtools import shell

_THEMES: dict[str, Callable[[], list[Figure]]] = {
    "wire": wire.measure,
    "update": update.measure,
    "parsing": parsing.measure,
    "looking": looking.measure,
    "encoding": encoding.measure,
    "every": every.measure,
    "billing": billing.measure,
    "enrichment": enrichment.measure,
    "rules": rules.measure,
    "events": events.measure,
    "backlog": backlog.measure,
    "large": large.measure,
    "sweeping": sweeping.measure,
    "throughput": throughput.measure,
    "indexing": indexing.measure,
    "cli": cli.measure,
    "terminal": terminal.measure,
    "export": export.measure,
}

_DEAR: dict[str, Callable[[], list[Figure]]] = {
    "gigabyte": large.measure_through_azurite,
    "beside": beside.measure,
    "soak": soak.measure,
}
"""Run only when named: they take minutes, and gigabytes on disk."""


def main() -> int:
    """Run what the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    themes_by_name = _THEMES | _DEAR
    names = ", ".join(themes_by_name)
    dear = ", ".join(_DEAR)
    parser.add_argument("theme", nargs="*", help=f"of {names}; default: all but {dear}")
    themes: list[str] = parser.parse_args().theme or list(_THEMES)
    if unknown := sorted(set(themes) - set(themes_by_name)):
        parser.error(f"unknown: {', '.join(unknown)} (there are {names})")
    shell.forget()
    figures: list[Figure] = []
    for theme in themes:
        begun = time.monotonic()
        print(f"{theme} …", end="", file=sys.stderr, flush=True)
        # What one theme leaves in caches and memory must not help or hurt the next.
        figures += in_fresh_process(themes_by_name[theme])
        print(f" {time.monotonic() - begun:.0f} s", file=sys.stderr)
    print(table(figures))
    return int(any(figure.missed for figure in figures))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
