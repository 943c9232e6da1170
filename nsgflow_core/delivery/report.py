"""What one run over one blob did."""

from dataclasses import dataclass, field

from nsgflow_core.errors import NsgflowError, RefusedError, TransientError
from nsgflow_core.model import BlobRef


@dataclass(slots=True)
class Report:
    """What one run did, for the summary line; sizes in bytes, times in seconds.

    `flows` counts the flows that were read, allowed ones only where a sink wants some. By sink
    there are those that were `wanted`, were `accepted`, were `refused` or are `too_old` to alert,
    and the `retries` of its requests. `errors` has what failed, by sink; `lagging` the sinks left
    behind, and since when at worst; `unreadable` says why the blob is no log, or where it is cut
    off; `busy` says that another worker has the blob, `more` that a run at once would get further;
    `marked` that its checkpoint stays pending, be it for a sink that another process has.
    `young_nsgs` counts flows that passed a filter by NSG only since the inventory may not know
    theirs yet.
    """

    ref: BlobRef
    bytes_read: int = 0
    records: int = 0
    flows: int = 0
    wanted: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    too_old: dict[str, int] = field(default_factory=dict)
    retries: dict[str, int] = field(default_factory=dict)
    bad: int = 0
    unreadable: str = ""
    young_nsgs: int = 0
    rewritten: int = 0
    errors: dict[str, NsgflowError] = field(default_factory=dict)
    lagging: tuple[str, ...] = ()
    behind_since: float = 0.0
    busy: bool = False
    out_of_time: bool = False
    more: bool = False
    marked: bool = False
    seconds: float = 0.0

    @property
    def dead_letters(self) -> int:
        """Pieces and rows or alerts that were put aside."""
        return self.bad + sum(self.refused.values())

    @property
    def unfinished(self) -> bool:
        """Whether something is left that another run must look at."""
        return bool(self.lagging or self.busy or self.out_of_time)

    def error(self) -> NsgflowError | None:
        """One error that stands for all, None when nothing failed."""
        if not self.errors:
            return None
        message = "; ".join(f"{name}: {error}" for name, error in sorted(self.errors.items()))
        message = f"{message} ({self.ref})"
        if all(isinstance(error, TransientError) for error in self.errors.values()):
            return TransientError(message)
        return RefusedError(message)
