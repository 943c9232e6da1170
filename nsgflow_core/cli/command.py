"""A command that never drops what it was given, and knows the words of other programs."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from nsgflow_core.cli.examples import write_examples
from nsgflow_core.cli.shared import handed_down
from nsgflow_core.cli.unbroken import Context
from nsgflow_core.terms import KEYS

_TERMS = f"""Keys of --filter: {", ".join(KEYS)}. Terms are separated by spaces and all must
hold, values by commas and any may; ! in front negates. Names take *, ports ranges, addresses CIDR
and the words private and internet. More: nsgflow help filter."""
_ELSEWHERE = {
    "--display-allowed": "say --action both",
    "--display-minutes": "say --since, for example --since 3m",
    "--protocol": "say --filter proto=tcp",
    "--ip2": "repeat --ip: flows between both addresses are shown",
    "--resource-name": "say --nsg-name",
    "--vnet-flow-logs": "leave it out: NSG and VNet flow logs are both read",
    "--mode": "leave it out: NSG and VNet flow logs are both read, firewall logs are not",
    "--no-counters": "say -o csv or -o json, and choose columns",
    "--no-output": "leave it out: --aggregate with -o json writes its totals to stderr alone",
    "--source": "say --filter src=ADDRESS",
    "--destination": "say --filter dst=ADDRESS",
    "--dest": "say --filter dst=ADDRESS",
    "--dport": "say --filter port=PORT",
}
"""Flags of get_nsg_logs since 2024, and of its like, and what stands for them here."""

_OF_WHY = {
    **dict.fromkeys(
        ("--filter", "--ip", "--src", "--dst", "--source", "--destination"),
        "SRC and DST[:PORT] say which flow",
    ),
    **dict.fromkeys(("--port", "--dport"), "say DST:PORT"),
    "--proto": "say --protocol",
    "--display-direction": "say --direction, with --nsg",
    "--action": "leave it out: denied and allowed flows are both told",
    "--display-allowed": "leave it out: denied and allowed flows are both told",
    "--display-hours": "say --since",
}
"""Flags of commands that read flows, and what stands for them where one flow is asked about."""


_OURS = {
    **dict.fromkeys(("--limit", "-n", "--head", "--first", "--max"), ("--top", "say --top N")),
    **dict.fromkeys(("--group-by", "--groupby", "--group"), ("--by", "say --by KEYS")),
    **dict.fromkeys(("--from", "--start", "--after"), ("--since", "say --since TIME")),
    **dict.fromkeys(("--to", "--end", "--before"), ("--until", "say --until TIME")),
    "--order-by": ("--sort", "say --sort KEY"),
    "--json": ("--output", "say -o json"),
    "--csv": ("--output", "say -o csv"),
    "--format": ("--output", "say -o FORM"),
}
"""What our flags are called in other programs: the flag that must be there, and the mend."""
_LINES = "say | head -n N behind the command"


_INVENTORY = ".nsgflow"
_HEAD = 64 * 1024
_GZIP = b"\x1f\x8b"
_SIGNS = (b'"records"', b'"flowRecords"', b'"flowTuples"', b'"macAddress"')
"""What the beginning of a flow log has."""


def _with_inventory(args: list[str], valued: set[str], *, ends: bool) -> list[str]:
    """--inventory without a value is of Azure; what follows it may be a log.

    `valued` are the options that take a value; `ends` says that what follows may be an end of a
    flow as well, which is called as files are.
    """
    made = list(args)
    for at, word in enumerate(args):
        following = args[at + 1] if at + 1 < len(args) else ""
        if word != "--inventory":
            continue
        # No account stands beside a file, so it is an inventory by a wrong name.
        names_file = following != "" and not following.startswith("-") and not _is_there(following)
        beside = any(
            _is_there(one)
            for before, one in pairwise(["", *args])
            if one is not following and before not in valued
        )
        if (ends or not (names_file and beside)) and not _is_inventory(following):
            made[at] = "--inventory=azure"
    return made


def _is_there(word: str) -> bool:
    """Whether a word is a file or folder, or standard input."""
    try:
        return word == "-" or Path(word).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long a name, a home that is nobody's
        return False


def _is_inventory(word: str) -> bool:
    """Whether the word behind --inventory is its value, so that a wrong file is told as such."""
    if word in ("azure", "app"):
        return True
    if not word or word.startswith(("-", "/subscriptions/", "http://", "https://")):
        return False
    try:
        with Path(word).open("rb") as file:
            head = file.read(_HEAD).replace(b"\0", b"")  # in UTF-16 every other byte is 0
    except FileNotFoundError:  # an account, an address or a VM, unless it looks like a file
        return word.lower().endswith(_INVENTORY)
    except OSError:
        return False
    return not head.startswith(_GZIP) and not any(sign in head for sign in _SIGNS)


def _as_typed(argument: Any) -> str:
    """How an argument is typed: in brackets where it may be left out."""
    name: str = argument.metavar or argument.name.upper()
    if not argument.required and not name.startswith("["):
        name = f"[{name}]"
    return name if argument.nargs == 1 or name.endswith("...") else f"{name}..."


class Command(TyperCommand):
    """A command whose options count once, unless they add up.

    Where an option that takes one value is given twice, the first would be lost.
    """

    context_class = Context

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002 - how typer calls it
        """Options and arguments in the line of usage, each in brackets that may be left out."""
        arguments = [param for param in self.params if param.param_type_name == "argument"]
        return ["[OPTIONS]", *map(_as_typed, arguments)]

    def argument_records(self, ctx: Any) -> list[tuple[str, str]]:
        """Each argument, and what it is for."""
        arguments = [param for param in self.get_params(ctx) if param.param_type_name == "argument"]
        found = ((_as_typed(param), param.get_help_record(ctx)) for param in arguments)
        return [(name, record[1]) for name, record in found if record is not None]

    def option_records(self, ctx: Any) -> list[tuple[str, str]]:
        """Each option with its words, and what it does."""
        options = [param for param in self.get_params(ctx) if param.param_type_name == "option"]
        found = (param.get_help_record(ctx) for param in options)
        return [record for record in found if record is not None]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments and options with what each is for, and not with the types of Python."""
        sections = {
            "Arguments": self.argument_records(ctx),
            "Options": self.option_records(ctx),
        }
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Below the help of what takes filter terms: their grammar."""
        if any("--filter" in param.opts for param in self.params):
            self.epilog = _TERMS
        super().format_epilog(ctx, formatter)
        write_examples(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the words of a command line apart; wrong ones are a usage error."""
        known = {name for param in self.params for name in param.opts}
        args = [*handed_down(ctx, known, args), *args]
        if "--inventory" in known:
            takers = [param for param in self.params if not getattr(param, "is_flag", False)]
            valued = {name for param in takers for name in param.opts}
            ends = any(param.name == "src" for param in takers)
            args = _with_inventory(args, valued, ends=ends)
        for word in args:
            flag = word.partition("=")[0]
            if word == "--":
                break
            if flag in known or not (flag.startswith("--") or flag in _OURS):
                continue
            if mend := self._elsewhere(flag, known):
                ctx.fail(f"No such option: {flag}: {mend}.")
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for param in dict.fromkeys(given):
            once = not (getattr(param, "multiple", False) or getattr(param, "is_flag", False))
            if once and param.nargs == 1 and given.count(param) > 1:
                ctx.fail(
                    f"{param.opts[0]} is given {given.count(param)} times and takes one value."
                )
        return super().parse_args(ctx, args)

    @staticmethod
    def _elsewhere(flag: str, known: set[str]) -> str:
        if flag in _OURS:
            ours, mend = _OURS[flag]
            if ours in known:
                return mend
            if ours == "--top" and "--filter" in known and "--interval" not in known:
                return _LINES
        if "--filter" not in known:
            return _OF_WHY.get(flag, "") if "--direction" in known else ""
        key = flag.removeprefix("--")
        return f"say --filter {key}=…" if key in KEYS else _ELSEWHERE.get(flag, "")
