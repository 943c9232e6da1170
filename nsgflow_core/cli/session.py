"""How a command begins and ends: its errors in one sentence, its exit status."""

import errno
import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum

import typer

from nsgflow_core.cli import clock, colour, mends
from nsgflow_core.cli.options import one_of
from nsgflow_core.cli.secrets import redacted
from nsgflow_core.cli.streams import take_anything
from nsgflow_core.errors import BadInputError, NsgflowError

_UNREACHABLE = re.compile(
    r"\w+\(host='(?P<host>[^']+)', port=(?P<port>\d+)\)"
    r".*?(?:\[Errno -?\d+\] (?P<why>[^'\"()<>]+)|timed out).*"
)
"""What urllib3 says of a host that it cannot connect to: its own classes, the whole URL."""
_UNWRITABLE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF))
"""What writing to a full disk, a file that is too large or a lost terminal ends with."""


_WIDTH = 80
"""Columns of a terminal that does not tell."""


class Status(IntEnum):
    """Exit statuses."""

    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    CHANGED = 4
    INTERRUPTED = 130
    PIPE_CLOSED = 141


def note(message: str) -> None:
    """Say something to the person and not to the pipe."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"{_in_lines(f'nsgflow: {redacted(message)}')}\n")


def _in_lines(message: str) -> str:
    """A sentence as it fits stderr, where that is a terminal: no word of it is broken."""
    if not sys.stderr.isatty():
        return message
    import textwrap  # noqa: PLC0415 - only terminals pay for it

    width = _WIDTH
    with suppress(OSError, ValueError):  # a terminal that does not tell
        width = os.get_terminal_size(sys.stderr.fileno()).columns or _WIDTH
    return textwrap.fill(message, width, break_long_words=False, break_on_hyphens=False)


def sentence(error: NsgflowError) -> str:
    """An error and its mend in one sentence."""
    text = str(error)
    message = _UNREACHABLE.sub(_reached, text.strip().partition("\n")[0].rstrip(" .:"))
    mend = mends.mend_of(text)
    return f"{message}: {mend}" if mend else message


def _reached(found: re.Match[str]) -> str:
    why = (found["why"] or "no answer in time").strip()
    return f"{found['host']}:{found['port']} cannot be reached ({why})"


class _Lines(logging.Formatter):
    """Lines of --verbose and of `run`, with times like those of notes."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's
        """When it was."""
        return clock.note_clock()(round(record.created * 1000))


@contextmanager
def session(
    *, verbose: bool, color: str = colour.AUTO, utc: bool = False, of_app: bool = False
) -> Iterator[None]:
    """Run a command: whatever ends it becomes an exit status and at most a sentence.

    `of_app` says that it takes the deployed function's settings.

    Raises:
        typer.Exit: with the status.
    """
    if sys.stdout is None:
        note("stdout is closed: there is nowhere to write to")
        raise typer.Exit(Status.FAILED)
    take_anything()  # no row is lost to a letter
    lines = logging.StreamHandler(sys.stderr or io.StringIO())
    lines.setFormatter(_Lines("%(asctime)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[lines], level=logging.INFO if verbose else logging.CRITICAL)
    # They log every request, answer and connection; what matters of it is in our own errors.
    for name in ("azure", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with clock.asked(utc=utc), mends.asked(of_app=of_app):
        try:
            shade = one_of("--color", color, (colour.AUTO, colour.ALWAYS, colour.NEVER))
            with colour.asked(shade):
                yield
            sys.stdout.flush()
        except KeyboardInterrupt:
            raise typer.Exit(Status.INTERRUPTED) from None
        except OSError as exc:
            raise typer.Exit(unwritable(exc)) from None
        except NsgflowError as exc:
            try:
                sys.stdout.flush()
            except OSError as broken:
                raise typer.Exit(unwritable(broken)) from None
            note(sentence(exc))
            cause = exc.__cause__
            if verbose and cause is not None:
                note(f"caused by {type(cause).__name__}: {cause}")
            status = Status.USAGE if isinstance(exc, BadInputError) else Status.FAILED
            raise typer.Exit(status) from None


def _is_pipe_of_windows(error: OSError) -> bool:
    """Whether nobody reads stdout any more, as Windows says it: with the error of a wrong argument.

    https://bugs.python.org/issue35754
    """
    if sys.platform != "win32" or error.errno != errno.EINVAL:
        return False
    try:
        sys.stdout.flush()
    except OSError as again:
        return again.errno == errno.EINVAL
    return False


def unwritable(error: OSError) -> Status:
    """The status of a command whose output cannot be written, and a word unless it was a pipe.

    Raises:
        OSError: this error is of something else.
    """
    broken = isinstance(error, BrokenPipeError) or _is_pipe_of_windows(error)
    if not broken and error.errno not in _UNWRITABLE:
        raise error
    # What is still buffered must not fail again at exit.
    with suppress(OSError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if broken:  # nobody reads any more
        return Status.PIPE_CLOSED
    note(f"the output cannot be written: {error.strerror}")
    return Status.FAILED
