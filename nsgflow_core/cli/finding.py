"""A line of `nsgflow check`."""

from collections.abc import Callable
from dataclasses import dataclass

from nsgflow_core.cli.mends import NO_TOKEN, mend_of
from nsgflow_core.errors import NsgflowError, TransientError


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, and the mend, "" when all is well.

    `wrong` says that something is there and is not right, else it is missing.
    """

    what: str
    mend: str = ""
    wrong: bool = False


def tried(what: str, attempt: Callable[[], object], mend: str) -> Finding:
    """Try something: well done, or what went wrong and the mend."""
    try:
        attempt()
    except (NsgflowError, OSError, ValueError) as exc:
        if isinstance(exc, TransientError):
            mend = "it is busy or out of reach: see that its name is right and this network has it"
        elif NO_TOKEN in str(exc):
            mend = mend_of(str(exc))
        reason = (str(exc).strip() or type(exc).__name__).partition("\n")[0].rstrip(" .")
        return Finding(what, f"{reason}; {mend}")
    return Finding(what)
