"""docs/cli.md: the command line as it says of itself."""

import os
import subprocess
import sys

from devtools import shell

_COMMANDS = (
    *("", "flows", "denied", "tail", "checkpoints", "replay", "run", "check"),
    *("dead-letters", "dead-letters list", "dead-letters show", "dead-letters resend"),
)
_INTRODUCTION = """\
# The command line

Made from `nsgflow --help`; change it there.

```
pipx install '.[cli]'                # from a checkout; then nsgflow …
uvx --from '.[cli]' nsgflow --help   # without installing anything
pip install '.[cli]'                 # then nsgflow …, or python -m nsgflow_core …
```

`flows`, `denied` and `tail` need nothing deployed: they read the storage account that the flow
logs are sent to, and sign in with the first of these that is there.

| | |
|---|---|
| `AZURE_STORAGE_CONNECTION_STRING` | the account it names is read; also how to read Azurite |
| `STORAGE_ACCOUNT_KEY` and `--account-name` | as with get_nsg_logs |
| `--account-name` | who is signed in (`az login`, managed identity), as Storage Blob Data Reader |

`--account-name` may be given several times, and takes the URL of a blob service for clouds other
than the public one.

`checkpoints`, `replay`, `run`, `check` and `dead-letters` take the settings of the deployed
function from the environment, by the same names; [configuration.md](configuration.md) has them.
What is not set of its storage is `AZURE_STORAGE_CONNECTION_STRING`.

| exit status | |
|---|---|
| 0 | done |
| 1 | failed, or `check` found something missing; the reason and its mend are on stderr |
| 2 | wrong usage or settings |
| 3 | some log could not be read, or was being worked on, and was skipped; it is named on stderr |
| 130 | interrupted |
| 141 | the reader of the pipe went away |

Progress bars and colours are for terminals only; `NO_COLOR` switches colours off.
"""


def cli() -> str:
    """The text of docs/cli.md."""
    helps = "\n".join(
        f"## {f'nsgflow {command}'.strip()}\n\n```\n{_help(command.split())}```\n"
        for command in _COMMANDS
    )
    return f"{_INTRODUCTION}\n{helps}"


def _help(arguments: list[str]) -> str:
    """What --help says on a terminal of 80 columns."""
    done = subprocess.run(
        [sys.executable, "-m", "nsgflow_core", *arguments, "--help"],
        env=shell.without(os.environ) | {"COLUMNS": "80", "NO_COLOR": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout
