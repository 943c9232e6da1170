"""What people see of the demo: the message they are sent, and what the command line answers."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from devtools import shell
from devtools.chat import Message

_MARKUP = re.compile(r"\*([^*\n]+)\*|`([^`\n]+)`")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}


def show_message(console: Console, message: Message) -> None:
    """A message of Slack, its markup as styles; https://docs.slack.dev/messaging/formatting-message-text."""
    heading, *blocks = message["blocks"]
    parts = [at for block in blocks for at in block.get("elements", [block.get("text")])]
    body = Text("\n\n").join(_styled(part["text"]) for part in parts)
    console.print("\nwhat people are told, as a message of Slack", style="bold")
    console.print(Panel(body, title=heading["text"]["text"], title_align="left", width=100))


def _styled(markup: str) -> Text:
    text = Text()
    end = 0
    for found in _MARKUP.finditer(markup):
        text.append(_plain(markup[end : found.start()]))
        text.append(_plain(found[1] or found[2]), "bold" if found[1] else "cyan")
        end = found.end()
    text.append(_plain(markup[end:]))
    return text


def _plain(escaped: str) -> str:
    for entity, character in _ENTITIES.items():
        escaped = escaped.replace(entity, character)
    return escaped


def ask(console: Console, settings: Mapping[str, str], *words: str) -> int:
    """Run a command of nsgflow as somebody at this terminal would; returns its exit status."""
    console.print(f"\n$ nsgflow {shlex.join(words)}", style="bold", highlight=False, markup=False)
    console.file.flush()
    environ = shell.without(os.environ) | dict(settings)
    return subprocess.run(
        [sys.executable, "-m", "nsgflow_core", *words], env=environ, check=False
    ).returncode
