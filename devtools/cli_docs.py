"""docs/cli.md: the command line as it says of itself."""

import os
import subprocess
import sys
from collections.abc import Sequence

from devtools import shell
from devtools.man_page import EXIT_STATUSES, SIGN_IN

_COMMANDS = (
    *("", "flows", "denied", "why", "simulate", "coverage", "report", "export", "sql"),
    "logs",
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

`flows`, `denied`, `why`, `simulate`, `logs`, `report`, `export`, `sql` and `tail` need nothing
deployed. All but `tail` read files, folders (as `azcopy` keeps them), pipes and `-`, compressed
with gzip or not, and open no socket then: whole logs, several behind each other, or their records
one a line or in an array, in UTF-8 or UTF-16. What no path tells, each record says: which NSG it is
of, and when. Of the storage account that the flow logs are sent to they read what is asked for, and
sign in with the first of these that is there.

{sign_in}

`--account-name` takes the name of an account, its resource id, or the URL of its blob service, also
in clouds other than the public one; it may be given several times. What is typed comes before what
is exported: `AZURE_STORAGE_CONNECTION_STRING`, then `AZURE_STORAGE_ACCOUNT`, are read only where no
account is named.

An option that adds up may be repeated: `--filter`, `--ip` and `--port` add a condition each,
`--nsg-name` and `--account-name` one more to read. Any other option given twice is an error.

`--color`, `--utc` and `--verbose` may stand before the name of a command as well as behind it.

In cmd.exe write double quotes where the examples have single ones; it leaves `*.json` as it is, and
nsgflow takes it for the files that it names.

Times are given as people write them: `14:00`, `9:30pm`, `noon` or `monday 9am` (the last one; of
`silence --until` the next), `yesterday 22:30`, `Nov 23 14:00`, `2026-11-23 08:00`, `90s`, `1h30m`,
`3d` or `half an hour` ago, seconds since the epoch. What may mean two things, such as `12am`, `9`,
`11/12/2026`, `last monday` or `last night`, is refused with the reason. What names no zone (`Z`,
`+02:00`) is local time, or UTC with `--utc`; where clocks are put back, a span has both of the
hours that come twice. Times shown are local on a terminal and UTC in files, pipes and with `--utc`,
those of notes too (as stderr is a terminal or none); each says its offset. The lines of `flows`
have the record's time, as get_nsg_logs has. SQL reckons in UTC: only what `sql` answers is shown as
other times are.

Tables, proposals and notes fit a terminal from 60 columns on, and no word of them is broken. The
lines of `flows` and `tail` are those of get_nsg_logs, one a flow, and longer than most terminals
are wide: the terminal wraps them, so that they can be copied and searched whole; `flows -o table`
fits.

Where no time is asked for, the last sixty minutes are; `flows` reads the newest hourly log of each
NSG, as get_nsg_logs does, and files are read whole. Where an account has no logs of the last sixty
minutes, the newest of each NSG are shown and stderr says how old they are. What the defaults
leave out (probes of the load balancer; with `flows` outbound flows) is counted on stderr, with the
flag that shows it. Naming an address, a port, a rule or an NSG shows all of it; in `flows` with a
flag that get_nsg_logs has not.

With an inventory (`--inventory`, or the deployed function's where its `AzureWebJobsStorage` is in
the environment) NSGs have names where logs have GUIDs, also in `--nsg-name`, and VMs (`group/name`)
or subnets (`group/vnet/subnet`) stand beside addresses; `--filter vm=… subnet=… vnet=…` finds them.
The lines of `flows` and `tail` have them behind a `#`, with `--inventory` alone: without it they
are those of get_nsg_logs.

What shares a name is told apart in one way in every command: an NSG, VNet, subnet or VM is shown
with as much of `subscription/group/name` as no other in the inventory, or in what was read, has.
What is shown so can be pasted into `--filter` and `--nsg-name`. In JSON names stay short where an
id stands beside them (`aclGroup`, `acl`, `AclGroup`).

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

`coverage` and `inventory` ask Azure Resource Graph, as who is signed in, or take what `inventory
--export` wrote.

{statuses}

Progress bars are for terminals only, and so are colours; `NO_COLOR` switches these off. What is
typed comes before both: `--color always` (for `| less -R`) and `--color never`.
"""


def cli() -> str:
    """The text of docs/cli.md."""
    helps = "\n".join(
        f"## {f'nsgflow {command}'.strip()}\n\n```\n{_help(command.split())}```\n"
        for command in _COMMANDS
    )
    introduction = _INTRODUCTION.replace("{sign_in}", _table("| | |", SIGN_IN)).replace(
        "{statuses}", _table("| exit status | |", EXIT_STATUSES)
    )
    return f"{introduction}\n{helps}"


def _table(heading: str, rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join([heading, "|---|---|", *(f"| {name} | {told} |" for name, told in rows)])


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
