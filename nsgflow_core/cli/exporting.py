"""The file that an export or a report writes: whole, or not there."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nsgflow_core.cli.nothing_found import counted
from nsgflow_core.cli.session import note
from nsgflow_core.columns import columns
from nsgflow_core.errors import BadInputError

PARQUET, HTML = ".parquet", ".html"
_SHOWN = 5
"""Names of several NSGs that are told."""
_OTHERS = {PARQUET: ": 'nsgflow flows -o csv' and -o json write other forms"}


def left_out(omit: str) -> list[str]:
    """The columns that are named.

    Raises:
        BadInputError: there is no such column, or none would be left.
    """
    folded = {name.casefold(): name for name in columns()}
    names = [name.strip() for name in omit.split(",") if name.strip()]
    if unknown := [name for name in names if name.casefold() not in folded]:
        raise BadInputError(f"--omit {unknown[0]!r} is none of {', '.join(columns())}")
    found = list(dict.fromkeys(folded[name.casefold()] for name in names))
    if len(found) == len(columns()):
        raise BadInputError("--omit leaves no column")
    return found


def tell_shared_names(shared: Sequence[tuple[str, int]]) -> None:
    """Say which names several NSGs have, and the column that tells these apart."""
    if not shared:
        return
    said = [f"{name!r} is the name of {number} NSGs" for name, number in shared[:_SHOWN]]
    more = f" and {len(shared) - _SHOWN} more such names" if len(shared) > _SHOWN else ""
    note(f"{', '.join(said)}{more}: by AclName they are one, AclGroup has the id of each")


@contextmanager
def part_of(to: str, ending: str) -> Iterator[Path]:
    """A file beside the one that is to be; what is left of it is removed at the end.

    Raises:
        BadInputError: it is not to be written there.
    """
    path = Path(to).expanduser()
    if path.suffix.lower() != ending:
        raise BadInputError(f"--output {to!r} does not end in {ending}{_OTHERS.get(ending, '')}")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.touch()
    except OSError as exc:
        raise BadInputError(f"cannot write {to}: {exc.strerror}") from exc
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def put(part: Path, to: str, flows: int) -> None:
    """Put what is written in its place."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    size = part.stat().st_size
    part.replace(Path(to).expanduser())
    note(f"wrote {counted(flows, 'flow')} to {to}, {size} bytes")
