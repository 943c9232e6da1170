"""The flow logs of one resource over many hours, found by what exists.

Years, months and days are listed as levels of names, so that days without logs cost nothing; a day
is listed whole where one page holds it, and by its hours where it does not. Over 30 days that is
some 35 requests where every hour has logs, instead of 720, and a handful where few do.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient
from msgspec.structs import replace

from nsgflow_core.errors import BadInputError
from nsgflow_core.logs.listing import ListedBlob, below, blobs_below, hour_blobs, listed
from nsgflow_core.logs.path import is_flow_log, parse_path
from nsgflow_core.storage import errors_of

FEW_HOURS = 4
"""So many are listed one by one: the way down to a day takes as many requests."""

_YEAR, _MONTH, _DAY, _HOUR = (
    re.compile(rf"{level}=(\d{{{digits}}})/", re.IGNORECASE)
    for level, digits in (("y", "4"), ("m", "1,2"), ("d", "1,2"), ("h", "1,2"))
)


class Walk:
    """One resource and the hours that will be asked for; requests are made when one is.

    Hours are asked for a day at a time: only the last day is kept. For one thread at a time.
    """

    def __init__(
        self, container: ContainerClient, resource: str, hours: Collection[datetime]
    ) -> None:
        self._container = container
        self._resource = resource
        self._wanted: dict[date, set[datetime]] = {}
        for hour in hours:
            self._wanted.setdefault(hour.date(), set()).add(hour)
        self._direct = len(set(hours)) <= FEW_HOURS
        self._days: dict[date, list[str]] | None = None
        self._date: date | None = None
        self._listed: list[tuple[str, dict[datetime, list[ListedBlob]]]] = []
        self._unlisted: dict[datetime, list[str]] = {}

    def known(self, hour: datetime) -> bool:
        """Whether the logs of an hour are known without a request."""
        return not self._direct and hour.date() == self._date and hour not in self._unlisted

    def hour(self, hour: datetime) -> list[ListedBlob]:
        """The flow logs of one hour.

        Raises:
            TransientError, RefusedError: as `errors_of` says.
        """
        if self._direct:
            return hour_blobs(self._container, self._resource, hour)
        if hour.date() != self._date:
            self._look(hour.date())
        found = [
            replace(blob, path=prefix + blob.path)
            for prefix, hours in self._listed
            for blob in hours.pop(hour, ())
        ]
        for prefix in self._unlisted.get(hour, ()):
            found += blobs_below(self._container, prefix)
        return found

    def _look(self, of_day: date) -> None:
        """Find out what there is of a day."""
        if self._days is None:
            self._days = self._existing_days()
        self._date, self._listed, self._unlisted = None, [], {}
        for prefix in self._days.get(of_day, ()):
            self._look_below(prefix, of_day)
        self._date = of_day

    def _existing_days(self) -> dict[date, list[str]]:
        """The prefixes of the days that there are, of those that will be asked for."""
        first, last = min(self._wanted), max(self._wanted)
        days: dict[date, list[str]] = {}
        for year, of_year in self._level(self._resource, _YEAR):
            if not first.year <= year <= last.year:
                continue
            for month, of_month in self._level(of_year, _MONTH):
                if not (first.year, first.month) <= (year, month) <= (last.year, last.month):
                    continue
                for day, prefix in self._level(of_month, _DAY):
                    with suppress(ValueError):  # some other blob's prefix
                        days.setdefault(date(year, month, day), []).append(prefix)
        return days

    def _level(self, prefix: str, form: re.Pattern[str]) -> Iterator[tuple[int, str]]:
        """The numbers that stand one level below a prefix, each with its own."""
        for name in below(self._container, prefix):
            if found := form.fullmatch(name, len(prefix)):
                yield int(found[1]), name

    def _look_below(self, prefix: str, of_day: date) -> None:
        """Find out which hours a day has, and their blobs if one page holds all of them."""
        wanted = self._wanted.get(of_day, set())
        if len(wanted) > 1:
            blobs, whole = self._first_page(prefix)
            if whole:
                self._listed.append((prefix, _by_hour(blobs, wanted, len(prefix))))
                return
        for number, name in self._level(prefix, _HOUR):
            for hour in wanted:
                if hour.hour == number:
                    self._unlisted.setdefault(hour, []).append(name)

    def _first_page(self, prefix: str) -> tuple[list[ListedBlob], bool]:
        """The first page of what lies below a prefix, and whether that is all of it.

        A page may be short, or empty, and there is more all the same.
        """
        with errors_of(f"list {self._container.container_name}"):
            pages: Any = self._container.list_blobs(name_starts_with=prefix).by_page()
            try:
                blobs = [listed(blob) for blob in next(pages, ())]
            except ResourceNotFoundError:
                return [], True
            return blobs, not pages.continuation_token


def _by_hour(
    blobs: Iterable[ListedBlob], wanted: Collection[datetime], start: int
) -> dict[datetime, list[ListedBlob]]:
    """The flow logs of the hours that are wanted, by hour; of each path what is behind `start`.

    A day of 10,000 interfaces is a quarter of a million paths that begin alike.
    """
    found: dict[datetime, list[ListedBlob]] = {}
    for blob in blobs:
        if is_flow_log(blob.path):
            with suppress(BadInputError):  # the path names an hour that cannot be
                hour = parse_path(blob.path).hour
                if hour in wanted:
                    found.setdefault(hour, []).append(replace(blob, path=blob.path[start:]))
    return found
