"""`nsgflow flows`: the flows of the newest logs, or of a span of time."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.formats import OUTPUTS, write_flows
from nsgflow_core.cli.query import Choice, Logs, flow_filter
from nsgflow_core.cli.read import Found, Log, Reader
from nsgflow_core.cli.session import finish, progress
from nsgflow_core.cli.text import Totals
from nsgflow_core.cli.times import Span, span
from nsgflow_core.errors import BadInputError
from nsgflow_core.logs.blocks import FlowLogs


@dataclass(frozen=True, slots=True)
class When:
    """The logs of which time: the newest `hours` of each NSG, or those of a span."""

    hours: int | None = None
    since: str | None = None
    until: str | None = None


def when_span(when: When, now: datetime) -> Span | None:
    """The span of time, None for the newest logs.

    Raises:
        BadInputError: the span is empty or no time, or the hours are none.
    """
    hours = 1 if when.hours is None else when.hours
    if hours < 1:
        raise BadInputError(f"--display-hours {hours}: it takes at least one hour")
    if not when.since and not when.until:
        return None
    if when.since and when.hours is not None:
        raise BadInputError("give either --display-hours or --since")
    return span(when.since, when.until, hours, now)


@contextmanager
def reading(
    accounts: Sequence[Account], choice: Choice, when: When
) -> Iterator[tuple[Reader, Iterator[Found]]]:
    """Read the flows that are asked for; at the end tell what could not be read.

    The newest logs come with the newest hour first, as in get_nsg_logs; a span in order of time.
    """
    now = datetime.now(UTC)
    asked = when_span(when, now)
    wanted = flow_filter(choice, asked)
    logs = Logs(accounts, choice.nsg)
    hours: Iterable[list[Log]] = (
        logs.newest(when.hours or 1, now) if asked is None else logs.of_hours(asked.hours())
    )
    source = FlowLogs({account.name: account.service for account in accounts})
    with progress() as show, Reader(source, wanted, show) as reader:
        yield reader, reader.flows(hours)
    finish(reader.tally)


def show_flows(
    accounts: Sequence[Account], choice: Choice, when: When, output: str, *, aggregate: bool
) -> None:
    """Write the flows, and the sums of their counters if asked.

    Raises:
        NsgflowError: nothing could be read at all.
    """
    if output not in OUTPUTS:
        raise BadInputError(f"--output {output!r} is not one of {', '.join(OUTPUTS)}")
    totals = Totals()

    def counted(found: Iterable[Found]) -> Iterator[Found]:
        for item in found:
            totals.add(item.flow)
            yield item

    with reading(accounts, choice, when) as (_, found):
        write_flows(counted(found) if aggregate else found, output)
        if aggregate:
            # What reads JSON or CSV would trip over other lines.
            target = sys.stdout if output in ("text", "table") else sys.stderr
            target.writelines(line + "\n" for line in totals.lines())
