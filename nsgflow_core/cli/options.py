"""The options that several commands share, with their help.

A command takes all options of a kind by taking the kind: `@takes_options` puts the fields of
`Sources`, `Wanted`, `When`, `Grouped` and `Letters` in the place of a parameter of that type.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any

import typer

from nsgflow_core.cli import completing
from nsgflow_core.cli.completing import several
from nsgflow_core.cli.numbers import among, number, parts, ports
from nsgflow_core.cli.shared import Utc
from nsgflow_core.errors import BadInputError, did_you_mean

LogNames = Annotated[
    list[str] | None,
    typer.Option(
        "--nsg-name",
        "--nsg",
        metavar="NSG",
        help="Only logs of this NSG, or VNet flow log, as their paths name it (takes *), or by its "
        "resource id; with --inventory also of interfaces under this NSG. Repeated, or with "
        "commas: of any of them.",
        callback=parts,
    ),
]
Interval = Annotated[
    float,
    typer.Option(
        "--interval",
        metavar="SECONDS",
        parser=number("--interval", "seconds", 1, 86400, whole=False),
        help="Look for new flows so often.",
    ),
]

Rules = Annotated[
    list[str] | None,
    typer.Option(
        "--rules",
        metavar="FILE",
        help="NSGs that stand in for the inventory's, may be repeated: 'az network nsg list', an "
        "ARM template, 'terraform show -json', 'az deployment … what-if --no-pretty-print'.",
    ),
]

Explain = Annotated[
    bool,
    typer.Option(
        "--explain",
        help="Say what the rules say of it now, on every layer; needs --inventory, the deployed "
        "function's inventory, or --rules.",
    ),
]


def output(*forms: str) -> Any:
    """The option that says how to show what was found; `one_of` reads its value."""
    return typer.Option("--output", "-o", metavar="|".join(forms), help="How to show them.")


def one_of(flag: str, value: str, words: Sequence[str]) -> str:
    """The word that a flag was given, whatever its case.

    Raises:
        BadInputError: it is none of these.
    """
    folded = {word.casefold(): word for word in words}
    if value.casefold() not in folded:
        near = did_you_mean(value, words)
        raise BadInputError(
            f"{flag} {value!r} is not one of {', '.join(words)}{near and f': {near}'}"
        )
    return folded[value.casefold()]


AccountNames = Annotated[
    list[str] | None,
    typer.Option(
        "--account-name",
        metavar="NAME",
        help="Storage account with the flow logs: its name, resource id or blob service URL; "
        "may be repeated. 'az storage account list -o table' shows yours.",
    ),
]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where flows are read from."""

    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="Files (PT1H.json, also gzip), folders, - for stdin, or storage accounts.",
            show_default=False,
        ),
    ] = None
    account_name: AccountNames = None


MAGIC = b"nsgflow inventory 2\n"
"""How a file begins that `nsgflow inventory --export` wrote; the number is the format's."""


@dataclass(frozen=True, slots=True)
class Estate:
    """What names and rules come from, besides the logs."""

    inventory: Annotated[
        str,
        typer.Option(
            "--inventory",
            metavar="[azure|app|FILE]",
            help="The network as Azure Resource Graph has it for who is signed in (azure, the "
            "same as no value; kept for a day), as the deployed function has it (app), or from "
            "'nsgflow inventory --export'.",
        ),
    ] = ""
    refresh: Annotated[
        bool, typer.Option("--refresh", help="With --inventory azure: ask anew.")
    ] = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which flows are asked for, in the words of get_nsg_logs, and by filter terms."""

    filter_terms: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="TERMS",
            help="Only flows for which all terms hold, for example "
            "'ip=10.0.0.0/8 port=22,3389 !src=internet rule=DefaultRule_*'; may be repeated.",
        ),
    ] = None
    action: Annotated[
        str,
        typer.Option(
            "--action",
            metavar="denied|allowed|both",
            help="Only flows that were denied, or allowed, or both.  [default: both for export, "
            "sql and simulate, else denied]",
        ),
    ] = ""
    nsg_name: Annotated[
        list[str] | None,
        typer.Option(
            "--nsg-name",
            "--nsg",
            metavar="NSG",
            help="Only flows of this NSG, by name (takes *) or resource id; repeated, or with "
            "commas: of any of them.",
            callback=parts,
        ),
    ] = None
    ip: Annotated[
        list[str] | None,
        typer.Option(
            "--ip",
            metavar="IP",
            help="Only flows from or to this address; with commas: any of them; repeated: "
            "between them.",
        ),
    ] = None
    port: Annotated[
        list[str] | None,
        typer.Option(
            "--port",
            metavar="PORT",
            parser=ports("--port"),
            help="Only flows from or to this port; with commas: any of them; repeated: between "
            "them.",
        ),
    ] = None
    display_direction: Annotated[
        str | None,
        typer.Option(
            "--display-direction",
            metavar="in|out|both",
            help="Only flows of this direction.  [default: in for flows, else both]",
        ),
    ] = None
    display_lb: Annotated[
        bool,
        typer.Option("--display-lb", help="Probes of the Azure load balancer as well."),
    ] = False
    version: Annotated[
        int | None,
        typer.Option(
            "--version",
            metavar="1|2|4",
            parser=among("--version", (1, 2, 4)),
            help="Only flows of this log version.  [default: all]",
        ),
    ] = None
    only_non_zero: Annotated[
        bool, typer.Option("--only-non-zero", help="Only flows that have counters.")
    ] = False
    flow_state: Annotated[
        str,
        typer.Option(
            "--flow-state",
            metavar="B|C|E|D",
            help="Only flows in this state: begun, continuing, ended, denied.",
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class When:
    """The flows of which time: of a span, or the newest `display_hours` logs of each NSG."""

    display_hours: Annotated[
        int | None,
        typer.Option(
            "--display-hours",
            metavar="N",
            parser=number("--display-hours", "a whole number", 1),
            help="Read the newest N hourly logs of each NSG.  [default: 1 for flows, else a span "
            "of time]",
        ),
    ] = None
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Flows from then on: 14:00, 9am, 'monday 22:30', 'Nov 23 8:00', ISO 8601 (local "
            "unless it names a zone), 30m, 1h30m or 3d ago, or seconds since the epoch.  "
            "[default: 1h; of files all; for flows the newest hour of each NSG]",
        ),
    ] = None
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="TIME",
            help="Flows before then, given like --since; alone, of the hour before then.",
        ),
    ] = None
    utc: Utc = False


SINKS = ("table", "webhook", *(f"webhook_{number}" for number in range(2, 10)))
"""Where rows and alerts go, as `state` knows it, which help must not import."""
SINK_NAMES = f"{SINKS[0]}, {SINKS[1]}, {SINKS[2]} … {SINKS[-1]}"


SORTS = ("flows", "sources", "packets", "bytes", "first", "last")
"""What groups are put in order by, besides their keys."""
BY = (
    *("nsg", "rule", "direction", "action", "protocol", "source", "sport", "destination", "port"),
    *("mac", "account", "vnet", "vm", "subnet", "state", "encryption", "version", "service"),
    *("type", "SrcVm", "DestVm", "SrcSubnet", "DestSubnet", "SrcServiceTags", "DestServiceTags"),
    *("AclGroup", "TargetResourceId", "RecordTime", "SourceBlob"),
)
"""What flows can be grouped by, as `groupings` knows it, which help must not import."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """How flows are grouped, which of them, and what is shown of the groups."""

    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="KEYS",
            help=f"Group by these, separated by commas: {', '.join(BY)}, or another name of these "
            "(src, AclName …).  [default: nsg, rule, direction, protocol, destination, port]",
            autocompletion=several(BY),
        ),
    ] = ""
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            parser=number("--top", "a whole number", 1),
            help="Only the first N groups, and their sum.",
        ),
    ] = None
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="By flows, sources, packets, bytes or last, the most on top; by first or one of "
            "--by, the least on top.",
            autocompletion=completing.one_of([*SORTS, *BY]),
        ),
    ] = "flows"
    every: Annotated[
        str,
        typer.Option(
            "--every",
            metavar="LENGTH",
            help="When each group began and ended: small bars of its flows, one for each 5m, "
            "30s, 1h …",
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class Letters:
    """Which dead letters are asked for."""

    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Written since then: 14:00, 'monday 9am', ISO 8601 (local unless it names a "
            "zone), or 30m, 2h, 3d ago.",
        ),
    ] = ""
    utc: Utc = False
    nsg: LogNames = None
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="Only what could not be read (input), or what a sink refused, by its name: "
            f"{SINK_NAMES}.",
            autocompletion=completing.one_of(["input", *SINKS]),
        ),
    ] = ""


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command be called with the options of the kinds that its parameters have."""
    signature = inspect.signature(command)
    kinds: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if is_dataclass(parameter.annotation)
    }
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if name not in kinds:
            parameters.append(parameter)
            continue
        parameters += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default,
                annotation=field.type,
            )
            for field in fields(kinds[name])
        ]  # fmt: skip

    @wraps(command)
    def called(**given: Any) -> None:
        made = {
            name: kind(**{field.name: given.pop(field.name) for field in fields(kind)})
            for name, kind in kinds.items()
        }
        command(**made, **given)

    called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {
        "return": None
    }
    return called
