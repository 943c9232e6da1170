"""What the demo shows: a live table in a terminal, plain lines elsewhere."""

import dataclasses
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from devtools.demo_logs import Written
from devtools.ingestion import Ingestion
from devtools.meter import Meter
from devtools.webhook import Webhook

# Between two refreshes of the table, and between two plain lines, in seconds.
LIVE_SECONDS = 0.25
PLAIN_SECONDS = 2.0
ROWS_SHOWN = 16

Place = tuple[str, str, str, str]
"""NSG, rule, protocol and port, and from whom to whom."""


@dataclasses.dataclass
class View:
    """Shows a run while it lasts; call `tick` often.

    Attributes:
        phase: what is going on, in a word or two.
        found: denied flows by place, as far as rows were accepted.
    """

    console: Console
    written: Written
    meter: Meter
    logs: Ingestion
    hook: Webhook
    phase: str = "starting"
    found: Counter[Place] = dataclasses.field(default_factory=Counter)
    _seen: int = 0
    _shown: float = 0.0
    _live: Live | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def tick(self, *, force: bool = False) -> None:
        """Show the present state, unless it was shown a moment ago."""
        now = time.monotonic()
        wait = PLAIN_SECONDS if self._live is None else LIVE_SECONDS
        if not force and now - self._shown < wait:
            return
        self._shown = now
        new = self._take_rows()
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)
            return
        self.console.print(self._line(), highlight=False, soft_wrap=True)
        for place in new:
            text = f"  denied: {' '.join(place)}"
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _take_rows(self) -> list[Place]:
        """Count the rows accepted since the last time; returns places not seen before."""
        rows = self.logs.rows[self._seen :]
        self._seen += len(rows)
        new = []
        for row in rows:
            place = place_of(row)
            if place not in self.found:
                new.append(place)
            self.found[place] += 1
        return new

    def _line(self) -> str:
        return (
            f"{self.phase}: {self.written.updates}/{self.written.planned} updates, "
            f"{size(self.meter.downloaded.total())} read of {size(self.written.bytes)}, "
            f"{self.logs.accepted} rows accepted, {len(self.hook.alerts)} alerts received"
        )

    def _picture(self) -> Group:
        table = Table(title="denied flows as found", title_justify="left", box=None)
        for heading in ("NSG", "rule", "port", "who to whom"):
            table.add_column(heading)
        table.add_column("flows", justify="right")
        for place, count in self.found.most_common(ROWS_SHOWN):
            table.add_row(*place, str(count))
        hidden = len(self.found) - ROWS_SHOWN
        if hidden > 0:
            table.caption = f"and {hidden} more"
        return Group(Text(self._line(), style="bold"), table)


def place_of(row: Mapping[str, Any]) -> Place:
    """Where a denied flow was dropped, as a reader would say it."""
    name = row["AclName"] or row["AclGroup"]
    return name, row["AclRule"], f"{row['L4Protocol']} {row['DestPort']}", _ends_of(row)


def _ends_of(row: Mapping[str, Any]) -> str:
    """From whom to whom by the inventory's names; without one the direction alone."""
    source, target = (
        row[vm].rpartition("/")[2] or row[subnet].rpartition("/")[2]
        for vm, subnet in (("SrcVm", "SrcSubnet"), ("DestVm", "DestSubnet"))
    )
    if not source and not target:
        return str(row["FlowDirection"])
    far = "internet" if row["FlowType"] == "ExternalPublic" else str(row["FlowType"])
    return f"{source or far} → {target or far}"


def size(count: int) -> str:
    """A number of bytes for reading, in KiB or MiB."""
    return f"{count / 2**20:.2f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"
