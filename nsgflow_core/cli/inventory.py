"""`nsgflow inventory`: what is known of the network, and its way to where nobody is signed in."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.session import session
from nsgflow_core.cli.shared import Utc, Verbose


def inventory(
    *,
    source: Annotated[
        str,
        typer.Argument(
            metavar="[azure|app|FILE]",
            help="Azure as who is signed in sees it (the default), the deployed function's (app), "
            "or what --export wrote.",
            show_default=False,
        ),
    ] = "azure",
    export: Annotated[
        str, typer.Option("--export", metavar="FILE", help="Write it to a file.")
    ] = "",
    bring: Annotated[
        str,
        typer.Option(
            "--import",
            metavar="FILE",
            help="Keep what --export wrote as if Azure had answered it, for a day.",
        ),
    ] = "",
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask Azure anew, however new the kept one is.")
    ] = False,
    utc: Utc = False,
    verbose: Verbose = False,
) -> None:
    """Show what is known of the network, or move it.

    NICs, VMs, subnets, NSGs with their rules, peerings, security admin rules, flow logs and
    service tags: the names in lists, and what 'why', 'simulate' and 'coverage' judge by. The role
    Reader is enough. What Azure answers is kept for a day.
    """
    with session(verbose=verbose, utc=utc):
        import os
        from pathlib import Path

        from nsgflow_core.cli import inventories
        from nsgflow_core.cli.clock import clock
        from nsgflow_core.cli.tables import write_text
        from nsgflow_core.errors import BadInputError

        if bring:
            kept = inventories.read_file(bring)
            kept.knowledge()
            inventories.keep(kept, os.environ)
        else:
            kept = inventories.kept_of(source, os.environ, refresh=refresh)
        if export:
            inventories.write_file(Path(export), kept)
        known = kept.knowledge()
        if known.inventory is None:
            raise BadInputError("there is no inventory in it: export it again")
        layout = known.inventory.layout
        tags = (
            f"{known.tags.prefixes} prefixes of service tags" if known.tags else "no service tags"
        )
        logs = "" if kept.flow_logs is None else f"{len(kept.flow_logs)} flow logs, "
        write_text(
            f"{len(known.inventory)} network interfaces, {len(layout.vnets)} VNets, "
            f"{len(known.inventory.nsg_ids())} NSGs, {len(layout.groups)} application security "
            f"groups, {len(layout.admin)} security admin configurations, {logs}{tags}; "
            f"of {clock()(round(kept.made * 1000))}"
        )
