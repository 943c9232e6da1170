"""The examples in the help of each command; tests run them, so that they stay true.

`mylogs` is a storage account in them, or a folder that azcopy copied from one.
"""

from typing import Any

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("Which NSG, rule and port denied most in the last hour", "nsgflow denied mylogs"),
        (
            "Why one flow does not get through",
            "nsgflow why 10.1.0.4 10.2.0.5:1433 mylogs --inventory",
        ),
        ("The help of a command; the terms that --filter takes", "nsgflow help denied"),
        ("", "nsgflow help filter"),
    ),
    "flows": (
        ("Denied inbound flows of the last half hour", "nsgflow flows mylogs --since 30m"),
        (
            "All that was said to a server, as a table",
            "nsgflow flows mylogs --filter 'dst=10.2.0.5' --display-allowed -o table",
        ),
        ("A log that was copied, for a spreadsheet", "nsgflow flows PT1H.json -o csv > flows.csv"),
    ),
    "denied": (
        ("The last two hours", "nsgflow denied mylogs --since 2h"),
        (
            "Who was denied where, from one network to SQL Server",
            "nsgflow denied mylogs --filter 'src=10.1.0.0/16 port=1433' --by rule,source",
        ),
        (
            "When each of the ten busiest began and ended",
            "nsgflow denied mylogs --top 10 --every 5m",
        ),
        (
            "Who talks most, by bytes",
            "nsgflow denied mylogs --action allowed --by src,dst --sort bytes",
        ),
        ("The rules that would let it through, as Bicep", "nsgflow denied mylogs --as bicep"),
        ("From a pipe, for jq", "zcat PT1H.json.gz | nsgflow denied - -o json"),
    ),
    "why": (
        (
            "What was recorded, and what the rules in Azure say now",
            "nsgflow why 10.1.0.4 10.2.0.5:1433 mylogs --since 1d --inventory",
        ),
        (
            "The same by names, of the time when it was seen to fail",
            "nsgflow why web1 sql1:1433 mylogs --since 'yesterday 22:00' --inventory",
        ),
        ("What rules in files say", "nsgflow why 10.1.0.4 10.2.0.5:443 --rules nsgs.json"),
        (
            "What one NSG says",
            "nsgflow why 10.1.0.4 10.2.0.5 --rules nsgs.json --nsg web-nsg --direction in",
        ),
    ),
    "simulate": (
        (
            "What a changed NSG would do to the flows of a day",
            "nsgflow simulate --rules nsgs.json mylogs --since 1d",
        ),
        (
            "In a pipeline: fail where flows would newly be denied",
            "nsgflow simulate --rules nsgs.json mylogs --fail-on newly-denied -o markdown",
        ),
    ),
    "coverage": (
        ("What is logged, and how new it is", "nsgflow coverage mylogs"),
        ("What is not, or twice", "nsgflow coverage --only not-logged,in-part,twice"),
        ("In a pipeline: fail where something is not", "nsgflow coverage --fail-on not-logged"),
    ),
    "report": (
        ("A day of denied flows", "nsgflow report mylogs --since 1d -o denied.html"),
        (
            "With names, verdicts and proposals",
            "nsgflow report mylogs --inventory -o denied.html",
        ),
        (
            "Of one NSG, from a file",
            "nsgflow report PT1H.json --nsg web-nsg -o denied.html",
        ),
    ),
    "export": (
        ("All flows of a day", "nsgflow export mylogs --since 1d -o day.parquet"),
        (
            "Without what takes a third of it or more",
            "nsgflow export mylogs --since 1d --omit FlowId -o day.parquet",
        ),
    ),
    "sql": (
        (
            "How many flows each port had in the last hour",
            'nsgflow sql "SELECT DestPort, count(*) FROM flows GROUP BY 1" mylogs',
        ),
        (
            "And each rule, of what was exported",
            'nsgflow sql "SELECT AclRule, count(*) FROM flows GROUP BY 1" day.parquet',
        ),
    ),
    "logs": (
        ("What there is to read, and how old the newest record is", "nsgflow logs mylogs"),
        ("Which logs have flows of an NSG", "nsgflow logs mylogs --nsg web-nsg --inventory"),
        ("Which interface has gone silent, of a week", "nsgflow logs mylogs --since 7d --nics"),
    ),
    "tail": (
        ("All that is denied from now on", "nsgflow tail mylogs"),
        (
            "Ten minutes back, of one NSG, with what the rules say",
            "nsgflow tail mylogs --since 10m --nsg web-nsg --inventory --explain",
        ),
    ),
    "checkpoints": (
        ("The last two hours", "nsgflow checkpoints"),
        ("Where a sink is behind, of a day", "nsgflow checkpoints --since 1d --stale"),
    ),
    "replay": (
        (
            "What would be sent again of an hour",
            "nsgflow replay --since 2026-11-23T08:00 --until 2026-11-23T09:00 --dry-run",
        ),
        (
            "One NSG to the webhook alone",
            "nsgflow replay --since 2h --nsg web-nsg --sink webhook",
        ),
    ),
    "inventory": (
        ("What Azure tells of the network", "nsgflow inventory"),
        (
            "Take it along to a machine that cannot sign in",
            "nsgflow inventory --export network.nsgflow",
        ),
        ("", "nsgflow inventory --import network.nsgflow"),
    ),
    "run": (("With local.settings.json's settings in the environment", "nsgflow run"),),
    "check": (
        ("What is missing or wrong", "nsgflow check"),
        ("And whether rows and alerts arrive", "nsgflow check --send-test"),
    ),
    "dead-letters": (
        ("What was put aside, and what is in the first of it", "nsgflow dead-letters list"),
        ("", "nsgflow dead-letters show 9f2c"),
        ("Send all of it", "nsgflow dead-letters resend --all"),
    ),
    "dead-letters list": (
        ("All of them", "nsgflow dead-letters list"),
        (
            "What the webhook refused of one NSG today",
            "nsgflow dead-letters list --kind webhook --nsg web-nsg --since today",
        ),
    ),
    "dead-letters show": (
        ("By the id in the list", "nsgflow dead-letters show 9f2c"),
        ("For a program", "nsgflow dead-letters show 9f2c -o json"),
    ),
    "dead-letters resend": (
        ("What would be sent", "nsgflow dead-letters resend --all --dry-run"),
        ("One of them", "nsgflow dead-letters resend 9f2c"),
    ),
    "silence": (
        ("For two hours, by filter terms", "nsgflow silence 'nsg=web-nsg port=1433' --for 2h"),
        ("What is held back", "nsgflow silence list"),
        ("No longer", "nsgflow silence end 4be1"),
    ),
    "silence add": (
        (
            "For two hours, with a reason that is told at its end",
            "nsgflow silence add 'nsg=web-nsg port=1433' --for 2h --why 'change 4711'",
        ),
        (
            "A network, over the weekend",
            "nsgflow silence add 'src=10.9.0.0/16' --until 'monday 8am'",
        ),
    ),
    "silence list": (("", "nsgflow silence list"),),
    "silence end": (("By the id in the list", "nsgflow silence end 4be1"),),
    "mark": (
        ("What was done just now", "nsgflow mark 'web 2.4 is out'"),
        ("And ten minutes ago", "nsgflow mark 'rules of web-nsg changed' --at 10m"),
        ("The marks", "nsgflow mark"),
    ),
    "help": (
        ("A command; one below a group; filter terms", "nsgflow help denied"),
        ("", "nsgflow help dead-letters list"),
        ("", "nsgflow help filter"),
    ),
    "completion": (
        ("bash, in ~/.bashrc", "source <(nsgflow completion bash)"),
        ("zsh, in ~/.zshrc behind compinit", "source <(nsgflow completion zsh)"),
        ("fish, in ~/.config/fish/config.fish", "nsgflow completion fish | source"),
        (
            "PowerShell, in $PROFILE",
            "nsgflow completion powershell | Out-String | Invoke-Expression",
        ),
    ),
}
"""By the words of a command: what each example does, and how it is typed."""


def write_examples(ctx: Any, formatter: Any) -> None:
    """The examples of a command or group at the end of its help; no line of them is wrapped."""
    found = EXAMPLES.get(ctx.command_path.partition(" ")[2], ())
    if not found:
        return
    with formatter.section("Examples"):
        for number, (told, typed) in enumerate(found):
            if told:
                formatter.write("\n" * bool(number) + f"  # {told}\n")
            formatter.write(f"  {typed}\n")
