"""What digests ask of the storage: that groups begin, go on and end costs no request more."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from devtools.flowlogs import Nic
from nsgflow_core.digests.digest import Digests
from nsgflow_core.digests.message import QUIET
from nsgflow_core.digests.reach import Swept
from tests.functional.digest_world import HOUR, INTERVAL, App, nics

MOST = {5: 520, 20: 530, 40: 530}
"""Requests of an hour by the minute at which it begins, as they were when digests told what is new
and nothing else: of 120 runs each read the state, the marks and two or three hours, and eight
wrote the state, of them two for the message."""


def line(nic: Nic, at: datetime, decision: str) -> bytes:
    """A record with one flow to the same port of each interface."""
    flow = f"{at.timestamp() - 10:.0f},10.9.0.4,{nic.ip},50000,1433,T,I,{decision},B,,,,"
    return (
        f'{{"time":"{at:%Y-%m-%dT%H:%M:%S}.0000000Z","category":"NetworkSecurityGroupFlowEvent",'
        f'"resourceId":"/SUBSCRIPTIONS/0/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.NETWORK'
        f'/NETWORKSECURITYGROUPS/{nic.nsg}","properties":{{"Version":2,"flows":[{{"rule":'
        f'"UserRule_DenySql","flows":[{{"mac":"{nic.mac}","flowTuples":["{flow}"]}}]}}]}}}}'
    ).encode()


def asked(app: App) -> Counter[str]:
    """The requests of the digests so far."""
    of_table = {name: app.table.requests[name] for name in ("query", "all rows", "marks")}
    return Counter(of_table) + Counter(reads=app.store.reads, writes=app.store.writes)


def let_run(app: App, digests: Digests, seconds: float) -> None:
    """Let the timer fire, in one process, and a sweep run every five minutes."""
    until = app.clock() + seconds
    while app.clock() < until:
        if not app.clock() % 300:
            app.table.swept = Swept(app.clock())
        app.clock.seconds += INTERVAL
        digests.run()


def log(app: App, interfaces: list[Nic], decision: str) -> None:
    """A record of each interface, and its event."""
    now = datetime.fromtimestamp(app.clock(), UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    for nic in interfaces:
        app.event(app.write(nic, line(nic, now, decision), hour=hour))


@pytest.mark.parametrize("minute", [5, 20, 40])
def test_a_thousand_interfaces_that_fail_at_once(minute: int) -> None:
    """One message, at once; one when it is over; and no request more than for the first alone.

    The message costs what any run costs, and two writes.
    """
    app, interfaces = App(), nics(1000, nsgs=1)
    app.clock.seconds = (HOUR + timedelta(minutes=minute)).timestamp()
    digests = app.digests()
    let_run(app, digests, 1800)
    app.clock.seconds = (HOUR + timedelta(minutes=minute + 30)).timestamp()
    before = asked(app)
    log(app, interfaces, "D")
    let_run(app, digests, INTERVAL)

    ((_, first),) = app.receiver.accepted
    assert [(tally.flows, tally.interfaces) for tally in first.groups] == [(1000, 1000)]
    hours = 3 if (minute + 30) % 60 < 15 else 2
    assert asked(app) - before == Counter(reads=1, marks=1, query=hours, writes=2)
    for number in range(6):
        let_run(app, digests, 600 if number else 600 - INTERVAL)
        log(app, interfaces, "A")

    assert len(app.receiver.accepted) == 2
    (end,) = app.receiver.accepted[1][1].ended
    assert (end.because, end.flows, end.interfaces) == (QUIET, 1000, 1000)
    counted = asked(app) - before
    assert counted["all rows"] > 0
    assert counted["reads"] == counted["marks"] == 120
    assert counted.total() < MOST[minute]
