"""Compiles the templates that are used without a Bicep compiler.

`infra/events.json` is infra/events.bicep as Resource Manager takes it: the postdeploy hook deploys
it in pipelines where nothing but azd is installed. It lies in the repository, and the gate compares
it with its source.
A release has both templates compiled: devtools.release.

    python -m devtools.templates           write infra/events.json
    python -m devtools.templates --check   say whether it is current
"""

import argparse
import json
import sys
from typing import Any

from devtools import bicep

EVENTS = bicep.INFRA / "events.json"


def compiled(name: str) -> str:
    """A template as Resource Manager takes it, without the compiler's version and hash in it.

    Raises:
        bicep.BicepError: it does not compile, or there is no compiler.
    """
    template = bicep.template(bicep.INFRA / f"{name}.bicep")
    return json.dumps(_without_generator(template), indent=2) + "\n"


def _without_generator(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _without_generator(at) for name, at in value.items() if name != "_generator"}
        return {name: at for name, at in kept.items() if (name, at) != ("metadata", {})}
    if isinstance(value, list):
        return [_without_generator(at) for at in value]
    return value


def main() -> int:
    """Write or check the templates."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    try:
        text = compiled("events")
    except bicep.BicepError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.check:
        if EVENTS.exists() and EVENTS.read_text() == text:
            return 0
        print("infra/events.json is not current: python -m devtools.templates", file=sys.stderr)
        return 1
    EVENTS.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
