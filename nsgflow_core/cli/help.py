"""`nsgflow help`: the help of a command, and of what commands share."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated, Any

import typer


def _topics(ctx: typer.Context, incomplete: str) -> list[str]:
    """The commands, or behind one those below it."""
    from nsgflow_core.cli.main import Nsgflow

    offered = ["filter", *Nsgflow.helps]
    if words := ctx.params.get("topic"):
        root: Any = ctx.find_root()
        group = root.command.get_command(root, words[0]) if len(words) == 1 else None
        offered = list(getattr(group, "helps", ()))
    return [name for name in offered if name.startswith(incomplete)]


def help_(
    ctx: typer.Context,
    topic: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TOPIC]...",
            help="A command, such as 'denied' or 'dead-letters list'; or 'filter': the terms of "
            "--filter.",
            autocompletion=_topics,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show the help of a command, or of filter terms."""
    if topic in (["filter"], ["filters"], ["terms"]):
        typer.echo(_filter(ctx))
        return
    shown: Any = ctx.find_root()
    for word in topic or ():
        if not hasattr(shown.command, "resolve_command"):
            ctx.fail(f"'{shown.command_path}' has no commands below it.")
        shown.resilient_parsing = False  # a name that there is not is an error
        name, command, _ = shown.command.resolve_command(shown, [word])
        shown = command.make_context(name, [], parent=shown, resilient_parsing=True)
    typer.echo(shown.get_help())


def _filter(ctx: Any) -> str:
    """Filter terms: how they are written, their keys, and examples."""
    from nsgflow_core import terms

    formatter = ctx.make_formatter()
    formatter.write_usage("nsgflow COMMAND", "--filter 'TERM TERM …'")
    formatter.write_paragraph()
    for sentence in terms.GRAMMAR:
        formatter.write_text(terms.plain(sentence))
    with formatter.section("Keys"):
        formatter.write_dl(
            [
                (told.example, terms.plain(f"{told.values}: {told.matches}"))
                for told in terms.KEYS.values()
            ]
        )
    with formatter.section("Examples"):
        formatter.write_dl(terms.EXAMPLES, col_max=50)
    shown: str = formatter.getvalue()
    return shown.rstrip()
