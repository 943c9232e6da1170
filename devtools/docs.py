"""The parts of the docs that are made from the code: `python -m devtools.docs [--check]`.

docs/columns.md comes from nsgflow_core/schema.json, the one source of the columns, docs/cli.md and
docs/nsgflow.1 from the command line's own definitions, docs/parameters.md from infra/main.bicep
where its compiler is, the table of costs in docs/deployment.md from devtools/cost.py, the filter
terms in docs/configuration.md from nsgflow_core/terms.py, and docs/pictures from the demo's data.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path

from devtools import bicep, cost, pictures
from devtools.cli_docs import cli
from devtools.man_page import man_page
from devtools.parameter_docs import parameters
from nsgflow_core import terms

ROOT = Path(__file__).resolve().parent.parent


def columns() -> str:
    """docs/columns.md."""
    schema = json.loads((ROOT / "nsgflow_core" / "schema.json").read_text())
    lines = [
        f"# Columns of {schema['table']}",
        "",
        "One row per flow tuple.",
        "Unknown strings are empty, unknown numbers null.",
        "Made from `nsgflow_core/schema.json`; change it there.",
        "",
        "| column | type | |",
        "|---|---|---|",
        *(f"| `{at['name']}` | {at['type']} | {at['description']} |" for at in schema["columns"]),
        "",
    ]
    return "\n".join(lines)


def deployment() -> str:
    """docs/deployment.md with the table of costs between its marks."""
    text = (ROOT / "docs" / "deployment.md").read_text()
    return _between(text, "cost", cost.table())


def _between(text: str, mark: str, made: str) -> str:
    """A text with this between two of its marks."""
    between = re.compile(rf"(<!-- {mark}: .*? -->\n).*(<!-- /{mark} -->)", re.DOTALL)
    return between.sub(lambda at: f"{at[1]}\n{made}\n\n{at[2]}", text)


def configuration() -> str:
    """docs/configuration.md with filter terms between its marks."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    lines = [
        *(f"- {sentence}" for sentence in terms.GRAMMAR),
        "",
        "| key | values | example | matches |",
        "|---|---|---|---|",
        *(
            f"| `{key}` | {told.values} | `{told.example}` | {told.matches} |"
            for key, told in terms.KEYS.items()
        ),
    ]
    examples = [
        "| filter | what passes |",
        "|---|---|",
        *(f"| `{example}` | {passes} |" for example, passes in terms.EXAMPLES),
    ]
    return _between(_between(text, "terms", "\n".join(lines)), "examples", "\n".join(examples))


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def main() -> int:
    """Write what is made from the code, or with --check say whether it is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if not current")
    check = parser.parse_args().check
    stale = []
    made = {"columns.md": columns(), "cli.md": cli(), "deployment.md": deployment()}
    made |= {"configuration.md": configuration(), "nsgflow.1": man_page()}
    if bicep.find() is not None:  # without the compiler it stays as it is
        made["parameters.md"] = parameters()
    if hasattr(os, "openpty"):  # not on Windows
        made |= pictures.current()
    for name, text in made.items():
        path = ROOT / "docs" / name
        if path.name == pictures.DIGEST and not check and not _is(path, text):
            pictures.photograph_report()
        if check and not _is(path, text):
            stale.append(name)
        elif not check:
            path.write_text(text)
    if stale:
        print(f"docs/{', docs/'.join(stale)} not current: run python -m devtools.docs")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
