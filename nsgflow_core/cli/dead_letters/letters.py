"""Dead letters by their ids, NSGs and kinds, and how commands are told which."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from nsgflow_core.cli.names import log_fits, matcher, meant
from nsgflow_core.cli.options import SINKS, Letters, one_of
from nsgflow_core.cli.times import moment
from nsgflow_core.config import Settings
from nsgflow_core.delivery.dead_letters import INPUT, PREFIX, DeadLetters, Listed
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.logs.path import LogPath, parse_path
from nsgflow_core.storage import blob_service

_NAME = re.compile(
    re.escape(PREFIX) + r"[^/]+/[^/]+/(?P<path>.+/PT1H\.json)/\d+-(?:\d+-)?(?P<kind>\w+)\.json",
    re.IGNORECASE,
)
_ID_DIGITS = re.compile(r"[0-9a-f]{4,8}")


@dataclass(frozen=True, slots=True)
class Found:
    """A dead letter in the listing, with what its name says."""

    listed: Listed
    log: LogPath
    kind: str

    @property
    def id(self) -> str:
        """Eight hex digits to name it by."""
        return hashlib.blake2b(self.listed.name.encode(), digest_size=4).hexdigest()


def letters(settings: Settings) -> DeadLetters:
    """Where the dead letters of the function with these settings are.

    Raises:
        BadInputError: the setting cannot work.
    """
    try:
        host = blob_service(settings.host_storage)
    except ValueError as exc:
        raise BadInputError(f"AzureWebJobsStorage cannot be used: {exc}") from exc
    return DeadLetters(host.get_container_client(settings.state_container))


def chosen(
    letters: DeadLetters, wanted: Letters, inventory: Inventory | None = None
) -> list[Found]:
    """The dead letters that are asked for; blobs that are none are passed over.

    Raises:
        NsgflowError: they cannot be listed.
    """
    accepts = _test(wanted, inventory)
    return [found for listed in letters.list() if (found := _found(listed)) and accepts(found)]


def _found(listed: Listed) -> Found | None:
    """None for a blob that is not named as a dead letter is."""
    named = _NAME.fullmatch(listed.name)
    if named is None:
        return None
    try:
        return Found(listed, parse_path(named["path"]), named["kind"])
    except BadInputError:
        return None


def _test(wanted: Letters, inventory: Inventory | None) -> Callable[[Found], bool]:
    kind = one_of("--kind", wanted.kind, (INPUT, *SINKS)) if wanted.kind else ""
    since = moment(wanted.since, datetime.now(UTC), utc=wanted.utc) if wanted.since else None
    of_nsg = matcher(meant(wanted.nsg or (), inventory))

    def accepts(found: Found) -> bool:
        return (
            (since is None or found.listed.written >= since)
            and log_fits(found.log, of_nsg, inventory)
            and kind in ("", found.kind)
        )

    return accepts


def named(found: Sequence[Found], names: Sequence[str]) -> list[Found]:
    """The letters of these ids, or beginnings of ids, or names of blobs.

    Raises:
        BadInputError: there is none of a name, or more than one.
    """
    wanted: dict[str, Found] = {}
    for name in names:
        begins = name.lower() if _ID_DIGITS.fullmatch(name.lower()) else None
        fits = [
            one
            for one in found
            if one.listed.name == name or (begins and one.id.startswith(begins))
        ]
        if len(fits) != 1:
            how_many = "no dead letter has" if not fits else f"{len(fits)} dead letters have"
            raise BadInputError(f"{how_many} the id {name!r}: see 'nsgflow dead-letters list'")
        wanted[fits[0].listed.name] = fits[0]
    return list(wanted.values())


def log_name(log: LogPath) -> str:
    """The NSG or VNet flow log as the path of its logs names it."""
    return log.resource.rpartition("/")[2]
