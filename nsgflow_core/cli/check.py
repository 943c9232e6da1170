"""`nsgflow check`: what stands between this configuration and working, each with its mend."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.secrets import redacted
from nsgflow_core.cli.session import Status, session
from nsgflow_core.cli.shared import Utc, Verbose


def check(
    *,
    send_test: Annotated[
        bool, typer.Option("--send-test", help="Send one marked row and one marked alert.")
    ] = False,
    utc: Utc = False,
    verbose: Verbose = False,
) -> None:
    """Check what stands in the way, each with its mend.

    Looks at the settings (AzureWebJobsStorage, FlowLogs, NSGFLOW_…), sign-in, each container,
    the state, the queue of events where there is one, a token for Logs Ingestion and the
    webhook's host; and for misspelt settings and logs that are not new. Exit status 1 if anything
    is missing or wrong. Sends nothing unless --send-test is given.
    """
    with session(verbose=verbose, utc=utc, of_app=True):
        import os
        import sys

        from nsgflow_core.cli.findings import findings
        from nsgflow_core.cli.tables import write_text

        missing = 0
        for finding in findings(os.environ, send_test=send_test):
            missing += bool(finding.mend)
            mark = "ok" if not finding.mend else "WRONG" if finding.wrong else "MISSING"
            line = f"{mark:8}{finding.what}"
            line = redacted(f"{line}: {finding.mend}" if finding.mend else line)
            write_text(line)
            sys.stdout.flush()
        if missing:
            raise typer.Exit(Status.FAILED)
