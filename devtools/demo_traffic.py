"""The flows of the demo, minute by minute: what the rules of its network make of who talks."""

import dataclasses
import datetime as dt
import random
from collections.abc import Iterator
from typing import Literal

from devtools.demo_estate import (
    ALLOWED,
    DENIED,
    INTERNET,
    JUMP,
    NODE,
    PROXY,
    ROLLOUT,
    SQL,
    WEB,
    Talk,
)
from devtools.flowlogs import CLOSER, HEAD, Group, Record, nsg_record, tuple_text, vnet_record
from devtools.nic import NSG_CONTAINER, VNET_CONTAINER, Nic, nsg_path, vnet_path

SEED = 20260801
MINUTES = 120
ROLLOUT_MINUTE = 80
"""When something new begins to fail."""


@dataclasses.dataclass(frozen=True)
class Log:
    """One NIC's log of one hour: the version of its records, and where it lies."""

    nic: Nic
    version: Literal[2, 4]
    container: str
    path: str


def logs_of(hour: dt.datetime) -> list[Log]:
    """The five logs of an hour."""
    short = vnet_path(PROXY, hour, "short")
    return [
        *(Log(nic, 2, NSG_CONTAINER, nsg_path(nic, hour)) for nic in (WEB, SQL, JUMP)),
        Log(NODE, 4, VNET_CONTAINER, vnet_path(NODE, hour, "id")),
        Log(PROXY, 4, VNET_CONTAINER, short),
    ]


def minutes_of(start: dt.datetime) -> Iterator[tuple[Log, Record]]:
    """All of it in the order in which it is written, from a minute on; always the same."""
    rng = random.Random(SEED)
    for number in range(MINUTES):
        minute = start + dt.timedelta(minutes=number)
        for log in logs_of(minute):
            yield log, _record_of(log, minute, number, rng)


def whole_logs(start: dt.datetime) -> dict[str, bytes]:
    """The same as whole PT1H.json files, by container/path."""
    found: dict[str, list[bytes]] = {}
    for log, record in minutes_of(start):
        found.setdefault(f"{log.container}/{log.path}", []).append(record.data)
    return {path: HEAD + b",".join(records) + CLOSER for path, records in found.items()}


def _record_of(log: Log, minute: dt.datetime, number: int, rng: random.Random) -> Record:
    """The record of one minute of a network interface."""
    nic = log.nic
    time = minute + dt.timedelta(seconds=59, milliseconds=rng.randrange(1000))
    tuples = rng.randrange(5, 40)
    denied = round(tuples * rng.choice((0.0, 0.05, 0.1, 0.3)))
    talks = [rng.choice(DENIED[nic]) for _ in range(denied)]
    talks += [rng.choice(ALLOWED[nic]) for _ in range(tuples - denied)]
    if nic in ROLLOUT and number >= ROLLOUT_MINUTE:
        talks += [ROLLOUT[nic]] * rng.randrange(6, 12)
    texts: dict[str, list[str]] = {}
    for talk in talks:
        text = _tuple(nic, talk, log.version, time, rng)
        texts.setdefault(talk.rule, []).append(text)
    groups = [Group(rule, tuple(group)) for rule, group in texts.items()]
    if log.version == 4:
        return vnet_record(nic, time, groups, index=number)
    return nsg_record(nic, time, groups, version=log.version, index=number)


def _tuple(nic: Nic, talk: Talk, version: int, time: dt.datetime, rng: random.Random) -> str:
    far = talk.far or f"{rng.choice(INTERNET)}{rng.randrange(1, 255)}"
    source, target = (far, nic.ip) if talk.direction == "I" else (nic.ip, far)
    port = rng.choice(talk.ports)
    protocol = "U" if port in {53, 123} else "T"
    ends = f"{source},{target},{rng.randrange(1024, 65536)},{port}"
    milliseconds = int(time.timestamp() * 1000) - rng.randrange(60_000)
    return tuple_text(version, milliseconds, ends, protocol, talk.direction, talk.denied, rng)
