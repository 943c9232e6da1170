"""How a command begins and ends: its errors in one sentence, its exit status."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum

import typer

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
