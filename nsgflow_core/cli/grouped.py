"""What `nsgflow denied` is asked for: which flows, grouped by what, in which order."""

from dataclasses import dataclass

from nsgflow_core.cli import bars as small_bars
from nsgflow_core.cli import denials
from nsgflow_core.cli.bars import Bars
from nsgflow_core.cli.denials import Groups
from nsgflow_core.cli.gathering import Gathering, span_of
from nsgflow_core.cli.groupings import check_known, parse_by
from nsgflow_core.cli.options import SORTS, Grouped, Wanted, one_of
from nsgflow_core.cli.query import Defaults, action_of
from nsgflow_core.cli.session import note
from nsgflow_core.cli.times import Span, duration
from nsgflow_core.estate.knowledge import Knowledge


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, its words understood; `every` is the length of a bar in seconds, or 0."""

    keys: list[str]
    sort: str
    action: str
    every: int
    wanted: Wanted

    @property
    def denied(self) -> bool:
        """Whether denied flows alone are asked for."""
        return self.action == "denied"

    @property
    def defaults(self) -> Defaults:
        """Which flows are read."""
        return Defaults(allowed=not self.denied, always_denied=self.denied, ordered=False)

    def check(self, knowledge: Knowledge) -> None:
        """See that what flows are grouped by can be known.

        Raises:
            BadInputError: it cannot.
        """
        check_known(self.keys, knowledge)

    def gathering(self, knowledge: Knowledge, *, scoped: bool) -> Gathering:
        """What puts flows into the groups asked for; see there."""
        measured = not self.denied or self.sort in ("packets", "bytes")
        return Gathering(
            self.keys, knowledge, measured=measured, timed=bool(self.every), scoped=scoped
        )

    def bars(self, groups: Groups, span: Span | None, *, table: bool) -> Bars | None:
        """The bars asked for: over the span, or from the first flow to the last.

        Raises:
            BadInputError: they are too many.
        """
        if not (self.every and groups):
            return None
        first, last = span_of(groups)
        if span is not None:
            since, until = span.milliseconds()
            first, last = since, until - 1
        made = small_bars.bars(self.every, first, last)
        fits = small_bars.fitting(made) if table else made
        if fits != made:
            note(f"bars of {made.length} do not fit: they are of {fits.length}; -o json has all")
        return fits


def parse(grouped: Grouped, wanted: Wanted) -> Asked:
    """What the options of a command ask for.

    Raises:
        BadInputError: one of them is wrong.
    """
    action = action_of(wanted) or "denied"
    default = f"{denials.DEFAULT_BY},action" if action == "both" else denials.DEFAULT_BY
    keys = parse_by(grouped.by or default)
    sort = one_of("--sort", grouped.sort, [*SORTS, *keys])
    every = small_bars.every(duration(grouped.every)) if grouped.every else 0
    return Asked(keys, sort, action, every, wanted)
