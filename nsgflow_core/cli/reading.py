"""The flows that a command asks for, of the newest logs or of a span of time."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from nsgflow_core.cli.accounts import Account
from nsgflow_core.cli.listing import Logs
from nsgflow_core.cli.options import Wanted, When
from nsgflow_core.cli.progress import finish, progress
from nsgflow_core.cli.query import Defaults, flow_filter
from nsgflow_core.cli.read import Found, Log, Reader
from nsgflow_core.cli.times import Span, span
from nsgflow_core.errors import BadInputError
from nsgflow_core.logs.blocks import FlowLogs


def when_span(when: When, now: datetime) -> Span | None:
    """The span of time, None for the newest logs.

    Raises:
        BadInputError: the span is empty or no time, or the hours are none.
    """
    hours = 1 if when.display_hours is None else when.display_hours
    if hours < 1:
        raise BadInputError(f"--display-hours {hours}: it takes at least one hour")
    if not when.since and not when.until:
        return None
    if when.since and when.display_hours is not None:
        raise BadInputError("give either --display-hours or --since")
    return span(when.since, when.until, hours, now)


@contextmanager
def reading(
    accounts: Sequence[Account], wanted: Wanted, when: When, defaults: Defaults
) -> Iterator[tuple[Reader, Iterator[Found]]]:
    """Read the flows that are asked for; at the end tell what could not be read.

    The newest logs come with the newest hour first, as in get_nsg_logs; a span in order of time.
    """
    now = datetime.now(UTC)
    asked = when_span(when, now)
    accepted = flow_filter(wanted, defaults, asked)
    logs = Logs(accounts, wanted.nsg_name or ())
    hours: Iterable[list[Log]] = (
        logs.newest(when.display_hours or 1, now) if asked is None else logs.of_hours(asked.hours())
    )
    source = FlowLogs({account.name: account.service for account in accounts})
    with progress() as show, Reader(source, accepted, show) as reader:
        yield reader, reader.flows(hours)
    finish(reader.tally)
