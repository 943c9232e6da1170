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
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
INFRA = ROOT / "infra"
EVENTS = INFRA / "events.json"


def compiler() -> str | None:
    """The Bicep CLI: what BICEP names, on the path, or where az and azd put it; None if nowhere."""
    home = Path.home()
    places = [home / ".azure" / "bin" / "bicep", home / ".azd" / "bin" / "bicep"]
    named = os.environ.get("BICEP") or shutil.which("bicep")
    return named or next((str(at) for at in places if at.exists()), None)


def compiled(name: str, bicep: str) -> str:
    """A template as Resource Manager takes it, without the compiler's version and hash in it.

    Raises:
        subprocess.CalledProcessError: it does not compile.
    """
    run = subprocess.run(
        [bicep, "build", INFRA / f"{name}.bicep", "--stdout"], stdout=subprocess.PIPE, check=True
    )
    return json.dumps(_without_generator(json.loads(run.stdout)), indent=2) + "\n"


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
    bicep = compiler()
    if bicep is None:
        print("the Bicep CLI is needed: az bicep install, or name it in BICEP", file=sys.stderr)
        return 1
    text = compiled("events", bicep)
    if arguments.check:
        if EVENTS.exists() and EVENTS.read_text() == text:
            return 0
        print("infra/events.json is not current: python -m devtools.templates", file=sys.stderr)
        return 1
    EVENTS.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
