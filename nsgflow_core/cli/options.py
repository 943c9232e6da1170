"""The options that several commands share, with their help."""

from typing import Annotated

import typer

Accounts = Annotated[
    list[str] | None,
    typer.Option(
        "--account-name",
        metavar="NAME",
        help="Storage account with the flow logs, by name or blob service URL; may be repeated. "
        "'az storage account list -o table' shows yours.",
    ),
]
Filter = Annotated[
    str,
    typer.Option(
        "--filter",
        metavar="TERMS",
        help="Only flows for which all terms hold, for example "
        "'ip=10.0.0.0/8 port=22,3389 !src=internet rule=DefaultRule_*'.",
    ),
]
Hours = Annotated[
    int | None,
    typer.Option(
        "--display-hours",
        metavar="N",
        help="Read the newest N hourly logs of each NSG.  [default: 1]",
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Flows from then on: ISO 8601 (UTC), or 30m, 2h, 3d ago."
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="Flows before then, given like --since."),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Tell more, on stderr: what was read, causes of errors.")
]
LogName = Annotated[
    str,
    typer.Option(
        "--nsg",
        metavar="NAME",
        help="Only logs of this NSG, or VNet flow log, as their paths name it; takes *.",
    ),
]
