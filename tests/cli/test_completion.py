"""Completion, in the real shells: what the tab key puts there."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tree_sitter_powershell
import typer
from tree_sitter import Language, Parser

from nsgflow_core.cli import completing, completion
from nsgflow_core.filter import compile_terms
from nsgflow_core.terms import KEYS
from tests.cli.conftest import ROOT
from tests.cli.test_help import commands, root

_OVERWRITTEN = re.compile("[^\x08]\x08|\a")
_SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
_LOADS = {
    "bash": "bind 'set enable-bracketed-paste off'; source <(nsgflow completion bash)",
    "zsh": "unsetopt PROMPT_SP; unset zle_bracketed_paste; autoload -Uz compinit; "
    "compinit -u -D; source <(nsgflow completion zsh)",
    "fish": "set fish_greeting; set -U fish_autosuggestion_enabled 0; "
    "nsgflow completion fish | source",
}
_PROMPTS = dict.fromkeys(_SHELLS, "PS1=rea''dy'>'") | {
    "fish": "function fish_prompt; echo -n rea''dy'>'; end; function fish_right_prompt; end"
}
# The terminal is to be the one that controls the shell, or fish would not talk to it.
_CONTROLLED = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


def environ() -> dict[str, str]:
    """An environment in which `nsgflow` is the command of this checkout."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), "TERM": "dumb", "COLUMNS": "200"}


def needs(shell: str) -> None:
    """Skip where a shell is missing."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")


def line_of(shown: str, typed: str) -> str:
    """What is left of a line that begins so, where the cursor went back over letters."""
    while (left := _OVERWRITTEN.sub("", shown)) != shown:
        shown = left
    _, begun, behind = shown.replace("\r", "").replace("\n", "").rpartition(typed)
    return begun + behind


class Typing:
    """A shell at a terminal, and someone who types."""

    def __init__(self, shell: str, folder: Path) -> None:
        controller, terminal = pty.openpty()
        self._controller = controller
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CONTROLLED, *_SHELLS[shell]],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environ() | {"HOME": str(folder)},
            cwd=folder,
        )
        os.close(terminal)
        self.type(f"{_LOADS[shell]}; {_PROMPTS[shell]}\n")
        self.until("ready>", "ready")

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._controller, text.encode())

    def until(self, expected: str, typed: str) -> None:
        """Wait until the terminal shows this in the line that was typed.

        A shell may draw the line before once more.
        """
        shown, deadline = "", time.monotonic() + 30
        while expected not in line_of(shown, typed):
            ready, _, _ = select.select([self._controller], [], [], 1)
            assert time.monotonic() < deadline, f"{expected!r} is not behind {typed!r}: {shown!r}"
            if ready:
                shown += os.read(self._controller, 4096).decode(errors="replace")

    def close(self) -> None:
        """Go away."""
        self._process.kill()
        self._process.wait()
        os.close(self._controller)


@pytest.mark.parametrize("shell", _SHELLS)
def test_the_tab_key(shell: str, tmp_path: Path) -> None:
    """Commands, those of groups, options, values, keys and values of filter terms, and files."""
    needs(shell)
    (tmp_path / "my logs").mkdir()
    for name in ("my logs/PT1H of web.json", "PT1H.json", "it's.json", "configuration.md"):
        (tmp_path / name).touch()
    typing = Typing(shell, tmp_path)
    try:
        for typed, completed in _TYPED:
            typing.type(typed + "\t#")
            expected = completed[shell == "bash"] if isinstance(completed, tuple) else completed
            typing.until(f"{expected}#", typed[:-3])
            typing.type("\x15")  # forget the line
    finally:
        typing.close()


# Where bash puts what others do not, that is the second.
_TYPED: tuple[tuple[str, str | tuple[str, str]], ...] = (
    ("nsgflow deni", "denied "),
    ("nsgflow --color al", "always "),
    ("nsgflow dead-letters res", "resend "),
    ("nsgflow denied --sugg", "--suggest "),
    ("nsgflow denied -o js", "json "),
    ("nsgflow denied --by dest", "destination "),
    ("nsgflow denied --by nsg,dest", "nsg,destination "),
    ("nsgflow denied --output=js", "--output=json "),
    ("nsgflow denied --filter=acti", "--filter=action="),
    ("nsgflow denied --filter=proto=ic", "--filter=proto=icmp "),
    ("nsgflow denied --filter=src=2001:db8::1,int", "--filter=src=2001:db8::1,internet "),
    ("nsgflow denied --sort sou", "source"),
    ("nsgflow export --omit FlowI", "FlowId "),
    ("nsgflow denied --filter acti", "action="),
    ("nsgflow denied --filter action=den", "action=denied "),
    ("nsgflow silence add prot", "proto="),
    ("nsgflow why 10.0.0.1 10.0.0.2 --direction o", "out "),
    ("nsgflow why 10.0.0.1 [2001:db8::1]:22 --direction o", "out "),
    ("nsgflow denied --since yest", "yesterday "),
    ("nsgflow denied --since 14:0", "--since 14:0"),
    ("nsgflow flows configu", "configuration.md "),
    ("nsgflow flows my\\ logs/PT", "my\\ logs/PT1H\\ of\\ web.json "),
    ("nsgflow flows it", "it\\'s.json "),
    ("nsgflow denied --rules=conf", "--rules=configuration.md "),
    ('nsgflow denied "my logs/PT', '"my logs/PT1H of web.json" '),
    ("nsgflow denied --filter 'action=denied proto=ic", "proto=icmp' "),
    ("nsgflow denied --filter 'action=denied prot", ("proto=", "proto='")),
)


def test_what_fish_is_told() -> None:
    """Each word with what it means, in one line."""
    needs("fish")

    def offered(line: str) -> list[str]:
        script = f"nsgflow completion fish | source; complete -C {line!r}"
        done = subprocess.run(
            ["fish", "--no-config", "-c", script],
            env=environ(),
            cwd=ROOT / "docs",
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    assert offered("nsgflow deni") == ["denied\tShow which NSG, rule and port deny the most."]
    assert offered("nsgflow dead-letters res") == [
        "resend\tSend dead letters to the sinks after all."
    ]
    assert offered("nsgflow denied -o js") == ["json"]
    assert offered("nsgflow denied --filter action=den") == ["action=denied"]
    assert offered("nsgflow flows configu") == ["configuration.md"]
    assert offered("nsgflow mark") == ["mark\tMark what you did, such as a deployment."]
    options = [each.partition("\t") for each in offered("nsgflow denied -")]
    assert [name for name, _, told in options if name[:1] != "-" or not told] == []
    assert "--rules" in [name for name, *_ in options]


def powershell(line: str, word: str) -> list[str]:
    """What PowerShell would be offered: it asks by these variables and splits at `:::`."""
    asked = {
        "_NSGFLOW_COMPLETE": "complete_powershell",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": word,
    }
    done = subprocess.run(
        [sys.executable, "-m", "nsgflow_core"],
        env=environ() | asked,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    offers = [offer.split(":::") for offer in done.stdout.splitlines()]
    assert all(len(offer) == 2 and offer[1] for offer in offers), offers
    return [word for word, _ in offers]


def test_powershell_can_read_its_script() -> None:
    """By a grammar of PowerShell, also where there is none to run it."""
    parser = Parser(Language(tree_sitter_powershell.language()))
    script = completion.SCRIPTS["powershell"].encode()
    assert not parser.parse(script).root_node.has_error
    assert parser.parse(script.replace(b"} else {", b"else {")).root_node.has_error


def test_powershell_by_its_protocol() -> None:
    """As the script for PowerShell asks; the script itself runs where PowerShell is there."""
    assert powershell("nsgflow deni", "deni") == ["denied"]
    assert powershell("nsgflow dead-letters res", "res") == ["resend"]
    assert "--rules" in powershell("nsgflow denied -", "-")
    assert powershell("nsgflow denied -o js", "js") == ["json"]
    assert powershell("nsgflow denied --filter action=den", "action=den") == ["action=denied"]
    if shutil.which("pwsh"):
        script = (
            "nsgflow completion powershell | Out-String | Invoke-Expression; (TabExpansion2 "
            "'nsgflow deni' 12).CompletionMatches.CompletionText"
        )
        done = subprocess.run(
            ["pwsh", "-NoProfile", "-Command", script],
            env=environ(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["denied"]


def bash(line: str) -> list[str]:
    """What bash would be offered: it asks by these variables."""
    asked = {"_NSGFLOW_COMPLETE": "complete_bash", "COMP_WORDS": line}
    done = subprocess.run(
        [sys.executable, "-m", "nsgflow_core"],
        env=environ() | asked | {"COMP_CWORD": str(line.count(" "))},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("words", commands(root()), ids=" ".join)
def test_every_command_completes(words: tuple[str, ...]) -> None:
    """A tab behind any command is answered, and what options offer is what help names."""
    assert bash(" ".join(("nsgflow", *words, "--h"))) == ["--help"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("dead-letters ", ["list", "show", "resend"]),
        ("silence e", ["end"]),
        ("den", ["denied"]),
        ("flows ", []),
        ("dead-letters list ", []),
    ],
)
def test_help_offers_what_it_takes(typed: str, offered: list[str]) -> None:
    """Commands, and behind one that has some those below it."""
    assert bash(f"nsgflow help {typed}") == offered


def test_every_option_with_words_of_its_own_offers_them() -> None:
    """What the metavar of an option lists is what completion offers, and --help names it."""
    checked = 0
    for words in commands(root()):
        context: Any = typer.Context(root())
        for word in words:
            context = typer.Context(context.command.get_command(context, word), parent=context)
        for param in context.command.params:
            if "|" in (param.metavar or ""):
                offered = [item.value for item in param.shell_complete(context, "")]
                listed = set(param.metavar.strip("[]").split("|")) - {"FILE", "N"}
                assert set(offered) == listed, (words, param.name)
                checked += 1
    assert checked > 20


def test_no_time_is_offered_that_is_an_error() -> None:
    """A span cannot begin now; it can end then."""
    command = root().get_command(typer.Context(root()), "denied")
    offered = {
        param.name: [item.value for item in param.shell_complete(typer.Context(command), "n")]
        for param in command.params
    }
    assert (offered["since"], offered["until"]) == ([], ["now"])


def test_an_unknown_shell() -> None:
    """It is told which there are."""
    done = subprocess.run(
        [sys.executable, "-m", "nsgflow_core", "completion", "tcsh"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "'tcsh' is not one of bash, zsh, fish, powershell" in done.stderr


def test_completed_terms_are_terms() -> None:
    """Every key with every word that is offered for it is a filter; negated and listed too."""
    assert completing.filter_terms("") == [f"{key}=" for key in KEYS]
    for key, told in KEYS.items():
        offered = completing.filter_terms(f"lb=no !{key}=")
        assert offered == [f"lb=no !{key}={word}" for word in told.words]
        for terms in (*offered, told.example):
            compile_terms(terms)
    assert completing.filter_terms("proto=tcp,u") == ["proto=tcp,udp"]
    assert completing.filter_terms("nothing=") == []


def test_other_names_of_keys_are_completed_where_no_key_begins_so() -> None:
    """And their values are the key's."""
    assert completing.filter_terms("lb=no !Dest") == ["lb=no !DestIp=", "lb=no !DestPort="]
    assert completing.filter_terms("L4Protocol=tcp,u") == ["L4Protocol=tcp,udp"]
