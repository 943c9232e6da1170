"""docs/cli.md: the command line as it says of itself."""

import os
import subprocess
import sys

from devtools import shell

_COMMANDS = (
    *("", "flows", "denied", "why", "simulate", "coverage", "report", "export", "sql"),
    *("tail", "checkpoints", "replay", "inventory", "run", "check"),
    *("dead-letters", "dead-letters list", "dead-letters show", "dead-letters resend"),
    *("silence", "silence add", "silence list", "silence end", "mark"),
    *("help", "help filter", "completion"),
)
_INTRODUCTION = """\
# The command line

Made from `nsgflow --help`; change it there.

```
pipx install '.[cli]'                # from a checkout; then nsgflow …
uvx --from '.[cli]' nsgflow --help   # without installing anything
pip install '.[cli]'                 # then nsgflow …, or python -m nsgflow_core …
```

`flows`, `denied`, `why`, `simulate`, `report`, `export`, `sql` and `tail` need nothing deployed.
All but `tail` read files, folders (as `azcopy` keeps them) and `-`, compressed with gzip or not,
and open no socket then. Of the storage account that the flow logs are sent to they read what is
asked for, and sign in with the first of these that is there.

| | |
|---|---|
| a SAS behind `?` of the URL that `--account-name` takes | for that account alone |
| `AZURE_STORAGE_CONNECTION_STRING` | for the account that it is of; also how to read Azurite |
| `STORAGE_ACCOUNT_KEY` | as with get_nsg_logs |
| `AZURE_STORAGE_KEY`, `AZURE_STORAGE_SAS_TOKEN` | as with az, for `AZURE_STORAGE_ACCOUNT` |
| none of them | who is signed in (`az login`, managed identity), as Storage Blob Data Reader |

`--account-name` takes the name of an account, its resource id, or the URL of its blob service, also
in clouds other than the public one; it may be given several times. What is typed comes before what
is exported: `AZURE_STORAGE_CONNECTION_STRING`, then `AZURE_STORAGE_ACCOUNT`, are read only where no
account is named.

An option that adds up may be repeated: `--filter`, `--ip` and `--port` add a condition each,
`--nsg-name` and `--account-name` one more to read. Any other option given twice is an error.

Times are UTC: `2026-11-23T08:00`, `14:00` (the last one), `yesterday`, `now`, `90s`, `1h30m`, `3d`
ago, or seconds since the epoch.

With an inventory (`--inventory`, or the deployed function's where its `AzureWebJobsStorage` is in
the environment) NSGs have names where logs have GUIDs, also in `--nsg-name`, and VMs (`group/name`)
or subnets (`group/vnet/subnet`) stand beside addresses; `--filter vm=… subnet=… vnet=…` finds them.
The lines of `flows` and `tail` have them behind a `#`, with `--inventory` alone: without it they
are those of get_nsg_logs.

Text from logs cannot steer a terminal: control characters and changes of the writing direction are
U+FFFD in lines and tables, and escapes in JSON (`\\u001b`), CSV and proposed commands (`\\x1b`). In
CSV a cell that a spreadsheet would compute (`=`, `+`, `-`, `@`) begins with `'`. What the encoding
of stdout lacks is written as an escape.

`export` and `sql` need DuckDB, which is the extra `sql` (`pip install '.[cli,sql]'`, or just
`pip install duckdb`). They take every flow where nothing else is asked for: what `flows
--display-allowed --display-direction both --display-lb` shows. What is on its way lies in the
folder for temporary files, about 40 bytes a flow. The SQL of `sql` sees the table `flows` alone.

`checkpoints`, `replay`, `run`, `check`, `dead-letters`, `silence` and `mark` take the settings of
the deployed function from the environment, by the same names;
[configuration.md](configuration.md) has them.
What is not set of its storage is `AZURE_STORAGE_CONNECTION_STRING`.

| exit status | |
|---|---|
| 0 | done |
| 1 | failed, or `check` found something missing or wrong; the reason and its mend are on stderr |
| 2 | wrong usage or settings |
| 3 | something could not be read, or was being worked on: it is named on stderr, the rest shown |
| 4 | `simulate`: a change that `--fail-on` names is there |
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
    """What --help, or `help` with a topic, says on a terminal of 80 columns."""
    topic = arguments[:1] == ["help"] and len(arguments) > 1
    done = subprocess.run(
        [sys.executable, "-m", "nsgflow_core", *arguments, *([] if topic else ["--help"])],
        env=shell.without(os.environ) | {"COLUMNS": "80", "NO_COLOR": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout
