"""The commands that work on the deployed function's state, their options and help.

As in `main`, nothing of the core is imported before a command runs.
"""

# ruff: noqa: PLC0415 - see above

from typing import Annotated

import typer

from nsgflow_core.cli import options


def replay(
    *,
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="TIME",
            help="From this hour on: ISO 8601 (UTC), or 30m, 2h, 3d ago.",
        ),
    ],
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Up to this hour, given like --since."),
    ] = None,
    nsg: options.LogName = "",
    sink: Annotated[
        list[str] | None,
        typer.Option("--sink", metavar="table|webhook", help="Only to this sink; may be repeated."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be sent again.")
    ] = False,
    verbose: options.Verbose = False,
) -> None:
    """Have the deployed function send hours again.

    Its sweep does so within five minutes; rows keep their FlowId, alerts their id. Takes the
    function's own settings (AzureWebJobsStorage, FlowLogs, NSGFLOW_…) from the environment, and
    is safe while it runs.
    """
    from nsgflow_core.cli.session import session

    with session(verbose=verbose):
        import os

        from nsgflow_core.cli.replay import Ask
        from nsgflow_core.cli.replay import replay as run

        run(os.environ, Ask(since, until, nsg, sink or ()), dry_run=dry_run)


def checkpoints(
    *,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="From this hour on: ISO 8601 (UTC), or 30m, 2h, 3d ago.  [default: 2h]",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Up to this hour, given like --since."),
    ] = None,
    nsg: options.LogName = "",
    stale: Annotated[
        bool, typer.Option("--stale", help="Only where a sink is behind its log.")
    ] = False,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="table|json|csv", help="How to show them.")
    ] = "table",
    verbose: options.Verbose = False,
) -> None:
    """Show how far the deployed function got, by log.

    For each sink the bytes that it is behind its log, and since when. Takes the function's own
    settings (AzureWebJobsStorage, FlowLogs, NSGFLOW_…) from the environment. Logs without any
    checkpoint are shown without a sink.
    """
    from nsgflow_core.cli.session import session

    with session(verbose=verbose):
        import os

        from nsgflow_core.cli.checkpoints import show_checkpoints

        show_checkpoints(os.environ, since, until, nsg, output, stale=stale)


def run(
    *,
    interval: Annotated[
        float,
        typer.Option("--interval", metavar="SECONDS", min=1, help="Look for new flows so often."),
    ] = 10,
) -> None:
    """Run the pipeline in a loop, without Functions.

    For a container or a laptop, with the function's own settings (AzureWebJobsStorage, FlowLogs,
    NSGFLOW_…) and state. SIGTERM ends it when what is under way is delivered and committed.
    """
    from nsgflow_core.cli.session import session

    with session(verbose=True):
        import os

        from nsgflow_core.cli.run import run as loop

        loop(os.environ, interval)


def check(
    *,
    send_test: Annotated[
        bool, typer.Option("--send-test", help="Send one marked row and one marked alert.")
    ] = False,
    verbose: options.Verbose = False,
) -> None:
    """Check what stands in the way, each with its mend.

    Looks at the settings (AzureWebJobsStorage, FlowLogs, NSGFLOW_…), sign-in, each container,
    the state, a token for Logs Ingestion and the webhook's host. Exit status 1 if anything is
    missing. Sends nothing unless --send-test is given.
    """
    from nsgflow_core.cli.session import session

    with session(verbose=verbose):
        import os

        from nsgflow_core.cli.check import check as look

        look(os.environ, send_test=send_test)
