"""How a command begins and ends: its errors in one sentence, its exit status, its progress."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum

import typer

from nsgflow_core.cli.read import Tally
from nsgflow_core.errors import BadInputError, NsgflowError

_MENDS = {
    "AuthorizationPermissionMismatch": "give whoever is signed in the role Storage Blob Data "
    "Reader on the storage account",
    "AuthorizationFailure": "let this network through the storage account's firewall, or give "
    "whoever is signed in the role Storage Blob Data Reader",
    "AuthenticationFailed": "the key or signature is wrong or has expired: renew "
    "STORAGE_ACCOUNT_KEY or AZURE_STORAGE_CONNECTION_STRING",
    "InvalidAuthenticationInfo": "sign in to the account's own tenant: az login --tenant TENANT",
    "KeyBasedAuthenticationNotPermitted": "the account takes no keys: unset STORAGE_ACCOUNT_KEY "
    "and AZURE_STORAGE_CONNECTION_STRING and sign in with az login",
    "AccountIsDisabled": "enable the storage account",
    " 403 ": "give whoever is signed in the role Storage Blob Data Reader on the storage account",
    "resolve": "is the account's name right? 'az storage account list -o table' shows yours",
    "Name or service not known": "is the account's name right? 'az storage account list -o table' "
    "shows yours",
    "DefaultAzureCredential": "sign in with az login, or set STORAGE_ACCOUNT_KEY",
}
"""What a service says, and what to do about it; the first that fits counts."""
_SLOW = 1.0
"""Seconds after which a read counts as long, and shows its progress."""


class Status(IntEnum):
    """Exit statuses."""

    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    INTERRUPTED = 130
    PIPE_CLOSED = 141


def note(message: str) -> None:
    """Say something to the person and not to the pipe."""
    sys.stderr.write(f"nsgflow: {message}\n")


def sentence(error: NsgflowError) -> str:
    """An error and its mend in one sentence."""
    message = str(error).strip().partition("\n")[0].rstrip(" .:")
    text = str(error)
    mend = next((mend for sign, mend in _MENDS.items() if sign in text), "")
    return f"{message}: {mend}" if mend else message


@contextmanager
def session(*, verbose: bool) -> Iterator[None]:
    """Run a command: whatever ends it becomes an exit status and at most a sentence.

    Raises:
        typer.Exit: with the status.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.CRITICAL,
        format="%(asctime)s %(name)s %(message)s",
    )
    # It logs every request and answer; what matters of them is in our own errors.
    logging.getLogger("azure").setLevel(logging.CRITICAL)
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more. What is still buffered must not fail again at exit.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Status.PIPE_CLOSED) from None
    except KeyboardInterrupt:
        raise typer.Exit(Status.INTERRUPTED) from None
    except NsgflowError as exc:
        with suppress(BrokenPipeError):
            sys.stdout.flush()
        note(sentence(exc))
        cause = exc.__cause__
        if verbose and cause is not None:
            note(f"caused by {type(cause).__name__}: {cause}")
        status = Status.USAGE if isinstance(exc, BadInputError) else Status.FAILED
        raise typer.Exit(status) from None


def finish(tally: Tally) -> None:
    """End a reading command: tell what could not be read.

    Raises:
        typer.Exit: something could not.
    """
    sys.stdout.flush()
    logging.getLogger("nsgflow").info(
        "read %d logs, %d bytes, %d records", tally.logs, tally.bytes_read, tally.records
    )
    for failure in tally.failures:
        note(f"skipped: {failure}")
    if not tally.logs:
        note("there are no flow logs of that time")
    if tally.failures:
        raise typer.Exit(Status.INCOMPLETE)


@contextmanager
def progress() -> Iterator[Callable[[Tally], None]]:
    """A bar on stderr for a read that takes long; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only terminals pay for it
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("reading {task.fields[logs]} logs"),
        BarColumn(),
        DownloadColumn(),
        console=Console(stderr=True),
        transient=True,
        # Lines that go to the same terminal are put above the bar.
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=True,
    )
    task = bar.add_task("", total=None, logs=0)
    begun = time.monotonic()

    def show(tally: Tally) -> None:
        bar.update(task, completed=tally.bytes_read, total=tally.bytes_known, logs=tally.logs)
        if time.monotonic() - begun > _SLOW:
            bar.start()

    try:
        yield show
    finally:
        bar.stop()
