"""A group of commands that imports a command when it is asked for, and not before."""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

from nsgflow_core.cli.examples import write_examples
from nsgflow_core.cli.secrets import redacted
from nsgflow_core.cli.unbroken import Context

SETTINGS = {"help_option_names": ["-h", "--help"]}
_UsageError: Any = typer.BadParameter.__base__  # typer has no public name for it


@contextmanager
def _in_one_style() -> Iterator[None]:
    """Have wrong usage told like every other error, in one sentence that repeats no secret."""
    try:
        yield
    except _UsageError as exc:
        exc.message = redacted(exc.message)
        if type(exc).show is _UsageError.show:  # the help of a group is an error, too
            exc.show = partial(_tell, exc)
        raise


def _tell(wrong: Any, file: Any = None) -> None:  # noqa: ARG001 - how typer calls it
    from nsgflow_core.cli.session import note  # noqa: PLC0415 - help needs none of it

    message = wrong.format_message().rstrip(".")
    more = f" ('{wrong.ctx.command_path} --help' tells more)" if wrong.ctx is not None else ""
    note(f"{message[:1].lower()}{message[1:]}{more}")


class LazyGroup(TyperGroup):
    """Commands that live in modules named like them, in the package `package`.

    The module has the command as a function of the same name (`list_` for `list`, which is
    Python's own). `helps` has the first sentence of each command's help, so that the list of them
    imports none; `groups` those names that are groups again.
    """

    context_class = Context
    package: ClassVar[str]
    helps: ClassVar[Mapping[str, str]]
    groups: ClassVar[Mapping[str, typer.Typer]] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - how typer calls it
        """The names, in order."""
        return list(self.helps)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - how typer calls it
        """The command of a name, imported; None where there is none."""
        if cmd_name not in self.helps:
            return None
        if (command := self.commands.get(cmd_name)) is None:
            command = self.commands[cmd_name] = self._load(cmd_name)
            command.short_help = self.helps[cmd_name]  # completion would cut the help
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer does it, which looks for similar names among the commands that it has."""
        for name in self.helps:
            self.commands.setdefault(name, None)  # type: ignore[arg-type]
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Take the words before the command's apart."""
        with _in_one_style():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is named."""
        with _in_one_style():
            return super().invoke(ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """The list of commands in the help of the group."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.helps.items()))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """What stands below the commands: what they share, then examples."""
        super().format_epilog(ctx, formatter)
        write_examples(ctx, formatter)

    def _load(self, name: str) -> Any:
        if name in self.groups:
            group = typer.main.get_group(self.groups[name])
            group.name = name
            return group
        # What the list of commands needs not.
        from nsgflow_core.cli.command import Command  # noqa: PLC0415
        from nsgflow_core.cli.completing import complete_options  # noqa: PLC0415

        own = name.replace("-", "_")
        module = importlib.import_module(f"{self.package}.{own}")
        function = getattr(module, own, None) or getattr(module, f"{own}_")
        complete_options(function)
        app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=SETTINGS)
        app.command(name, cls=Command)(function)
        return typer.main.get_command(app)
