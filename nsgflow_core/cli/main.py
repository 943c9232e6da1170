"""The commands, their options and help.

Nothing of the core is imported before a command runs: `nsgflow --help` answers at once.
"""

# ruff: noqa: PLC0415, PLR0913 - see above; and an option is a parameter

from typing import Annotated

import typer

from nsgflow_core.cli import dead_letter_commands, operate, options

_ENVIRONMENT = """Sign-in: AZURE_STORAGE_CONNECTION_STRING, or STORAGE_ACCOUNT_KEY with
--account-name, else whoever is signed in here (az login, managed identity).

Exit status: 0 done; 1 failed; 2 wrong usage or settings; 3 some log could not be read and was
skipped; 130 interrupted; 141 the reader of the pipe went away. NO_COLOR switches colours off."""

app = typer.Typer(
    help="Which NSG, which rule, which port: Azure flow logs, straight from the storage account.",
    epilog=_ENVIRONMENT,
    no_args_is_help=True,
    add_completion=False,
    # Plain help comes in a third of the time of the decorated one.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:  # noqa: FBT001 - how typer calls it
    if value:
        from importlib.metadata import version

        typer.echo(f"nsgflow {version('nsgflow')}")
        raise typer.Exit


@app.callback()
def _nsgflow(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def flows(
    *,
    account_name: options.Accounts = None,
    display_lb: Annotated[
        bool, typer.Option("--display-lb", help="Show probes of the Azure load balancer as well.")
    ] = False,
    display_allowed: Annotated[
        bool, typer.Option("--display-allowed", help="Show allowed flows as well as denied ones.")
    ] = False,
    display_direction: Annotated[
        str | None,
        typer.Option(
            "--display-direction",
            metavar="in|out|both",
            help="Show flows of this direction only.  [default: in]",
        ),
    ] = None,
    display_hours: options.Hours = None,
    version: Annotated[
        int | None,
        typer.Option(
            "--version",
            metavar="1|2|4",
            help="Show flows of this log version only.  [default: all]",
        ),
    ] = None,
    only_non_zero: Annotated[
        bool, typer.Option("--only-non-zero", help="Show only flows that have counters.")
    ] = False,
    flow_state: Annotated[
        str,
        typer.Option(
            "--flow-state",
            metavar="B|C|E|D",
            help="Show only flows in this state: begun, continuing, ended, denied.",
        ),
    ] = "",
    ip: Annotated[
        str, typer.Option("--ip", metavar="IP", help="Show only flows from or to this address.")
    ] = "",
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="PORT",
            min=0,
            max=65535,
            help="Show only flows from or to this port.",
        ),
    ] = None,
    nsg_name: Annotated[
        str, typer.Option("--nsg-name", metavar="NSG", help="Show only flows of this NSG.")
    ] = "",
    aggregate: Annotated[
        bool, typer.Option("--aggregate", help="Add up packets and bytes at the end.")
    ] = False,
    filter_terms: options.Filter = "",
    since: options.Since = None,
    until: options.Until = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="text|table|json|csv", help="How to show them.")
    ] = "text",
    verbose: options.Verbose = False,
) -> None:
    """Show flows of the newest logs, or of a span of time.

    Denied inbound ones of the newest hour, if nothing else is asked for. Takes the flags of
    get_nsg_logs and prints its lines. With --display-hours the newest hour
    comes first, as there; with --since the oldest. Within an hour flows are in the order of
    their times. A --filter that names action, direction or lb replaces the default for it.
    """
    from nsgflow_core.cli.session import session

    with session(verbose=verbose):
        import os

        from nsgflow_core.cli.accounts import sign_in
        from nsgflow_core.cli.flows import When, show_flows
        from nsgflow_core.cli.query import Choice, default_direction

        choice = Choice(
            terms=filter_terms,
            allowed=display_allowed,
            probes=display_lb,
            direction=default_direction(display_direction, filter_terms),
            version=version or 0,
            with_counters=only_non_zero,
            state=flow_state,
            ip=ip,
            port=port,
            nsg=nsg_name,
        )
        accounts = sign_in(account_name or (), os.environ)
        when = When(display_hours, since, until)
        show_flows(accounts, choice, when, output, aggregate=aggregate)


@app.command()
def denied(
    *,
    account_name: options.Accounts = None,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="KEYS",
            help="Group by these, separated by commas: nsg, rule, direction, protocol, source, "
            "destination, port, mac, account.  "
            "[default: nsg,rule,direction,protocol,destination,port]",
        ),
    ] = "",
    suggest: Annotated[
        bool,
        typer.Option(
            "--suggest",
            help="Propose for each group the rule that would let it through, as an az command "
            "to review; with the function's settings in the environment, by its inventory.",
        ),
    ] = False,
    nsg_name: Annotated[
        str, typer.Option("--nsg-name", metavar="NSG", help="Only flows of this NSG.")
    ] = "",
    display_lb: Annotated[
        bool, typer.Option("--display-lb", help="Count probes of the Azure load balancer as well.")
    ] = False,
    filter_terms: options.Filter = "",
    display_hours: options.Hours = None,
    since: options.Since = None,
    until: options.Until = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="table|json|csv", help="How to show them.")
    ] = "table",
    verbose: options.Verbose = False,
) -> None:
    """Show which NSG, rule and port deny the most.

    The denied flows of the newest hour, if nothing else is asked for, in groups, the busiest on
    top: how many, from how many sources, when first and last.
    """
    from nsgflow_core.cli.session import session

    with session(verbose=verbose):
        import os

        from nsgflow_core.cli.accounts import sign_in
        from nsgflow_core.cli.denied import DEFAULT_BY, show_denied
        from nsgflow_core.cli.flows import When
        from nsgflow_core.cli.query import Choice

        choice = Choice(
            terms=f"action=denied {filter_terms}".strip(), probes=display_lb, nsg=nsg_name
        )
        accounts = sign_in(account_name or (), os.environ)
        when = When(display_hours, since, until)
        inventory = None
        if suggest:
            from nsgflow_core.cli.state import inventory_of

            inventory = inventory_of(os.environ)
        show_denied(
            accounts, choice, when, by or DEFAULT_BY, output, suggest=suggest, inventory=inventory
        )


@app.command()
def tail(
    *,
    account_name: options.Accounts = None,
    filter_terms: options.Filter = "",
    nsg_name: Annotated[
        str, typer.Option("--nsg-name", metavar="NSG", help="Only flows of this NSG.")
    ] = "",
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Begin with flows from then on: ISO 8601 (UTC), or 30m, 2h ago.  [default: now]",
        ),
    ] = "",
    interval: Annotated[
        float,
        typer.Option("--interval", metavar="SECONDS", min=1, help="Look for new flows so often."),
    ] = 10,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="text|json", help="How to show them.")
    ] = "text",
    verbose: options.Verbose = False,
) -> None:
    """Follow denied flows as they are written.

    All NSGs of the accounts, until Ctrl-C; on a terminal denied flows are red, allowed ones
    green, and the last line says how old the newest record is. A --filter that names action
    shows others than denied ones.
    """
    from nsgflow_core.cli.session import session

    with session(verbose=verbose):
        import os

        from nsgflow_core.cli.accounts import sign_in
        from nsgflow_core.cli.query import Choice
        from nsgflow_core.cli.tail import Follow
        from nsgflow_core.cli.tail import tail as run

        choice = Choice(terms=filter_terms, allowed=False, nsg=nsg_name)
        run(sign_in(account_name or (), os.environ), Follow(choice, since, output, interval))


for command in (operate.checkpoints, operate.replay, operate.run, operate.check):
    app.command()(command)
app.add_typer(dead_letter_commands.app, name="dead-letters")
