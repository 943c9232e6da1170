"""Access tokens of whoever is signed in: of azd, or of az where azd has none."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field

from nsgflow_hooks.errors import HookError

_KEEP_SECONDS = 1200.0  # a token lives for an hour and more; hooks wait for minutes
_COMMAND_SECONDS = 120.0


@dataclass
class SignIn:
    """Tokens by resource, asked for once and again when they are twenty minutes old.

    Attributes:
        tenant: id of the tenant, or empty for the one that azd or az is in.
    """

    tenant: str = ""
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict)

    def token(self, resource: str, *, fresh: bool = False) -> str:
        """An access token.

        Raises:
            HookError: neither azd nor az gives one; the text has both reasons.
        """
        kept = self._tokens.get(resource)
        if kept and not fresh and time.monotonic() - kept[0] < _KEEP_SECONDS:
            return kept[1]
        token = self._ask(f"{resource}/.default")
        self._tokens[resource] = (time.monotonic(), token)
        return token

    def _ask(self, scope: str) -> str:
        commands = [
            (
                ["azd", "auth", "token", "--output", "json", "--scope", scope],
                "--tenant-id",
                "token",
            ),
            (
                ["az", "account", "get-access-token", "--output", "json", "--scope", scope],
                "--tenant",
                "accessToken",
            ),
        ]
        reasons = []
        for words, tenant_option, name in commands:
            given = [*words, tenant_option, self.tenant] if self.tenant else words
            try:
                return _token(last_json(run(given)).get(name))
            except (CommandError, ValueError) as error:
                reasons.append(f"  {words[0]}: {error}")
        raise HookError(
            "nobody is signed in. Run: azd auth login (in a pipeline: azd auth login --client-id … "
            "--tenant-id … --federated-credential-provider github)\n" + "\n".join(reasons)
        )


def _token(value: object) -> str:
    """A token that a header can have: any other would be told, token and all, when it is sent.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
        raise ValueError("its answer has no token")
    return value


class CommandError(Exception):
    """A command is not there, failed, or took too long."""


def run(words: list[str], cwd: str | None = None) -> str:
    """What a command prints.

    Raises:
        CommandError: with what it said; never with what it printed, which may be a token.
    """
    # On Windows az is az.cmd, which only its full name starts.
    program = shutil.which(words[0])
    if program is None:
        raise CommandError("not installed")
    try:
        done = subprocess.run(  # noqa: S603 - azd and az, with words of our own
            [program, *words[1:]],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"no answer within {_COMMAND_SECONDS:.0f} seconds") from error
    except OSError as error:
        raise CommandError(f"it does not start: {error.strerror}") from error
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise CommandError(said[:300] or f"exit status {done.returncode}")
    return done.stdout


def last_json(text: str) -> dict[str, object]:
    """The last JSON object that a command printed; notices may stand before and behind it.

    Raises:
        ValueError: there is none.
    """
    found: dict[str, object] | None = None
    at = text.find("{")
    while at != -1:
        try:
            found, at = json.JSONDecoder().raw_decode(text, at)
        except ValueError:
            at += 1
        at = text.find("{", at)
    if found is None:
        raise ValueError("it printed no JSON object")
    return found
