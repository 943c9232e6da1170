"""Run all benchmarks, or those named, and print one table; exit status 1 if a target is missed."""

import argparse
import sys
import time
from collections.abc import Callable

from benchmarks import backlog, encoding, enrichment, indexing, parsing, update, wire
from benchmarks.figures import Figure, table
from benchmarks.fresh import in_fresh_process

_THEMES: dict[str, Callable[[], list[Figure]]] = {
    "wire": wire.measure,
    "update": update.measure,
    "parsing": parsing.measure,
    "encoding": encoding.measure,
    "enrichment": enrichment.measure,
    "backlog": backlog.measure,
    "indexing": indexing.measure,
}


def main() -> int:
    """Run what the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(_THEMES)
    parser.add_argument("theme", nargs="*", help=f"default: all of {names}")
    themes: list[str] = parser.parse_args().theme or list(_THEMES)
    if unknown := sorted(set(themes) - set(_THEMES)):
        parser.error(f"unknown: {', '.join(unknown)} (there are {names})")
    figures: list[Figure] = []
    for theme in themes:
        begun = time.monotonic()
        print(f"{theme} …", end="", file=sys.stderr, flush=True)
        # What one theme leaves in caches and memory must not help or hurt the next.
        figures += in_fresh_process(_THEMES[theme])
        print(f" {time.monotonic() - begun:.0f} s", file=sys.stderr)
    print(table(figures))
    return int(any(figure.missed for figure in figures))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
