"""Flow logs over many hours, found by what exists: the same as asking for each hour."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobPrefix
from hypothesis import given, settings
from hypothesis import strategies as st

from nsgflow_core.logs.listing import ListedBlob, hour_blobs, newest_hours
from nsgflow_core.logs.walk import FEW_HOURS, Walk

RESOURCE = "flowLogResourceID=/S_G/NETWORKWATCHER_W_F/"
START = datetime(2025, 12, 31, 20, tzinfo=UTC)
MACS = ("000D3A0000A1", "000D3A0000A2", "000D3A0000A3")


@dataclass
class Pages:
    """A listing by pages, as the SDK hands it out: where it goes on is known behind a page."""

    pages: list[list[Any]]
    continuation_token: str | None = None

    def __iter__(self) -> "Pages":
        return self

    def __next__(self) -> list[Any]:
        if not self.pages:
            raise StopIteration
        page = self.pages.pop(0)
        self.continuation_token = "more" if self.pages else None
        return page


@dataclass
class Listing:
    """Blobs, one by one or by pages."""

    blobs: list[Any]
    page: int
    short: bool

    def __iter__(self) -> Any:
        return iter(self.blobs)

    def by_page(self) -> Pages:
        """In pages; with `short` the first is empty, as Azure's may be."""
        pages = [self.blobs[at : at + self.page] for at in range(0, len(self.blobs), self.page)]
        return Pages([[], *pages] if self.short else pages)


@dataclass
class Container:
    """The names in a container, and what was asked of it."""

    paths: set[str] = field(default_factory=set)
    page: int = 5000
    short: bool = False
    missing: bool = False
    asked: list[str] = field(default_factory=list)
    container_name: str = "logs"

    def walk_blobs(self, prefix: str, delimiter: str) -> list[Any]:
        """One level of names."""
        self._ask(prefix)
        found: dict[str, Any] = {}
        for path in sorted(self.paths):
            if path.startswith(prefix):
                name, slash, _ = path[len(prefix) :].partition(delimiter)
                if slash:
                    found[name] = BlobPrefix(prefix=f"{prefix}{name}{delimiter}")
                else:
                    found[name] = SimpleNamespace(name=path)
        return list(found.values())

    def list_blobs(self, name_starts_with: str) -> Listing:
        """What lies below a prefix."""
        self._ask(name_starts_with)
        found = [
            SimpleNamespace(name=path, size=len(path), etag=f'"{hash(path)}"')
            for path in sorted(self.paths)
            if path.startswith(name_starts_with)
        ]
        return Listing(found, self.page, self.short)

    def _ask(self, prefix: str) -> None:
        self.asked.append(prefix)
        if self.missing:
            raise ResourceNotFoundError("no such container")


def path(hour: datetime, mac: str = MACS[0]) -> str:
    """A log of an hour."""
    at = f"y={hour.year}/m={hour:%m}/d={hour:%d}/h={hour:%H}/m=00"
    return f"{RESOURCE}{at}/macAddress={mac}/PT1H.json"


def walked(container: Container, hours: Iterable[datetime]) -> dict[datetime, list[ListedBlob]]:
    """What a walk finds of each hour, asked for from the newest on."""
    wanted = sorted(hours, reverse=True)
    walk = Walk(container, RESOURCE, wanted)  # type: ignore[arg-type]  # has what is used of it
    return {hour: sorted(walk.hour(hour), key=lambda blob: blob.path) for hour in wanted}


def one_by_one(container: Container, hours: Iterable[datetime]) -> dict[datetime, list[ListedBlob]]:
    """The same by a request for each hour."""
    return {hour: hour_blobs(container, RESOURCE, hour) for hour in hours}  # type: ignore[arg-type]


OFFSETS = st.sets(st.integers(0, 80), max_size=40)


@given(logs=OFFSETS, wanted=OFFSETS, page=st.sampled_from([1, 4, 30, 5000]), short=st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_walk_finds_what_each_hour_has(
    logs: set[int], wanted: set[int], page: int, *, short: bool
) -> None:
    """Over the ends of days, months and years, whether a page holds a day or not."""
    container = Container(page=page, short=short)
    for at in logs:
        for mac in MACS[: at % 3 + 1]:
            container.paths.add(path(START + timedelta(hours=at), mac))
    container.paths |= {f"{RESOURCE}y=2026/m=01/d=01/h=03/other.txt", f"{RESOURCE}y=2026/note"}
    hours = {START + timedelta(hours=at) for at in wanted}
    assert walked(container, hours) == one_by_one(container, hours)


def test_requests_follow_what_exists() -> None:
    """Years, months and days without logs cost nothing, and those outside of what is wanted."""
    hours = [START + timedelta(hours=at) for at in range(24 * 40)]
    there = [hours[0], hours[-1]]
    others = (-800, -40, -1, 41, 90, 800)
    container = Container({path(hour) for hour in there})
    container.paths |= {path(START + timedelta(days=days)) for days in others}
    walked(container, hours)
    day = [f"{RESOURCE}y={hour.year}/m={hour:%m}/d={hour:%d}/" for hour in reversed(there)]
    assert [name for name in container.asked if "/d=" in name] == day
    assert [name for name in container.asked if name.count("=") == 3] == [
        f"{RESOURCE}y=2025/m=12/",
        f"{RESOURCE}y=2026/m=02/",
    ]
    assert container.asked.count(RESOURCE) == 1


def test_few_hours_are_asked_for_as_they_are() -> None:
    """The way down to a day takes as many requests."""
    hours = [START + timedelta(hours=at) for at in range(FEW_HOURS)]
    container = Container({path(hour) for hour in hours})
    walked(container, [*hours, hours[0]])
    assert len(container.asked) == FEW_HOURS + 1
    container.asked.clear()
    walked(container, [*hours, START + timedelta(hours=FEW_HOURS)])
    assert RESOURCE in container.asked


@pytest.mark.parametrize("page", [2, 5000])
def test_what_is_known_takes_no_request(page: int) -> None:
    """Of the day that was looked at last, unless no page holds it."""
    hours = [START + timedelta(days=1, hours=at - 20) for at in range(24)]
    hours.append(hours[-1] + timedelta(hours=1))
    container = Container({path(hour) for hour in hours}, page)
    walk = Walk(container, RESOURCE, hours)  # type: ignore[arg-type]  # has what is used of it
    assert not walk.known(hours[0])
    walk.hour(hours[0])
    for hour in hours[1:]:
        known, before = walk.known(hour), len(container.asked)
        assert known == (page == 5000 and hour.day == 1)
        assert len(walk.hour(hour)) == 1
        assert not known or len(container.asked) == before


def test_a_single_hour_of_a_day_is_not_its_whole_day() -> None:
    """A day of 10,000 interfaces is a quarter of a million names."""
    hours = [START + timedelta(days=days) for days in range(FEW_HOURS + 1)]
    container = Container({path(hour + timedelta(hours=more)) for hour in hours for more in (0, 1)})
    assert all(len(found) == 1 for found in walked(container, hours).values())
    lowest = [name for name in container.asked if "/d=" in name]
    assert len(lowest) == 2 * len(hours)
    assert sum("/h=20/" in name for name in lowest) == len(hours)


def test_levels_in_any_letters_and_two_of_a_kind() -> None:
    """Copies keep their own; names that are no numbers are passed over."""
    hours = [START + timedelta(hours=at) for at in range(6)]
    upper = path(hours[0], MACS[1]).replace("y=", "Y=").replace("/d=", "/D=").replace("h=", "H=")
    odd = [f"{RESOURCE}y=2025/m=13/d=01/x", f"{RESOURCE}y=2025/m=12/d=32/x", f"{RESOURCE}y=x/m=1/x"]
    for page in (1, 5000):
        container = Container({path(hours[0]), upper, *odd}, page)
        found = walked(container, hours)
        assert {blob.path for blob in found[hours[0]]} == {path(hours[0]), upper}
        assert not any(found[hour] for hour in hours[1:])


def test_a_day_in_two_places_is_found_in_both() -> None:
    """Where a page holds one of them and not the other."""
    hours = [START + timedelta(hours=at) for at in range(1, 4)] + [START + timedelta(days=1)] * 2
    hours.append(START + timedelta(days=2))
    upper = path(hours[0], MACS[1]).replace("/d=", "/D=")
    for small in (upper, path(hours[0])):
        container = Container({upper, path(hours[0])}, page=2)
        for mac in (MACS[2], "000D3A0000A4"):
            large = path(hours[0], mac)
            container.paths.add(large if small is upper else large.replace("/d=", "/D="))
        found = walked(container, [*hours, *(hour + timedelta(hours=9) for hour in hours)])
        assert {blob.path for blob in found[hours[0]]} == container.paths


def test_a_container_that_is_not_there_has_no_logs() -> None:
    """However it is asked."""
    container = Container(missing=True)
    hours = [START + timedelta(hours=at) for at in range(9)]
    assert not any(walked(container, hours).values())
    assert not any(one_by_one(container, hours).values())
    assert list(newest_hours(container, RESOURCE)) == []  # type: ignore[arg-type]


def test_a_listed_blob_has_the_etag_of_a_header() -> None:
    """In quotes, whether the listing had it in quotes or not."""
    container = Container({path(START)})
    ((blob,),) = one_by_one(container, [START]).values()
    assert (blob.path, blob.size) == (path(START), len(path(START)))
    assert (blob.etag[0], blob.etag[-1], blob.etag.count('"')) == ('"', '"', 2)


def test_the_newest_hours_come_first_and_cost_no_more_than_is_asked() -> None:
    """Four levels for the first; hours that cannot be are passed over."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [now - timedelta(hours=at) for at in (0, 1, 30, 24 * 40, 24 * 400)]
    container = Container({path(hour) for hour in hours})
    container.paths |= {path(now + timedelta(days=3)), path(now.replace(year=1999, day=1))}
    container.paths |= {f"{RESOURCE}y=2026/m=13/d=01/h=00/x", f"{RESOURCE}y=x/m=1/d=1/h=1/x"}
    assert list(newest_hours(container, RESOURCE)) == hours  # type: ignore[arg-type]
    container.paths = {path(hour) for hour in hours}
    container.asked.clear()
    assert next(newest_hours(container, RESOURCE)) == now  # type: ignore[arg-type]
    assert len(container.asked) == 4
